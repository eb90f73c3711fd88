import type { Layout, OpOf } from '../../graph/ops.ts'
import type { Constant, Graph, Node } from '../../graph/types.ts'
import { elementCount } from '../../tensor.ts'
import type { Channels } from './channel-map.ts'
import type { ChannelTies } from './channel-ties.ts'

export interface ChannelContext {
  readonly graph: Graph
  readonly values: ReadonlyMap<string, Channels>
  readonly ties: ChannelTies
  /** Notes a constant operand that has channels along axes. */
  use(input: number, ...axes: Channels[]): void
}

type Carried = readonly (Channels | null)[] | null

/** Channels of a node's outputs; null where its operands' channels are not followed through it and must stay. */
export function carryChannels(node: Node, context: ChannelContext): Carried {
  const { op } = node
  const x = context.values.get(node.inputs[0] ?? '')
  switch (op.kind) {
    case 'Conv':
      return carryConv(op, node, context)
    case 'ConvTranspose':
      return carryConvTranspose(op, node, context)
    case 'Gemm':
    case 'MatMul':
      return carryProduct(op, node, context)
    case 'BatchNormalization':
    case 'InstanceNormalization':
      if (!x) return null
      for (let input = 1; input < node.inputs.length; input++) {
        if (!constantOf(context, node.inputs[input])) return null
        context.use(input, { axis: 0, ids: x.ids })
      }
      return [x]
    case 'PRelu':
    case 'Binary':
      return carryPair(node, context)
    case 'Relu':
    case 'LeakyRelu':
    case 'Clip':
    case 'Sigmoid':
    case 'HardSigmoid':
    case 'HardSwish':
    case 'Tanh':
    case 'Elu':
    case 'Gelu':
    case 'Unary':
    case 'Cast':
    case 'Identity':
    case 'MaxPool':
    case 'AveragePool':
    case 'GlobalAveragePool':
    case 'GlobalMaxPool':
      return x ? [x] : null
    case 'Softmax':
    case 'LogSoftmax':
      return x && x.axis !== op.axis ? [x] : null
    case 'Concat':
      return carryConcat(op, node, context)
    case 'Split':
      return carrySplit(op, node, x)
    case 'Pad':
      return x && op.padsBegin[x.axis] === 0 && op.padsEnd[x.axis] === 0 ? [x] : null
    case 'Slice':
      return x && !op.axes.includes(x.axis) ? [x] : null
    case 'Resize':
    case 'Expand':
    case 'Tile':
      return x && sameRank(node, context) && sizeAlong(node, context, x.axis) === x.ids.length ? [x] : null
    case 'Transpose':
      return x ? [{ axis: op.perm.indexOf(x.axis), ids: x.ids }] : null
    case 'Reduce': {
      if (!x || op.axes.includes(x.axis)) return null
      const gone = op.keepDims ? 0 : op.axes.filter((axis) => axis < x.axis).length
      return [{ axis: x.axis - gone, ids: x.ids }]
    }
    case 'Reshape':
      return carryReshape(node, context, x)
    default:
      return null
  }
}

function carryConv(op: OpOf<'Conv'>, node: Node, context: ChannelContext): Carried {
  const x = operandChannels(node, context, op.layout)
  const weights = constantOf(context, node.inputs[1])
  if (!x || !weights || !constantOrAbsent(context, node.inputs[2])) return null
  const [outputs, perGroup] = weights.shape as [number, number]
  const axis = axisOf(op.layout, node, context)
  let ids: readonly number[]
  if (op.group === 1) {
    ids = context.ties.fresh(node.name, outputs)
    context.use(1, { axis: 0, ids }, { axis: 1, ids: x.ids })
  } else if (perGroup === 1) {
    // a channel goes with all that a depthwise convolution makes of it
    const times = outputs / op.group
    ids = Array.from({ length: outputs }, (_, output) => x.ids[Math.floor(output / times)]!)
    context.use(1, { axis: 0, ids })
  } else {
    // the same position of every group, so that groups stay alike
    ids = context.ties.fresh(node.name, outputs)
    tiePositions(x.ids, perGroup, context.ties)
    tiePositions(ids, outputs / op.group, context.ties)
    context.use(1, { axis: 0, ids }, { axis: 1, ids: x.ids.slice(0, perGroup) })
  }
  if (node.inputs[2]) context.use(2, { axis: 0, ids })
  return [{ axis, ids }]
}

function tiePositions(ids: readonly number[], perGroup: number, ties: ChannelTies): void {
  ids.forEach((id, index) => {
    ties.tie(id, ids[index % perGroup]!)
  })
}

function carryConvTranspose(op: OpOf<'ConvTranspose'>, node: Node, context: ChannelContext): Carried {
  const x = operandChannels(node, context, op.layout)
  const weights = constantOf(context, node.inputs[1])
  if (!x || !weights || op.group !== 1 || !constantOrAbsent(context, node.inputs[2])) return null
  const ids = context.ties.fresh(node.name, weights.shape[1]!)
  context.use(1, { axis: 0, ids: x.ids }, { axis: 1, ids })
  if (node.inputs[2]) context.use(2, { axis: 0, ids })
  return [{ axis: axisOf(op.layout, node, context), ids }]
}

function carryProduct(op: OpOf<'Gemm' | 'MatMul'>, node: Node, context: ChannelContext): Carried {
  const [input, , bias] = node.inputs
  const weights = constantOf(context, node.inputs[1])
  const rank = context.graph.values.get(input!)!.type.shape.length
  const x = channelsAlong(input!, rank - 1, context)
  const transA = op.kind === 'Gemm' && op.transA
  if (!x || !weights || weights.shape.length !== 2 || transA || !constantOrAbsent(context, bias)) return null
  const turned = op.kind === 'Gemm' && op.transB
  const [from, to] = turned ? [1, 0] : [0, 1]
  const ids = context.ties.fresh(node.name, weights.shape[to]!)
  context.use(1, { axis: from, ids: x.ids }, { axis: to, ids })
  const offset = constantOf(context, bias)
  if (offset && offset.shape.at(-1) === ids.length && ids.length > 1)
    context.use(2, { axis: offset.shape.length - 1, ids })
  return [{ axis: rank - 1, ids }]
}

/** Element by element with broadcasting: channels that meet are tied. */
function carryPair(node: Node, context: ChannelContext): Carried {
  const shape = context.graph.values.get(node.outputs[0]!)!.type.shape
  const sides = node.inputs.map((name, input) => {
    const own = context.graph.values.get(name!)!.type.shape
    const channels = context.values.get(name!)
    const lead = shape.length - own.length
    return {
      input,
      own,
      lead,
      constant: constantOf(context, name),
      channels: channels && { ...channels, axis: channels.axis + lead },
    }
  })
  const main = sides.find(
    ({ channels }) => channels && shape[channels.axis] === channels.ids.length,
  )?.channels
  if (!main) return null
  for (const { input, own, lead, constant, channels } of sides) {
    const size = own[main.axis - lead] ?? 1
    if (constant) {
      if (size > 1) context.use(input, { axis: main.axis - lead, ids: main.ids })
    } else if (channels) {
      if (channels.axis !== main.axis) return null
      if (channels.ids.length === main.ids.length)
        channels.ids.forEach((id, index) => {
          context.ties.tie(id, main.ids[index]!)
        })
      else if (channels.ids.length !== 1) return null
      // one value for all channels does not know which of them are there
      else context.ties.pin(channels.ids[0]!)
    } else if (size > 1) return null
  }
  return [main]
}

function carryConcat(op: OpOf<'Concat'>, node: Node, context: ChannelContext): Carried {
  const parts = node.inputs.map((name) => context.values.get(name!) ?? channelsAlong(name!, op.axis, context))
  const [first] = parts
  if (!first || parts.some((part) => !part || part.axis !== first.axis)) return null
  const all = parts as Channels[]
  if (op.axis === first.axis) return [{ axis: op.axis, ids: all.flatMap(({ ids }) => ids) }]
  if (all.some(({ ids }) => ids.length !== first.ids.length)) return null
  for (const { ids } of all)
    ids.forEach((id, index) => {
      context.ties.tie(id, first.ids[index]!)
    })
  return [first]
}

function carrySplit(op: OpOf<'Split'>, node: Node, x: Channels | undefined): Carried {
  if (!x) return null
  if (op.axis !== x.axis) return node.outputs.map(() => x)
  let from = 0
  return op.sizes.map((size) => ({ axis: x.axis, ids: x.ids.slice(from, (from += size)) }))
}

/** A flattened picture repeats its channels along the one axis that still tells them apart. */
function carryReshape(node: Node, { graph }: ChannelContext, x: Channels | undefined): Carried {
  if (!x) return null
  const from = graph.values.get(node.inputs[0]!)!.type.shape
  const to = graph.values.get(node.outputs[0]!)!.type.shape
  const inner = elementCount(from.slice(x.axis + 1))
  const period = inner * x.ids.length
  const axis = to.findIndex((size, at) => {
    const within = elementCount(to.slice(at + 1))
    return inner % within === 0 && (within * size) % period === 0
  })
  if (axis < 0) return null
  const within = elementCount(to.slice(axis + 1))
  const ids = Array.from(
    { length: to[axis]! },
    (_, index) => x.ids[Math.floor((index * within) / inner) % x.ids.length]!,
  )
  return [{ axis, ids }]
}

// -- what is read ------------------------------------------------------------------------------------------------------

function operandChannels(node: Node, context: ChannelContext, layout: Layout): Channels | null {
  const rank = context.graph.values.get(node.inputs[0]!)!.type.shape.length
  return channelsAlong(node.inputs[0]!, layout === 'channels-first' ? 1 : rank - 1, context)
}

/** Channels of a value along an axis: those that are followed, or, of what is not, ones that stay. */
function channelsAlong(name: string, axis: number, { values, graph, ties }: ChannelContext): Channels | null {
  const known = values.get(name)
  if (known) return known.axis === axis ? known : null
  const ids = ties.fresh(name, graph.values.get(name)!.type.shape[axis] ?? 0)
  for (const id of ids) ties.pin(id)
  return { axis, ids }
}

function axisOf(layout: Layout, node: Node, { graph }: ChannelContext): number {
  return layout === 'channels-first' ? 1 : graph.values.get(node.outputs[0]!)!.type.shape.length - 1
}

function sameRank(node: Node, { graph }: ChannelContext): boolean {
  const rank = (name: string) => graph.values.get(name)!.type.shape.length
  return rank(node.inputs[0]!) === rank(node.outputs[0]!)
}

function sizeAlong(node: Node, { graph }: ChannelContext, axis: number): number {
  return graph.values.get(node.outputs[0]!)!.type.shape[axis]!
}

function constantOf({ graph }: ChannelContext, name: string | null | undefined): Constant | null {
  return graph.values.get(name ?? '')?.constant ?? null
}

function constantOrAbsent(context: ChannelContext, name: string | null | undefined): boolean {
  return !name || constantOf(context, name) !== null
}
