/**
 * The closed set of operators. A discriminated union by `kind`, attributes typed and fully resolved: what a file
 * passes as a constant input (a shape, axes, pads, clip bounds) is an attribute here. Axes are never negative.
 * What a reader does not know becomes `Opaque`.
 *
 * Inputs by position are listed beside each kind; `?` marks one that may be null.
 */

/** Layout of a spatial operator's activations; kernels are named for their own layout in comments. */
export type Layout = 'channels-first' | 'channels-last'

/** Spatial attributes, one entry per spatial dimension (1-D or 2-D). */
export interface Window {
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  readonly padsBegin: readonly number[]
  readonly padsEnd: readonly number[]
}

// -- convolution: x, w, bias? ------------------------------------------------------------------------------------
/** w: [out, in/group, ...kernel] in both layouts. */
export interface Conv extends Window {
  readonly kind: 'Conv'
  readonly group: number
  readonly layout: Layout
}
/** w: [in, out/group, ...kernel]. */
export interface ConvTranspose extends Window {
  readonly kind: 'ConvTranspose'
  readonly group: number
  readonly outputPadding: readonly number[]
  readonly layout: Layout
}

// -- matrix products ---------------------------------------------------------------------------------------------
/** a, b, c?: alpha·op(a)·op(b) + beta·c, 2-D. */
export interface Gemm {
  readonly kind: 'Gemm'
  readonly alpha: number
  readonly beta: number
  readonly transA: boolean
  readonly transB: boolean
}
/** a, b: numpy matmul. */
export interface MatMul { readonly kind: 'MatMul' }

// -- normalization -----------------------------------------------------------------------------------------------
/** x, scale, bias, mean, variance (inference form). Channel axis by layout. */
export interface BatchNormalization { readonly kind: 'BatchNormalization'; readonly epsilon: number; readonly layout: Layout }
/** x, scale, bias?: over axes [axis, rank). */
export interface LayerNormalization { readonly kind: 'LayerNormalization'; readonly axis: number; readonly epsilon: number }
/** x, scale, bias: over the spatial axes, channels first. */
export interface InstanceNormalization { readonly kind: 'InstanceNormalization'; readonly epsilon: number }

// -- activations: x ----------------------------------------------------------------------------------------------
export interface Relu { readonly kind: 'Relu' }
export interface LeakyRelu { readonly kind: 'LeakyRelu'; readonly alpha: number }
/** x, slope (broadcast to x from the right). */
export interface PRelu { readonly kind: 'PRelu' }
/** Bounds may be ±Infinity. */
export interface Clip { readonly kind: 'Clip'; readonly min: number; readonly max: number }
export interface Sigmoid { readonly kind: 'Sigmoid' }
export interface HardSigmoid { readonly kind: 'HardSigmoid'; readonly alpha: number; readonly beta: number }
export interface HardSwish { readonly kind: 'HardSwish' }
export interface Tanh { readonly kind: 'Tanh' }
export interface Elu { readonly kind: 'Elu'; readonly alpha: number }
export interface Gelu { readonly kind: 'Gelu'; readonly approximate: 'none' | 'tanh' }
export interface Softmax { readonly kind: 'Softmax'; readonly axis: number }
export interface LogSoftmax { readonly kind: 'LogSoftmax'; readonly axis: number }

// -- element by element ------------------------------------------------------------------------------------------
export const unaryFunctions = [
  'Abs', 'Ceil', 'Cos', 'Erf', 'Exp', 'Floor', 'Log', 'Neg', 'Not', 'Reciprocal', 'Round', 'Sign', 'Sin',
  'Softplus', 'Softsign', 'Sqrt',
] as const
/** x. `fn` is the ONNX operator's name. */
export interface Unary { readonly kind: 'Unary'; readonly fn: (typeof unaryFunctions)[number] }
export const binaryFunctions = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max'] as const
/** a, b with numpy broadcasting. An n-ary Min, Max or Sum of the file is read as a chain of these. */
export interface Binary { readonly kind: 'Binary'; readonly fn: (typeof binaryFunctions)[number] }
export const comparisonFunctions = ['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or', 'Xor'] as const
/** a, b with numpy broadcasting → bool. */
export interface Comparison { readonly kind: 'Comparison'; readonly fn: (typeof comparisonFunctions)[number] }
/** condition, a, b with numpy broadcasting. */
export interface Where { readonly kind: 'Where' }

// -- pools: x ----------------------------------------------------------------------------------------------------
export interface MaxPool extends Window {
  readonly kind: 'MaxPool'
  readonly kernel: readonly number[]
  readonly ceilMode: boolean
  readonly layout: Layout
}
export interface AveragePool extends Window {
  readonly kind: 'AveragePool'
  readonly kernel: readonly number[]
  readonly ceilMode: boolean
  readonly countIncludePad: boolean
  readonly layout: Layout
}
/** Over all spatial axes, which stay with size 1. */
export interface GlobalAveragePool { readonly kind: 'GlobalAveragePool'; readonly layout: Layout }
export interface GlobalMaxPool { readonly kind: 'GlobalMaxPool'; readonly layout: Layout }

// -- movement ----------------------------------------------------------------------------------------------------
/** any number of inputs. */
export interface Concat { readonly kind: 'Concat'; readonly axis: number }
/** x → as many outputs as sizes. */
export interface Split { readonly kind: 'Split'; readonly axis: number; readonly sizes: readonly number[] }
/** x. numpy slice per axis listed; starts and ends clamped as ONNX does, steps may be negative. */
export interface Slice {
  readonly kind: 'Slice'
  readonly axes: readonly number[]
  readonly starts: readonly number[]
  readonly ends: readonly number[]
  readonly steps: readonly number[]
}
/** x, indices. */
export interface Gather { readonly kind: 'Gather'; readonly axis: number }
/** x. Also what Flatten, Squeeze and Unsqueeze are read as. `shape` is the full static output shape. */
export interface Reshape { readonly kind: 'Reshape'; readonly shape: readonly number[] }
/** x. */
export interface Transpose { readonly kind: 'Transpose'; readonly perm: readonly number[] }
/** x. `shape` is the full static output shape. */
export interface Expand { readonly kind: 'Expand'; readonly shape: readonly number[] }
/** x. */
export interface Tile { readonly kind: 'Tile'; readonly repeats: readonly number[] }
/** x. One entry per axis of x; negative pads crop. */
export interface Pad {
  readonly kind: 'Pad'
  readonly mode: 'constant' | 'reflect' | 'edge' | 'wrap'
  readonly padsBegin: readonly number[]
  readonly padsEnd: readonly number[]
  readonly value: number
}
/** x. `sizes` is the full static output shape; `scales` as the file gave them (they enter the coordinate formula). */
export interface Resize {
  readonly kind: 'Resize'
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly sizes: readonly number[]
  readonly scales: readonly number[] | null
  readonly coordinateTransformation:
    | 'half_pixel' | 'half_pixel_symmetric' | 'pytorch_half_pixel' | 'align_corners' | 'asymmetric' | 'tf_half_pixel_for_nn' | 'tf_crop_and_resize'
  readonly nearestMode: 'round_prefer_floor' | 'round_prefer_ceil' | 'floor' | 'ceil'
  readonly cubicCoefficient: number
  readonly excludeOutside: boolean
  readonly extrapolationValue: number
  readonly roi: readonly number[] | null
  readonly antialias: boolean
  readonly layout: Layout
}
export interface DepthToSpace { readonly kind: 'DepthToSpace'; readonly blockSize: number; readonly mode: 'DCR' | 'CRD'; readonly layout: Layout }
export interface SpaceToDepth { readonly kind: 'SpaceToDepth'; readonly blockSize: number; readonly layout: Layout }

// -- reductions: x -----------------------------------------------------------------------------------------------
export const reduceFunctions = ['Mean', 'Sum', 'Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'] as const
/** `axes` sorted and complete (an empty list in the file that means all axes is written out). */
export interface Reduce { readonly kind: 'Reduce'; readonly fn: (typeof reduceFunctions)[number]; readonly axes: readonly number[]; readonly keepDims: boolean }
export interface ArgMax { readonly kind: 'ArgMax'; readonly axis: number; readonly keepDims: boolean; readonly selectLastIndex: boolean }
export interface ArgMin { readonly kind: 'ArgMin'; readonly axis: number; readonly keepDims: boolean; readonly selectLastIndex: boolean }

// -- types -------------------------------------------------------------------------------------------------------
/** x. Target dtype is the output value's. */
export interface Cast { readonly kind: 'Cast' }
/** x. Left only where an input or a constant is directly an output. */
export interface Identity { readonly kind: 'Identity' }
/**
 * x. Quantize, dequantize or requantize: from the input value's type to the output value's. Stands only where types
 * meet; inside an int8 region there is none.
 */
export interface Convert { readonly kind: 'Convert' }

/**
 * An operator that a reader does not know, carried verbatim. `attributes` holds the format's own encoding of the
 * operator (ONNX: the serialized NodeProto), which only a target that takes the source format may execute.
 * `captures` are outer values that its subgraphs use by name; such names must not be changed.
 */
export interface Opaque {
  readonly kind: 'Opaque'
  readonly format: 'onnx' | 'tflite'
  readonly domain: string
  readonly opType: string
  readonly opset: number
  readonly payload: Uint8Array
  readonly captures: readonly string[]
}

export type Op =
  | Conv | ConvTranspose | Gemm | MatMul
  | BatchNormalization | LayerNormalization | InstanceNormalization
  | Relu | LeakyRelu | PRelu | Clip | Sigmoid | HardSigmoid | HardSwish | Tanh | Elu | Gelu | Softmax | LogSoftmax
  | Unary | Binary | Comparison | Where
  | MaxPool | AveragePool | GlobalAveragePool | GlobalMaxPool
  | Concat | Split | Slice | Gather | Reshape | Transpose | Expand | Tile | Pad | Resize | DepthToSpace | SpaceToDepth
  | Reduce | ArgMax | ArgMin
  | Cast | Identity | Convert
  | Opaque

export type OpKind = Op['kind']
export type OpOf<K extends OpKind> = Extract<Op, { kind: K }>
