import type { Node } from '../../../graph/types.ts'
import type { ChannelStructure, Cut } from './structure.ts'

/** Along which axis a constant operand of a layer has the channels that the layer makes; null where it has none. */
export function madeAxis({ node, input, axes }: Cut): number | null {
  const axis = madeAxisOf(node, input, axes.length)
  if (axis !== null && axes[axis]) return axis
  // what a transposed convolution makes of a group goes with what it reads
  return node.op.kind === 'ConvTranspose' && node.op.group > 1 && input === 1 && axes[0] ? 0 : null
}

function madeAxisOf({ op }: Node, input: number, rank: number): number | null {
  switch (op.kind) {
    case 'Conv':
      return 0
    case 'ConvTranspose':
      return input === 1 ? 1 : 0
    case 'Gemm':
      if (input === 2) return rank - 1
      return input === 1 ? (op.transB ? 0 : 1) : op.transA ? 1 : 0
    case 'MatMul':
      return input === 1 ? rank - 1 : rank - 2
    case 'BatchNormalization':
      return 0
    default:
      return null
  }
}

/** The layers that make the channels of each group, by its id: those of a residual sum are several. */
export function makersOf({ groupCount, cuts, values }: ChannelStructure): readonly (readonly string[])[] {
  const makers = Array.from({ length: groupCount + 1 }, () => new Set<string>())
  for (const cut of cuts) {
    const { node, input, axes } = cut
    const axis = node.op.kind === 'BatchNormalization' || input > 1 ? null : madeAxis(cut)
    if (axis === null) continue
    // a depthwise convolution passes channels on
    const read = new Set(
      (values.get(node.inputs[1 - input] ?? '') ?? []).flatMap((groups) => [...(groups ?? [])]),
    )
    for (const group of axes[axis]!) if (group > 0 && !read.has(group)) makers[group]!.add(node.name)
  }
  return makers.map((names) => [...names])
}
