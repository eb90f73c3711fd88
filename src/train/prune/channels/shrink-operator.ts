import { numbersOf } from '../../../graph/constant.ts'
import { sliceExtent } from '../../../graph/infer.ts'
import type { Op, OpOf } from '../../../graph/ops.ts'
import type { Graph, Node } from '../../../graph/types.ts'
import type { ChannelStructure, GroupAxes } from './structure.ts'

/** What is taken out of a graph. */
export class Removal {
  readonly #graph: Graph
  readonly #values: ChannelStructure['values']
  readonly #removed: ReadonlySet<number>

  constructor(graph: Graph, { values }: ChannelStructure, removed: ReadonlySet<number>) {
    this.#graph = graph
    this.#values = values
    this.#removed = removed
  }

  kept(groups: Int32Array): number[] {
    const kept: number[] = []
    groups.forEach((group, index) => {
      if (!this.#removed.has(group)) kept.push(index)
    })
    return kept
  }

  /** How many of the indices [from, to) stay. */
  keptBetween(groups: Int32Array, from: number, to: number): number {
    return this.kept(groups.subarray(from, to)).length
  }

  groupsOf(name: string | null | undefined): GroupAxes {
    return this.#values.get(name ?? '') ?? []
  }

  /** A shape of the graph before, as it is afterwards. */
  shape(name: string, shape: readonly number[]): number[] {
    const axes = this.groupsOf(name)
    return shape.map((size, axis) => (axes[axis] ? this.kept(axes[axis]).length : size))
  }

  /** Constant indices of a Gather along an axis that shrinks: those that stay, under their new numbers; else null. */
  renumbered(node: Node): number[] | null {
    const { op, inputs } = node
    const along = op.kind === 'Gather' ? this.groupsOf(inputs[0])[op.axis] : null
    const indices = this.#graph.values.get(inputs[1] ?? '')?.constant
    if (!along || !indices) return null
    const places = new Map(this.kept(along).map((index, place) => [index, place]))
    return numbersOf(indices).flatMap((index) => places.get(index < 0 ? index + along.length : index) ?? [])
  }
}

/**
 * An operator as it stands between values that lost channels.
 * @param shapes of its operands, afterwards
 */
export function shrinkOperator(node: Node, removal: Removal, shapes: readonly (readonly number[])[]): Op {
  const { op } = node
  const [output] = node.outputs as [string]
  switch (op.kind) {
    case 'Conv': {
      const channels = op.layout === 'channels-first' ? shapes[0]![1]! : shapes[0]!.at(-1)!
      return { ...op, group: channels / shapes[1]![1]! }
    }
    case 'ConvTranspose':
      return { ...op, group: groupsLeft(op, node, removal, shapes) }
    case 'Reshape':
    case 'Expand':
      return { ...op, shape: removal.shape(output, op.shape) }
    case 'Resize':
      return { ...op, sizes: removal.shape(output, op.sizes) }
    case 'Split':
      return {
        ...op,
        sizes: op.sizes.map((size, index) => {
          const along = removal.groupsOf(node.outputs[index])[op.axis]
          return along ? removal.kept(along).length : size
        }),
      }
    case 'Slice':
      return shrinkSlice(op, removal.groupsOf(node.inputs[0]), removal)
    case 'Pad':
      return shrinkPad(op, removal.groupsOf(node.inputs[0]), removal.groupsOf(output), removal)
    default:
      return op
  }
}

function groupsLeft(
  op: OpOf<'ConvTranspose'>,
  node: Node,
  removal: Removal,
  shapes: readonly (readonly number[])[],
): number {
  const axes = removal.groupsOf(node.outputs[0])
  const along = op.layout === 'channels-first' ? axes[1] : axes.at(-1)
  return along ? removal.kept(along).length / shapes[1]![1]! : op.group
}

function shrinkSlice(op: OpOf<'Slice'>, axes: GroupAxes, removal: Removal): Op {
  const [starts, ends] = [[...op.starts], [...op.ends]]
  op.axes.forEach((axis, k) => {
    const groups = axes[axis]
    if (!groups) return
    const { start, count } = sliceExtent(groups.length, op.starts[k]!, op.ends[k]!, op.steps[k]!)
    const forward = op.steps[k]! > 0
    const least = forward ? start : start - count + 1
    const before = removal.keptBetween(groups, 0, least)
    const kept = removal.keptBetween(groups, least, least + count)
    starts[k] = forward ? before : before + kept - 1
    // backwards past index 0 is written as far below it
    ends[k] = forward ? before + kept : before > 0 ? before - 1 : -groups.length - 1
  })
  return { ...op, starts, ends }
}

function shrinkPad(op: OpOf<'Pad'>, from: GroupAxes, to: GroupAxes, removal: Removal): Op {
  const [padsBegin, padsEnd] = [[...op.padsBegin], [...op.padsEnd]]
  op.padsBegin.forEach((before, axis) => {
    const [x, y] = [from[axis], to[axis]]
    const after = op.padsEnd[axis]!
    if (before > 0 && y) padsBegin[axis] = removal.keptBetween(y, 0, before)
    if (before < 0 && x) padsBegin[axis] = -removal.keptBetween(x, 0, -before)
    if (after > 0 && y) padsEnd[axis] = removal.keptBetween(y, y.length - after, y.length)
    if (after < 0 && x) padsEnd[axis] = -removal.keptBetween(x, x.length + after, x.length)
  })
  return { ...op, padsBegin, padsEnd }
}
