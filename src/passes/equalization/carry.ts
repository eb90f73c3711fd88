import type { Graph, Node } from '../../graph/types.ts'
import type { Op, OpOf } from '../../graph/ops.ts'
import { type ChannelUnion, type ScaledAxis, unscaled } from './channel-union.ts'
import { carryReshape } from './carry-reshape.ts'

/** What a rule may look at. Values without an entry in `scaled` stay as they are. */
export interface CarryContext {
  readonly graph: Graph
  readonly scaled: ReadonlyMap<string, ScaledAxis>
  readonly union: ChannelUnion
  /** The axis on which a weighted layer reads a value; undefined where none does. */
  axisOfReaders(name: string): number | undefined
}

/**
 * How positive scales of channels pass an operator that keeps them: f(x / s) = f(x) / s. Channels that it mixes are
 * united. One entry for each output; null where the operator does not keep scales, as no hard-swish, SiLU or sigmoid
 * does.
 */
export function carry(node: Node, context: CarryContext): readonly (ScaledAxis | null)[] | null {
  const { op } = node
  if (op.kind === 'Concat') return carryConcat(op, node, context)
  if (op.kind === 'Binary') return carryBinary(op, node, context)
  const x = context.scaled.get(node.inputs[0] ?? '')
  // a further operand that is scaled too would be scaled for nothing
  if (!x || node.inputs.slice(1).some((name) => name && context.scaled.has(name))) return null
  return carryOne(op, node, x, context)
}

function carryOne(
  op: Op,
  node: Node,
  x: ScaledAxis,
  context: CarryContext,
): readonly (ScaledAxis | null)[] | null {
  switch (op.kind) {
    case 'Relu':
    case 'LeakyRelu':
    case 'PRelu':
    case 'Identity':
    case 'MaxPool':
    case 'AveragePool':
    case 'GlobalAveragePool':
    case 'GlobalMaxPool':
      return [x]
    case 'Clip':
      return op.min <= 0 && op.max >= 0 ? [x] : null
    case 'Unary':
      return op.fn === 'Abs' || op.fn === 'Neg' ? [x] : null
    case 'Resize':
      return op.sizes[x.axis] === x.channels.length &&
        (op.coordinateTransformation !== 'tf_crop_and_resize' || op.extrapolationValue === 0)
        ? [x]
        : null
    case 'Transpose':
      return [{ ...x, axis: op.perm.indexOf(x.axis) }]
    case 'Reshape':
      return carryReshape(node, x, context)
    case 'Reduce':
      return carryReduce(op, x)
    case 'Pad':
      return carryPad(op, x, context)
    case 'Split':
      return carrySplit(op, x)
    case 'Slice':
      return [carrySlice(op, node, x, context)]
    default:
      return null
  }
}

/** Scales of both operands of a sum are the same; a factor that is not scaled lets those of the other pass. */
function carryBinary(
  { fn }: OpOf<'Binary'>,
  node: Node,
  { graph, scaled, union }: CarryContext,
): readonly ScaledAxis[] | null {
  const [a, b] = node.inputs.map((name) => scaled.get(name!))
  const rank = (name: string) => graph.values.get(name)!.type.shape.length
  const shape = graph.values.get(node.outputs[0]!)!.type.shape
  // operands are aligned at the right
  const aligned = (side: ScaledAxis, index: number): ScaledAxis => ({
    ...side,
    axis: side.axis + shape.length - rank(node.inputs[index]!),
  })
  const keeps = ({ axis, channels }: ScaledAxis) => shape[axis] === channels.length
  if (fn === 'Mul' || fn === 'Div') {
    if (a && b) return null
    const one = a ? aligned(a, 0) : fn === 'Mul' && b ? aligned(b, 1) : null
    return one && keeps(one) ? [one] : null
  }
  if (fn === 'Pow' || !a || !b) return null
  const [left, right] = [aligned(a, 0), aligned(b, 1)]
  if (left.axis !== right.axis || !keeps(left) || !keeps(right)) return null
  union.uniteAll(left.channels, right.channels)
  return [left]
}

/** Each branch keeps its own scales where they are joined along the channels, and shares them along another axis. */
function carryConcat(
  { axis }: OpOf<'Concat'>,
  node: Node,
  context: CarryContext,
): readonly ScaledAxis[] | null {
  const { graph, scaled, union } = context
  const branches = node.inputs.map((name) => scaled.get(name!) ?? null)
  const [first] = branches
  if (branches.every((branch) => branch === null || branch.axis === axis)) {
    const size = (name: string) => graph.values.get(name)!.type.shape[axis]!
    const channels = branches.flatMap((branch, index) =>
      branch ? [...branch.channels] : new Array<number>(size(node.inputs[index]!)).fill(unscaled),
    )
    return [{ axis, channels: Int32Array.from(channels) }]
  }
  if (!first || branches.some((branch) => branch?.axis !== first.axis)) return null
  for (const branch of branches) union.uniteAll(first.channels, branch!.channels)
  return [first]
}

function carryReduce({ fn, axes, keepDims }: OpOf<'Reduce'>, x: ScaledAxis): readonly ScaledAxis[] | null {
  if (axes.includes(x.axis) || !['Mean', 'Sum', 'Max', 'Min', 'L1', 'L2'].includes(fn)) return null
  const gone = keepDims ? 0 : axes.filter((axis) => axis < x.axis).length
  return [{ ...x, axis: x.axis - gone }]
}

/** Channels of zeros that are added take any scale. */
function carryPad(
  { mode, value, padsBegin, padsEnd }: OpOf<'Pad'>,
  x: ScaledAxis,
  { union }: CarryContext,
): readonly ScaledAxis[] | null {
  const [before, after] = [padsBegin[x.axis]!, padsEnd[x.axis]!]
  if (mode === 'constant' && value !== 0) return null
  if (before === 0 && after === 0) return [x]
  if (mode !== 'constant') return null
  const kept = x.channels.slice(Math.max(0, -before), x.channels.length + Math.min(0, after))
  const zeros = (count: number) => union.fresh(Math.max(0, count))
  return [{ ...x, channels: Int32Array.from([...zeros(before), ...kept, ...zeros(after)]) }]
}

function carrySplit({ axis, sizes }: OpOf<'Split'>, x: ScaledAxis): readonly ScaledAxis[] {
  if (axis !== x.axis) return sizes.map(() => x)
  let from = 0
  return sizes.map((size) => {
    from += size
    return { ...x, channels: x.channels.slice(from - size, from) }
  })
}

function carrySlice(
  { axes, starts, steps }: OpOf<'Slice'>,
  node: Node,
  x: ScaledAxis,
  { graph }: CarryContext,
): ScaledAxis {
  const at = axes.indexOf(x.axis)
  if (at < 0) return x
  const size = x.channels.length
  const [start, step] = [starts[at]!, steps[at]!]
  const wrapped = start < 0 ? start + size : start
  const first = Math.min(Math.max(wrapped, 0), step < 0 ? size - 1 : size)
  const count = graph.values.get(node.outputs[0]!)!.type.shape[x.axis]!
  return { ...x, channels: Int32Array.from({ length: count }, (_, i) => x.channels[first + i * step]!) }
}
