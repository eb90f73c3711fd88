import type { DType } from '../tensor.ts'
import type { Op } from './ops.ts'

/**
 * Affine quantization of a tensor: real = (stored − zeroPoint) · scale.
 * Per tensor where `axis` is null (one scale), else one scale and zero point for each index along `axis`.
 */
export interface Quantization {
  readonly scales: readonly number[]
  readonly zeroPoints: readonly number[]
  readonly axis: number | null
}

/** What a value is: element type, static shape, and how its integers map to reals (null: they are what they are). */
export interface TensorType {
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly quantization: Quantization | null
}

/**
 * An immutable tensor of the constant pool. Its digest is over dtype, shape and bytes, so equal constants are one.
 * `bytes()` may read lazily (external data); little-endian, row-major, packed.
 */
export interface Constant {
  readonly digest: string
  readonly dtype: DType
  readonly shape: readonly number[]
  readonly byteLength: number
  bytes(): Uint8Array
}

/** A tensor that flows through a graph: named, typed, constant where `constant` is set. */
export interface Value {
  readonly name: string
  readonly type: TensorType
  readonly constant: Constant | null
}

/** Where a node comes from, in the words of the file it was read from. */
export interface NodeSource {
  /** Operator as the format names it: `Conv`, `CONV_2D`. */
  readonly opType: string
  readonly name: string
  /** Index in the file's own operator list. */
  readonly index: number
}

/** One operator. An absent optional input is null. */
export interface Node {
  readonly name: string
  readonly op: Op
  readonly inputs: readonly (string | null)[]
  readonly outputs: readonly string[]
  readonly source: NodeSource | null
}

/**
 * One signature: nodes in topological order over values by name.
 * Every name that a node, an input or an output uses is a key of `values`.
 */
export interface Graph {
  readonly name: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly values: ReadonlyMap<string, Value>
  readonly nodes: readonly Node[]
}

/** Kept from the source so that a shape that the user bound can be told from one that the file fixed. */
export interface ShapeSignature {
  readonly name: string
  /** A number where the file fixes it, a symbol's name where it does not, null where it says nothing. */
  readonly dimensions: readonly (number | string | null)[]
}

/** A network as read: named graphs over one constant pool. ONNX files have one graph. */
export interface Model {
  readonly format: 'onnx' | 'tflite' | 'keras' | 'tfjs'
  readonly graphs: ReadonlyMap<string, Graph>
  readonly inputSignatures: readonly ShapeSignature[]
  /** Producer, description and the like, for reports only. */
  readonly metadata: Readonly<Record<string, string>>
  /** True where weights are kept in files beside the model. */
  readonly externalData: boolean
  /** ONNX: operator-set version by domain, as the file states. */
  readonly opsets: Readonly<Record<string, number>>
  /** What only a writer of the same format puts back. */
  readonly extras?: ModelExtras
}

/** Parts of a TensorFlow Lite file beside its network. */
export interface ModelExtras {
  /** Metadata records by name, as bytes. */
  readonly records: ReadonlyMap<string, Uint8Array>
  /** The signature that was read: its own names of the graph's inputs and outputs, by value name. */
  readonly signature: {
    readonly name: string
    readonly inputs: Readonly<Record<string, string>>
    readonly outputs: Readonly<Record<string, string>>
  } | null
}
