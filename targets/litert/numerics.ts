import type { Op } from '../../src/graph/ops.ts'
import type { Affine } from '../../src/quantize/affine.ts'
import type { TargetOptions } from '../target.ts'

/** Element type of activations inside an integer region. */
export type ActivationType = 'int8' | 'int16'

/**
 * How TensorFlow Lite's integer kernels compute an operator (quantization specification, int8 and 16x8):
 * - `weighted`: constant int8 weights, bias at s_in · s_w, any output scale.
 * - `rescale`: any input and output scales.
 * - `fixed`: the specification fixes scale and zero point of the output.
 * - `same`: data is moved or compared: all activations and the output share scale and zero point.
 * - `saturate`: a clip; done by the operator before it, or by a requantization.
 * - `index`: integers in, an index or a truth value out.
 * - `float`: no integer kernel: the operator runs on reals between conversions.
 */
export type Signature =
  | { readonly role: 'weighted' }
  | { readonly role: 'rescale' }
  | { readonly role: 'fixed'; readonly of: Readonly<Record<ActivationType, Affine>> }
  | { readonly role: 'same' }
  | { readonly role: 'saturate'; readonly min: number; readonly max: number }
  | { readonly role: 'index' }
  | { readonly role: 'float'; readonly remedy?: string }

const weighted: Signature = { role: 'weighted' }
const rescale: Signature = { role: 'rescale' }
const same: Signature = { role: 'same' }
const index: Signature = { role: 'index' }
const float: Signature = { role: 'float' }

const fixed = (scale: number, zeroPoint: number): Signature => ({
  role: 'fixed',
  of: { int8: { scale, zeroPoint }, int16: { scale: 1 / 32768, zeroPoint: 0 } },
})

export function signatureOf(op: Op): Signature {
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
    case 'Gemm':
      return weighted
    case 'MatMul':
    case 'LeakyRelu':
    case 'PRelu':
    case 'HardSwish':
    case 'Elu':
    case 'Gelu':
      return rescale
    case 'Sigmoid':
    case 'Softmax':
      return fixed(1 / 256, -128)
    case 'Tanh':
      return fixed(1 / 128, 0)
    case 'LogSoftmax':
      return fixed(16 / 256, 127)
    case 'Relu':
      return { role: 'saturate', min: 0, max: Number.POSITIVE_INFINITY }
    case 'Clip':
      return { role: 'saturate', min: op.min, max: op.max }
    case 'Binary':
      switch (op.fn) {
        case 'Add':
        case 'Sub':
        case 'Mul':
          return rescale
        case 'Min':
        case 'Max':
          return same
        case 'Div':
          return { role: 'float', remedy: 'A division by a constant can be a Mul with its inverse.' }
        case 'Pow':
          return float
      }
      break
    case 'Reduce':
      if (op.fn === 'Mean' || op.fn === 'Sum') return rescale
      return op.fn === 'Max' || op.fn === 'Min' ? same : float
    case 'MaxPool':
    case 'AveragePool':
    case 'GlobalAveragePool':
    case 'GlobalMaxPool':
    case 'Concat':
    case 'Split':
    case 'Slice':
    case 'Gather':
    case 'Reshape':
    case 'Transpose':
    case 'Expand':
    case 'Tile':
    case 'Pad':
    case 'Resize':
    case 'DepthToSpace':
    case 'SpaceToDepth':
    case 'Where':
    case 'Identity':
      return same
    case 'ArgMax':
    case 'ArgMin':
    case 'Comparison':
      return index
    case 'Unary':
      if (op.fn === 'Abs') return rescale
      return {
        role: 'float',
        remedy: 'Sigmoid, Tanh, HardSwish, Elu and Gelu have integer kernels; other functions run on reals.',
      }
    case 'BatchNormalization':
      return { role: 'float', remedy: 'Fold it into a convolution, or write it as Mul and Add.' }
    case 'HardSigmoid':
      return { role: 'float', remedy: 'Write it as Mul, Add and a clip to [0, 1].' }
    case 'LayerNormalization':
    case 'InstanceNormalization':
      return { role: 'float', remedy: 'BatchNormalization folds into the convolution before it.' }
    case 'Cast':
    case 'Convert':
    case 'Opaque':
      return float
  }
  return float
}

/** Of the activations under a scheme; null where they stay real. */
export function activationTypeOf({ scheme }: Pick<TargetOptions, 'scheme'>): ActivationType | null {
  if (scheme === 'full-int8') return 'int8'
  return scheme === 'int16x8' ? 'int16' : null
}

/** int8 weights never take −128: products of two then fit 16 bits in pairs, and the grid is symmetric. */
export const weightLimit = 127

/** Kinds whose int16 kernels exist (16x8 of the specification); the others run on reals under that scheme. */
const int16Kernels: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'Binary Add',
  'Binary Sub',
  'Binary Mul',
  'Binary Min',
  'Binary Max',
  'Reduce Mean',
  'Reduce Sum',
  'Relu',
  'Clip',
  'LeakyRelu',
  'Sigmoid',
  'Tanh',
  'Softmax',
  'MaxPool',
  'AveragePool',
  'Concat',
  'Split',
  'Slice',
  'Gather',
  'Reshape',
  'Transpose',
  'Pad',
  'Resize',
  'Identity',
])

export function hasInt16Kernel(op: Op): boolean {
  return int16Kernels.has('fn' in op ? `${op.kind} ${op.fn}` : op.kind)
}

/** Clips that an operator can carry as its fused activation: RELU, RELU_N1_TO_1, RELU6. */
export function isFusedClip({ min, max }: { readonly min: number; readonly max: number }): boolean {
  if (min === 0) return max === Number.POSITIVE_INFINITY || max === 6
  return min === -1 && max === 1
}

/** Operators whose options have a fused activation that XNNPACK takes too. */
export function takesFusedActivation(op: Op): boolean {
  if (op.kind === 'Conv' || op.kind === 'Gemm') return true
  return op.kind === 'Binary' && (op.fn === 'Add' || op.fn === 'Sub' || op.fn === 'Mul')
}
