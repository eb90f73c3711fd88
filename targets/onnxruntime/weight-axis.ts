import type { Constant, Node } from '../../src/graph/types.ts'
import type { TargetOptions } from '../target.ts'

/** What a board says against a scale for each output channel of an operator; null where it says nothing. */
export function perChannelRefusal(node: Node, { constraints }: TargetOptions): string | null {
  const narrowed = constraints.find(
    (constraint) =>
      constraint.kind === 'per-tensor-weights' ||
      (constraint.kind === 'per-channel-only' && !constraint.operators.includes(node.op.kind)),
  )
  return narrowed?.sentence ?? null
}

/** The axis of the weights with a scale for each index, that of the output channels; null for one scale for all. */
export function weightAxis(node: Node, weights: Constant, options: TargetOptions): number | null {
  if (!options.perChannel || perChannelRefusal(node, options) !== null) return null
  switch (node.op.kind) {
    case 'Conv':
      return 0
    case 'ConvTranspose':
      return 1
    case 'Gemm':
      return node.op.transB ? 0 : 1
    default:
      return weights.shape.length === 2 ? 1 : null
  }
}
