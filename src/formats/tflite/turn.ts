import type { Constant, Quantization } from '../../graph/types.ts'
import { transposeConstant, transposeQuantization } from './weights.ts'

/** How a constant is turned between the file's order and ours: named, so that a shared one is turned once. */
export interface Turning {
  readonly name: string
  turn(constant: Constant): Constant
  quantization(quantization: Quantization | null): Quantization | null
}

export function transposing(name: string, perm: readonly number[]): Turning {
  return {
    name,
    turn: (constant) => transposeConstant(constant, perm),
    quantization: (quantization) => transposeQuantization(quantization, perm),
  }
}

/** [out, height, width, in/group] to ours. */
export const spatialWeights = transposing('spatial', [0, 3, 1, 2])
/** [1, height, width, out] to ours. */
export const depthwiseWeights = transposing('depthwise', [3, 0, 1, 2])
/** [out, height, width, in] to ours of a transposed convolution: [in, out, height, width]. */
export const transposedWeights = transposing('transposed', [3, 0, 1, 2])

/** Where each axis of ours goes in the file. */
export const spatialOrder = [0, 2, 3, 1] as const
export const depthwiseOrder = [1, 2, 3, 0] as const
export const transposedOrder = [1, 2, 3, 0] as const
