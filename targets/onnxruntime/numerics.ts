import type { Op } from '../../src/graph/ops.ts'
import type { CpuFacts } from '../target.ts'

/**
 * How an operator computes once ONNX Runtime has fused the Q/DQ around it (CPU provider, 1.20 to 1.30):
 * - `weighted`: integer kernel with weights; any output scale. `floatOutput`: may also give float, without rounding.
 * - `arithmetic`: integer kernel, any input and output scales.
 * - `fixed`: integer kernel whose output range is known beforehand.
 * - `move`: data is only moved or compared; output and input share scale and zero point.
 * - `concat`: integer kernel, scales may differ; equal ones are exact and cheaper.
 * - `saturate`: what the saturation of the output type does by itself.
 * - `index`: integer in, index out.
 * - `float`: no integer kernel; the operator becomes an island between conversions.
 */
export type Signature =
  | { readonly role: 'weighted'; readonly floatOutput: boolean }
  | { readonly role: 'arithmetic' }
  | { readonly role: 'fixed'; readonly min: number; readonly max: number }
  | { readonly role: 'move' }
  | { readonly role: 'concat' }
  | { readonly role: 'saturate'; readonly min: number; readonly max: number }
  | { readonly role: 'index' }
  | { readonly role: 'float'; readonly remedy?: string }

const move: Signature = { role: 'move' }
const arithmetic: Signature = { role: 'arithmetic' }
const float: Signature = { role: 'float' }
const island = (remedy: string): Signature => ({ role: 'float', remedy })
/** 256 steps of 1/256: what the TFLite specification fixes for probabilities, and exact for 0. */
const probability: Signature = { role: 'fixed', min: 0, max: 255 / 256 }

export function signatureOf(op: Op): Signature {
  switch (op.kind) {
    case 'Conv':
      return { role: 'weighted', floatOutput: false }
    case 'Gemm':
    case 'MatMul':
      return { role: 'weighted', floatOutput: true }
    case 'AveragePool':
    case 'GlobalAveragePool':
    case 'LeakyRelu':
      return arithmetic
    case 'Binary':
      if (op.fn === 'Add' || op.fn === 'Mul') return arithmetic
      return op.fn === 'Sub' || op.fn === 'Div'
        ? island('Write it as Add or Mul with the negated or inverted constant.')
        : float
    case 'Sigmoid':
    case 'Softmax':
      return probability
    case 'MaxPool':
    case 'Reshape':
    case 'Transpose':
    case 'Slice':
    case 'Gather':
    case 'Expand':
    case 'Tile':
    case 'Split':
    case 'Resize':
    case 'DepthToSpace':
    case 'Identity':
      return move
    case 'Reduce':
      return op.fn === 'Max' || op.fn === 'Min'
        ? move
        : island('A mean over the spatial axes can be a GlobalAveragePool.')
    case 'Concat':
      return { role: 'concat' }
    case 'Relu':
      return { role: 'saturate', min: 0, max: Number.POSITIVE_INFINITY }
    case 'Clip':
      return { role: 'saturate', min: op.min, max: op.max }
    case 'ArgMax':
      return op.selectLastIndex ? float : { role: 'index' }
    case 'HardSwish':
    case 'HardSigmoid':
    case 'Gelu':
    case 'Elu':
    case 'Tanh':
    case 'PRelu':
      return island('Relu and Clip cost nothing in int8; LeakyRelu and Sigmoid have integer kernels.')
    case 'BatchNormalization':
      return island('Fold it into a convolution, or write it as a depthwise 1×1 convolution.')
    case 'GlobalMaxPool':
      return island('Write it as a MaxPool over the whole extent.')
    case 'SpaceToDepth':
      return island('Write it as Reshape, Transpose, Reshape.')
    case 'Pad':
      return island('Zero padding can move into the convolution or pool that follows.')
    case 'ConvTranspose':
    case 'LayerNormalization':
    case 'InstanceNormalization':
    case 'LogSoftmax':
    case 'Unary':
    case 'Comparison':
    case 'Where':
    case 'ArgMin':
    case 'Cast':
    case 'Convert':
    case 'Opaque':
      return float
  }
}

/** How activations and weights are stored for the kernels that a CPU has. */
export interface Dialect {
  readonly activations: 'int8' | 'uint8'
  /** Largest stored weight magnitude. */
  readonly weightLimit: number
  readonly reason: string
}

/**
 * ARM64 fuses and dispatches S8 activations with S8 weights (SDOT, SMMLA). x64 takes U8 activations with S8 weights;
 * without VNNI its kernel adds two products in 16 bits, which saturates beyond weights of ±64.
 */
export function dialectOf(cpu: CpuFacts): Dialect {
  if (cpu.architecture === 'aarch64')
    return {
      activations: 'int8',
      weightLimit: 127,
      reason: 'ARM64 kernels take signed activations and weights',
    }
  if (cpu.features.some((feature) => feature.includes('vnni')))
    return {
      activations: 'uint8',
      weightLimit: 127,
      reason: 'x64 kernels take unsigned activations with signed weights',
    }
  return {
    activations: 'uint8',
    weightLimit: 64,
    reason:
      'x64 without VNNI adds products in 16 bits: weights stay within ±64 so that the sums cannot saturate',
  }
}
