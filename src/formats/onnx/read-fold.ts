import type { Op } from '../../graph/ops.ts'
import type { Constant, TensorType, Value } from '../../graph/types.ts'

/** Shapes, axes and their arithmetic; weights are folded by a pass, not while reading. */
const mostBytes = 1 << 16

/** The results of an operator that reads small constants only, null where it reads anything else. */
export function foldSmall(
  op: Op,
  operands: readonly (Value | null)[],
  types: readonly TensorType[],
): Constant[] | null {
  return null
}
