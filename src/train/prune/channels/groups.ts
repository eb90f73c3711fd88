import type { Graph } from '../../../graph/types.ts'
import { type ChannelStructure, channelStructure, staysGroup } from './structure.ts'

/** Channels that can only be removed together. */
export interface ChannelGroup {
  /** From 1, in the order of the graph. Holds for this graph: after a removal groups are numbered anew. */
  readonly id: number
  /** Name of the first layer that makes them: groups of a layer are compared with each other. */
  readonly layer: string
  /** How many channels of that layer it is. */
  readonly channels: number
  /** How many that layer has, with those that stay. */
  readonly layerChannels: number
  /** What is cut from constant operands. */
  readonly slices: readonly ChannelSlice[]
}

export interface ChannelSlice {
  /** Name of the constant. */
  readonly constant: string
  /** Name of the node that takes it, and as which operand. */
  readonly node: string
  readonly input: number
  readonly axis: number
  readonly indices: readonly number[]
}

/**
 * The channels of a float network that can be removed, each with all that must go with it: through residual sums,
 * depthwise and grouped convolutions, concatenations, splits, reshapes, transposes and gates. Channels of inputs and
 * outputs of the graph stay, and so does what an unknown operator sees. Works in both layouts, with batch normalization
 * folded or not.
 * @throws MODEL_FORMAT_UNSUPPORTED for a quantized network
 */
export function channelGroups(graph: Graph): readonly ChannelGroup[] {
  return groupsOf(channelStructure(graph))
}

export function groupsOf({ groupCount, values, cuts }: ChannelStructure): readonly ChannelGroup[] {
  const layers = new Array<Pick<ChannelGroup, 'layer' | 'channels' | 'layerChannels'> | undefined>(
    groupCount + 1,
  )
  const slices = Array.from({ length: groupCount + 1 }, (): ChannelSlice[] => [])
  const count = (groups: Int32Array) => {
    const counts = new Map<number, number>()
    for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1)
    return counts
  }
  for (const { node, input, axes } of cuts)
    axes.forEach((groups, axis) => {
      if (!groups) return
      const indices = new Map<number, number[]>()
      groups.forEach((group, index) => {
        const known = indices.get(group)
        if (known) known.push(index)
        else indices.set(group, [index])
      })
      for (const [group, at] of indices) {
        if (group === staysGroup) continue
        slices[group]!.push({ constant: node.inputs[input]!, node: node.name, input, axis, indices: at })
      }
      // nodes come in order: who cuts a group first makes it, or reads what padding made
      const made = values
        .get(node.outputs[0]!)
        ?.find((own) => own?.some((group) => indices.has(group) && group !== 0))
      for (const [group, channels] of count(made ?? groups))
        layers[group] ??= { layer: node.name, channels, layerChannels: (made ?? groups).length }
    })
  return Array.from({ length: groupCount }, (_, index): ChannelGroup => {
    const made = layers[index + 1] ?? { layer: '', channels: 1, layerChannels: 1 }
    return { id: index + 1, ...made, slices: slices[index + 1]! }
  })
}
