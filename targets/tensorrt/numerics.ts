import type { Op } from '../../src/graph/ops.ts'

/**
 * What an operator does with Q/DQ. Only the operands of what has integer kernels are quantized; the builder moves the
 * conversions over what does not change values, and fuses what stands between two of them.
 * - `weighted`: integer kernel; its activations and its weights are quantized, its bias and its result are not.
 * - `residual`: an addition that a convolution before it takes in, which then wants the other operand quantized.
 * - `pool`: an average: integer kernel where what it reads is made by one.
 * - `commutes`: moves or compares only: conversions pass it in both directions, so all that it joins has one scale.
 * - `clip`: fused into the integer kernel before it.
 * - `float`: computes in float16 or float32.
 */
export type Role = 'weighted' | 'residual' | 'pool' | 'commutes' | 'clip' | 'float'

export function roleOf(op: Op): Role {
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
    case 'Gemm':
    case 'MatMul':
      return 'weighted'
    case 'Binary':
      return op.fn === 'Add' ? 'residual' : 'float'
    case 'AveragePool':
    case 'GlobalAveragePool':
      return 'pool'
    case 'Relu':
    case 'Clip':
      return 'clip'
    case 'MaxPool':
    case 'GlobalMaxPool':
    case 'Concat':
    case 'Split':
    case 'Slice':
    case 'Gather':
    case 'Reshape':
    case 'Transpose':
    case 'Expand':
    case 'Tile':
    case 'DepthToSpace':
    case 'SpaceToDepth':
    case 'Identity':
      return 'commutes'
    case 'Resize':
      return op.mode === 'nearest' ? 'commutes' : 'float'
    case 'Pad':
      return op.mode !== 'constant' || op.value === 0 ? 'commutes' : 'float'
    case 'Reduce':
      return op.fn === 'Max' || op.fn === 'Min' ? 'commutes' : 'float'
    case 'BatchNormalization':
    case 'LayerNormalization':
    case 'InstanceNormalization':
    case 'LeakyRelu':
    case 'PRelu':
    case 'Sigmoid':
    case 'HardSigmoid':
    case 'HardSwish':
    case 'Tanh':
    case 'Elu':
    case 'Gelu':
    case 'Softmax':
    case 'LogSoftmax':
    case 'Unary':
    case 'Comparison':
    case 'Where':
    case 'ArgMax':
    case 'ArgMin':
    case 'Cast':
    case 'Convert':
    case 'Opaque':
      return 'float'
  }
}

/** Of weights: −128 is left out, as all symmetric quantizers have it; activations use the whole of int8. */
export const weightLimit = 127
