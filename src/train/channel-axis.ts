import type { Layout } from '../graph/ops.ts'
import type { Graph, Node } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'

/**
 * The axis along which a value has the channels of the layer that it comes from, for all values behind a layer whose
 * channels can still be told.
 */
export function channelAxes(graph: Graph): ReadonlyMap<string, number> {
  const axes = new Map<string, number>()
  for (const node of graph.nodes) {
    const axis = channelAxisOf(graph, node, axes)
    if (axis !== null) for (const output of node.outputs) axes.set(output, axis)
  }
  return axes
}

function channelAxisOf(graph: Graph, node: Node, axes: ReadonlyMap<string, number>): number | null {
  const { op, inputs, outputs } = node
  const rankOf = (name: string) => graph.values.get(name)!.type.shape.length
  const rank = rankOf(outputs[0]!)
  const [x] = inputs
  const from = x ? (axes.get(x) ?? null) : null
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
      return byLayout(op.layout, rank)
    case 'Gemm':
      return 1
    case 'MatMul':
      return inputs.some((name) => graph.values.get(name!)!.constant) ? rank - 1 : null
    case 'BatchNormalization':
      return from
    case 'Binary':
    case 'Where': {
      // operands meet from the right
      const known = inputs.flatMap((name) =>
        name !== null && axes.has(name) ? [axes.get(name)! + rank - rankOf(name)] : [],
      )
      return known.length > 0 && known.every((axis) => axis === known[0]) ? known[0]! : null
    }
    case 'Concat': {
      const known = inputs.map((name) => axes.get(name!))
      return known.every((axis) => axis !== undefined && axis === known[0]) ? from : null
    }
    case 'Transpose':
      return from === null ? null : op.perm.indexOf(from)
    case 'Reshape':
      return from === null ? null : throughReshape(graph.values.get(x!)!.type.shape, op.shape, from)
    case 'Reduce': {
      if (from === null || op.axes.includes(from)) return null
      return op.keepDims ? from : from - op.axes.filter((axis) => axis < from).length
    }
    case 'Gather': {
      if (from === null || inputs[1] === null || from === op.axis) return null
      return from < op.axis ? from : from - 1 + rankOf(inputs[1]!)
    }
    case 'DepthToSpace':
    case 'SpaceToDepth':
    case 'ArgMax':
    case 'ArgMin':
    case 'Comparison':
    case 'Opaque':
      return null
    default:
      return from !== null && rankOf(x!) === rank ? from : null
  }
}

function byLayout(layout: Layout, rank: number): number {
  return layout === 'channels-first' ? 1 : rank - 1
}

/** The axis of the same size with as many elements behind it; null where it was cut or joined. */
function throughReshape(from: readonly number[], to: readonly number[], axis: number): number | null {
  const behind = elementCount(from.slice(axis + 1))
  const found = to.findIndex((size, at) => size === from[axis] && elementCount(to.slice(at + 1)) === behind)
  return found < 0 ? null : found
}
