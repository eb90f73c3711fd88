import type { Op } from '../../graph/ops.ts'
import type { Node } from '../../graph/types.ts'
import type { ElementOrder, LayoutConverter } from './converter.ts'
import { identity } from './permutation.ts'
import { flattenedOrder, inOrder } from './reshape.ts'
import type { Absorb } from './reshape-rule.ts'
import type { RuleContext } from './rules.ts'

/**
 * A flatten of channels and positions meets them in stored order. Where everything behind it ends in matrix products
 * with constant weights, their rows are put into that order instead, and no Transpose is needed.
 */
export const absorbedOrder: Absorb = ({ converter }, output, shape, groups) => {
  const outside = groups.filter((group) => !inOrder(group))
  const [group] = outside
  if (outside.length !== 1 || group!.to.length !== 1) return null
  // the other groups must stand as the source has them
  const axes = groups.flatMap(({ to }) => to)
  if (!axes.every((axis, i) => i === 0 || axis > axes[i - 1]!)) return null
  const [axis] = group!.to as [number]
  const rank = converter.shape(output).length
  if (axis !== rank - 1 || !isAbsorbed(converter, output, rank)) return null
  return { axis, index: flattenedOrder(shape, group!.stored) }
}

/** True where every reader, over what works element by element, ends in constant weights that can be reordered. */
function isAbsorbed(converter: LayoutConverter, name: string, rank: number): boolean {
  if (converter.isKnown(name)) return false
  return converter.readers(name).every((node) => {
    const { op, inputs, outputs } = node
    const follow = () => isAbsorbed(converter, outputs[0]!, rank)
    if (isProduct(op)) return inputs[0] === name && inputs[1] !== name && isConstant(converter, inputs[1])
    if (unary.has(op.kind)) return follow()
    if (op.kind === 'Binary' || op.kind === 'PRelu') {
      const others = inputs.filter((input) => input !== name)
      return others.every((input) => isConstant(converter, input)) && follow()
    }
    if (op.kind === 'BatchNormalization')
      return rank === 2 && inputs.slice(1).every((input) => isConstant(converter, input)) && follow()
    return false
  })
}

/** An operator whose operand has its elements in another order; false for any other. */
export function followOrder({ converter }: RuleContext, node: Node): boolean {
  const ordered = node.inputs.find((name) => name !== null && converter.at(name)?.order)
  if (!ordered) return false
  const { name: x, order } = converter.at(ordered) as { name: string; order: ElementOrder }
  const { op, inputs, outputs } = node
  const perm = identity(converter.shape(outputs[0]!).length)
  if (isProduct(op)) {
    const rank = converter.shape(inputs[1]!).length
    const inner = op.kind === 'Gemm' && op.transB ? 1 : Math.max(rank - 2, 0)
    const rest = inputs.slice(2).map((name) => (name === null ? null : converter.get(name)))
    converter.emit(node, op, [x, converter.reorderedConstant(inputs[1]!, inner, order), ...rest], [perm])
    return true
  }
  const moved = inputs.map((name) => {
    if (name === ordered || name === null) return name && x
    const { shape } = converter.type(name)
    // seen from the right, as broadcasting does
    const axis =
      op.kind === 'BatchNormalization' ? 0 : order.axis - (converter.shape(ordered).length - shape.length)
    return axis >= 0 && shape[axis]! > 1
      ? converter.reorderedConstant(name, axis, order)
      : converter.get(name)
  })
  const kept = op.kind === 'BatchNormalization' ? { ...op, layout: converter.to } : op
  converter.emit(node, kept, moved, [perm], order)
  return true
}

function isProduct(op: Op): op is Extract<Op, { kind: 'Gemm' | 'MatMul' }> {
  return (op.kind === 'Gemm' && !op.transA) || op.kind === 'MatMul'
}

function isConstant(converter: LayoutConverter, name: string | null | undefined): boolean {
  return name == null || (converter.constant(name) !== null && !converter.isCaptured(name))
}

const unary: ReadonlySet<Op['kind']> = new Set([
  'Relu',
  'LeakyRelu',
  'Clip',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'Tanh',
  'Elu',
  'Gelu',
  'Unary',
  'Cast',
  'Identity',
  'Convert',
])
