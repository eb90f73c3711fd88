import type { OpOf } from '../../graph/ops.ts'
import type { Node } from '../../graph/types.ts'
import type { ElementOrder, LayoutConverter } from './converter.ts'
import { identity, type Permutation, permute, towards } from './permutation.ts'
import { gatherGroups, groupAxes, inOrder, placeUnitAxes, storedGroups, type StoredGroup } from './reshape.ts'
import type { RuleContext } from './rules.ts'

/** Whether, and how, the readers of a flattened value can live with its elements in stored order. */
export type Absorb = (
  context: RuleContext,
  output: string,
  shape: readonly number[],
  groups: readonly StoredGroup[],
) => ElementOrder | null

/**
 * A Reshape cuts and joins neighbouring axes. Where those that it joins stand together and in order, it works on the
 * stored tensor as it is; else they are brought together first, unless the readers absorb the order.
 */
export function convertReshape(context: RuleContext, node: Node, op: OpOf<'Reshape'>, absorb: Absorb): void {
  const { converter, wanted } = context
  const [x] = node.inputs as [string]
  const [output] = node.outputs as [string]
  const shape = converter.shape(x)
  const groups = groupAxes(shape, op.shape)
  const plain = identity(op.shape.length)
  if (!converter.at(x) || groups === null) {
    converter.emit(node, op, [converter.get(x)], [plain])
    return
  }
  const perm = converter.perm(x)
  const stored = storedGroups(groups, shape, perm)
  if (stored && !stored.every(inOrder)) {
    const order = absorb(context, output, shape, stored)
    if (order) {
      converter.emit(node, op, [converter.get(x, perm)], [plain], order)
      return
    }
  }
  const [asWanted, asMet] = [wanted.get(output) ?? null, metOrder(converter, output, op.shape.length)]
  const from = stored?.every(inOrder) ? perm : gatherGroups(groups, shape, op.shape, [asWanted, asMet])
  const moving = storedGroups(groups, shape, from)!.flatMap(({ to }) => to)
  const others = [plain, towards(converter.to, op.shape.length)]
  const result = placeUnitAxes(op.shape, moving, [asWanted, asMet, ...others])
  const moved = { ...op, shape: permute(op.shape, result) }
  converter.emit(node, moved, [converter.get(x, from)], [result])
}

/** How the values stand that the readers put the output together with. */
function metOrder(converter: LayoutConverter, output: string, rank: number): Permutation | null {
  for (const { op, inputs } of converter.readers(output)) {
    if (op.kind !== 'Binary' && op.kind !== 'Concat' && op.kind !== 'Where') continue
    for (const name of inputs)
      if (name !== null && name !== output && converter.at(name) && converter.shape(name).length === rank)
        return converter.perm(name)
  }
  return null
}
