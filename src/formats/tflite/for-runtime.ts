import { EdgewrightError } from '../../error.ts'
import { FlatFile } from './flat-file.ts'
import { builtinCodeOf } from './opaque.ts'
import { customCode } from './operators.ts'
import { decodeModel, orBroken } from './schema.ts'

/** What has to be known of a file before a runtime is given it. */
export interface RuntimeView {
  /** The bytes, with open dimensions closed at the size that the file gives them. */
  readonly bytes: Uint8Array
  /** Custom operators by name, each once. */
  readonly customOperators: readonly string[]
  /** Signatures in the file's order; empty where it has none. */
  readonly signatures: readonly string[]
}

/** Slots of the tables on the way to a tensor's two shapes. */
const slots = { subgraphs: 2, tensors: 0, shape: 0, shapeSignature: 7 }

/**
 * Checks a file before it goes to a runtime that trusts it.
 * @throws MODEL_BROKEN
 */
export function viewForRuntime(bytes: Uint8Array, where: string): RuntimeView {
  const model = decodeModel(bytes, where)
  const custom = (model.operatorCodes ?? []).filter((code) => builtinCodeOf(code) === customCode)
  const open = (model.subgraphs ?? []).some(({ tensors }) =>
    tensors?.some(({ shapeSignature }) => shapeSignature?.includes(-1)),
  )
  return {
    bytes: open ? orBroken(where, () => closeDimensions(bytes)) : bytes,
    customOperators: [...new Set(custom.map((code) => code.customCode ?? ''))],
    signatures: (model.signatureDefs ?? []).map(({ signatureKey }) => signatureKey ?? ''),
  }
}

/** In place, in a copy: the vector of the signature keeps its length. */
function closeDimensions(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes)
  const view = new DataView(copy.buffer)
  const file = new FlatFile(copy)
  for (const subgraph of elements(file, file.target(0), slots.subgraphs))
    for (const tensor of elements(file, subgraph, slots.tensors)) {
      const shape = numbers(file, tensor, slots.shape)
      const signature = numbers(file, tensor, slots.shapeSignature)
      for (const [axis, at] of signature.entries())
        if (file.int32(at) < 0) {
          const size = axis < shape.length ? file.int32(shape[axis]!) : 1
          view.setInt32(at, Math.max(size, 1), true)
        }
    }
  return copy
}

/** Positions of the tables that a field lists. */
function elements(file: FlatFile, table: number, slot: number): number[] {
  return numbers(file, table, slot).map((at) => file.target(at))
}

/** Positions of the elements of a field that is a vector of 4-byte elements. */
function numbers(file: FlatFile, table: number, slot: number): number[] {
  const at = file.table(table)(slot, 4)
  if (at === 0) return []
  const { start, count } = file.countedVector(file.target(at), 4)
  return Array.from({ length: count }, (_, i) => start + 4 * i)
}

/** @throws MODEL_SIGNATURE where the file has no signature of that name */
export function signatureIndex(view: RuntimeView, asked: string | undefined): number {
  if (asked === undefined) return 0
  const index = view.signatures.indexOf(asked)
  if (index < 0)
    throw new EdgewrightError(
      'MODEL_SIGNATURE',
      `The model has no signature named ${JSON.stringify(asked)}.`,
      {
        hint:
          view.signatures.length > 0 ? `Its signatures are ${view.signatures.join(', ')}.` : 'It has none.',
      },
    )
  return index
}
