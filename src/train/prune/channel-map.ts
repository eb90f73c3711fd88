import { EdgewrightError } from '../../error.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { ChannelTies } from './channel-ties.ts'
import { carryChannels } from './channel-rules.ts'

/** Which channel each index along one axis of a value belongs to. */
export interface Channels {
  readonly axis: number
  readonly ids: readonly number[]
}

/** Channels that a layer's outputs have in common: those that may be removed, each with all that is tied to it. */
export interface ChannelGroup {
  /** Layers that make these channels. */
  readonly layers: readonly string[]
  /** Representatives: removing one removes whatever is tied to it, wherever it is. */
  readonly channels: readonly number[]
}

/** An operand that is constant, with the channels along one or two of its axes. */
export interface ConstantUse {
  readonly node: Node
  readonly input: number
  readonly axes: readonly Channels[]
}

/** Channels of a whole network, and what each of them is tied to. */
export interface ChannelMap {
  readonly graph: Graph
  readonly groups: readonly ChannelGroup[]
  /** Of values that have a channel axis that is followed. */
  readonly values: ReadonlyMap<string, Channels>
  readonly constants: readonly ConstantUse[]
  /** The representative of a channel. */
  find(id: number): number
}

/**
 * Follows channels through a network: which must be removed together (both sides of an addition, what passes a depthwise
 * convolution, the positions of a flattened picture), and which cannot be removed (those of inputs and outputs, and what
 * passes an operator that mixes them in a way that is not known).
 *
 * @throws GRAPH_INVALID where the graph is quantized already
 */
export function channelMap(graph: Graph): ChannelMap {
  for (const { type, name } of graph.values.values())
    if (type.quantization)
      throw new EdgewrightError('GRAPH_INVALID', 'Channels are pruned before a network is quantized.', {
        where: name,
      })
  const ties = new ChannelTies()
  const values = new Map<string, Channels>()
  const constants: ConstantUse[] = []
  for (const node of graph.nodes) {
    const made = carryChannels(node, {
      graph,
      values,
      ties,
      use: (input, ...axes) => constants.push({ node, input, axes }),
    })
    node.outputs.forEach((output, index) => {
      const channels = made?.[index]
      if (channels) values.set(output, channels)
    })
    // what is not followed any further must stay
    if (made === null)
      for (const name of node.inputs) for (const id of values.get(name ?? '')?.ids ?? []) ties.pin(id)
  }
  for (const name of graph.outputs) for (const id of values.get(name)?.ids ?? []) ties.pin(id)
  return { graph, groups: ties.groups(), values, constants, find: (id) => ties.find(id) }
}
