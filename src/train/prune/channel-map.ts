import type { Graph } from '../../graph/types.ts'
import { type ChannelGroup, groupsOf } from './channels/groups.ts'
import { makersOf } from './channels/makers.ts'
import { type ChannelStructure, channelStructure } from './channels/structure.ts'

/** The channels of layers that are as wide as each other, because they are added or multiplied. */
export interface LayerChannels {
  /** Layers that make these channels. */
  readonly layers: readonly string[]
  /** Those that may be removed: each an id that stands for whatever is tied to it, wherever it is. */
  readonly channels: readonly number[]
}

/** Channels of a whole network, and what each of them is tied to. */
export interface ChannelMap {
  readonly graph: Graph
  readonly structure: ChannelStructure
  readonly groups: readonly LayerChannels[]
  /** What goes with each channel, by id. */
  readonly tied: ReadonlyMap<number, ChannelGroup>
}

/**
 * Follows channels through a network: which must be removed together (both sides of an addition, what passes a depthwise
 * or grouped convolution, the positions of a flattened picture), and which cannot be removed (those of inputs and outputs,
 * and what passes an operator that mixes them in a way that is not known).
 *
 * @throws MODEL_FORMAT_UNSUPPORTED where the graph is quantized already
 */
export function channelMap(graph: Graph): ChannelMap {
  const structure = channelStructure(graph)
  const tied = groupsOf(structure)
  const makers = makersOf(structure)
  const layers = new Map<string, { layers: Set<string>; channels: number[] }>()
  for (const { id, layer } of tied) {
    const known = layers.get(layer) ?? { layers: new Set(), channels: [] }
    layers.set(layer, known)
    known.channels.push(id)
    for (const name of makers[id]!.length > 0 ? makers[id]! : [layer]) known.layers.add(name)
  }
  return {
    graph,
    structure,
    groups: [...layers.values()].map((found) => ({ layers: [...found.layers], channels: found.channels })),
    tied: new Map(tied.map((group) => [group.id, group])),
  }
}
