import type { Op } from '../../src/graph/ops.ts'
import type { TargetOptions } from '../target.ts'

/** The axis of the weights with a scale for each index, that of the output channels; null for one scale for all. */
export function weightAxis(op: Op, { perChannel }: Pick<TargetOptions, 'perChannel'>): number | null {
  if (!perChannel) return null
  switch (op.kind) {
    case 'Conv':
      return 0
    case 'Gemm':
      return op.transB ? 0 : 1
    default:
      // [in, out, …] of a transposed convolution with one group, [in, out] of a matrix product
      return 1
  }
}
