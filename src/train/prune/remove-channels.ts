import { EdgewrightError } from '../../error.ts'
import { constantOf, tensorOf } from '../../graph/constant.ts'
import type { Op } from '../../graph/ops.ts'
import type { Constant, Graph, Node } from '../../graph/types.ts'
import { verifyGraph } from '../../graph/verify.ts'
import { elementCount, type TensorData } from '../../tensor.ts'
import { GraphBuilder } from '../builder.ts'
import type { ChannelMap, Channels } from './channel-map.ts'

/**
 * The network without some channels: smaller kernels, vectors and shapes; nothing is computed that nobody reads.
 *
 * @param removed representatives of `map.groups`, with whatever is tied to them
 * @throws GRAPH_INVALID where a layer would lose all its channels
 */
export function removeChannels(map: ChannelMap, removed: ReadonlySet<number>): Graph {
  const { graph } = map
  const stays = (id: number) => !removed.has(map.find(id))
  const kept = (channels: Channels) => channels.ids.flatMap((id, index) => (stays(id) ? [index] : []))
  const b = GraphBuilder.empty(graph.name)
  for (const name of graph.inputs) b.editor.addInput(name, graph.values.get(name)!.type)
  const uses = new Map<Node, Map<number, readonly Channels[]>>()
  for (const { node, input, axes } of map.constants)
    uses.set(node, (uses.get(node) ?? new Map()).set(input, axes))
  const placed = new Map<string, string>()
  const place = (name: string, constant: Constant) => {
    const key = `${name} ${constant.digest}`
    const known = placed.get(key)
    if (known !== undefined) return known
    // a constant that two layers share may become two; names of the network's own values stay theirs
    let free = name
    for (let i = 1; b.editor.hasValue(free) || (free !== name && graph.values.has(free)); i++)
      free = `${name}_${i}`
    placed.set(key, b.editor.addConstant(free, constant))
    return free
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name, input) => {
      const constant = graph.values.get(name ?? '')?.constant
      if (name === null || !constant) return name
      const axes = uses.get(node)?.get(input) ?? []
      return place(
        name,
        axes.reduce((sliced, channels) => sliceAxis(sliced, channels.axis, kept(channels), node), constant),
      )
    })
    b.copy({ ...node, op: shrunk(node, map, kept), inputs }, (name) => name)
  }
  for (const name of graph.outputs) {
    const { constant } = graph.values.get(name)!
    if (constant && !b.editor.hasValue(name)) b.editor.addConstant(name, constant)
  }
  const made = b.finish(graph.outputs)
  verifyGraph(made)
  return made
}

/** The operator with what it says of sizes brought up to date. */
function shrunk(
  node: Node,
  { values, graph }: ChannelMap,
  kept: (channels: Channels) => readonly number[],
): Op {
  const { op } = node
  const resized = (shape: readonly number[]) => {
    const channels = values.get(node.outputs[0]!)
    return channels
      ? shape.map((size, axis) => (axis === channels.axis ? kept(channels).length : size))
      : shape
  }
  switch (op.kind) {
    case 'Conv': {
      const perGroup = graph.values.get(node.inputs[1]!)!.type.shape[1]
      const x = values.get(node.inputs[0]!)
      return op.group > 1 && perGroup === 1 && x ? { ...op, group: kept(x).length } : op
    }
    case 'Reshape':
    case 'Expand':
      return { ...op, shape: resized(op.shape) }
    case 'Resize':
      return { ...op, sizes: resized(op.sizes) }
    case 'Split': {
      const sizes = node.outputs.map((output, index) => {
        const channels = values.get(output)
        return channels && channels.axis === op.axis ? kept(channels).length : op.sizes[index]!
      })
      return { ...op, sizes }
    }
    default:
      return op
  }
}

function sliceAxis(constant: Constant, axis: number, indices: readonly number[], { name }: Node): Constant {
  const size = constant.shape[axis]!
  if (indices.length === size) return constant
  if (indices.length === 0)
    throw new EdgewrightError('GRAPH_INVALID', 'A layer would lose all its channels.', { where: name })
  const { data, shape, dtype } = tensorOf(constant)
  const inner = elementCount(shape.slice(axis + 1))
  const outer = elementCount(shape.slice(0, axis))
  const Make = data.constructor as new (length: number) => TensorData
  const made = new Make(outer * indices.length * inner)
  let at = 0
  for (let o = 0; o < outer; o++)
    for (const index of indices) {
      const start = (o * size + index) * inner
      made.set(data.subarray(start, start + inner) as never, at)
      at += inner
    }
  return constantOf(
    dtype,
    shape.map((extent, i) => (i === axis ? indices.length : extent)),
    made,
  )
}
