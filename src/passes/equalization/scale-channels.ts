import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import { replaceWeights } from '../weights.ts'
import type { EqualizationGroups } from './groups.ts'

export interface ChannelScales {
  /** By group: what flows is divided by it. 1 for group 0. */
  readonly scales: ArrayLike<number>
  /** Clips, by node name, that become ReLU: what they cut off flows on. */
  readonly openedClips: ReadonlySet<string>
}

/**
 * Divides the channels of each group by its scale: weights and biases that give them are divided, weights that read
 * them multiplied. The function stays what it is up to float rounding, bounded clips aside.
 */
export function scaleChannels(
  graph: Graph,
  { layers, clips }: EqualizationGroups,
  { scales, openedClips }: ChannelScales,
): Graph {
  const editor = new GraphEditor(graph)
  for (const { node, op } of clips)
    if (openedClips.has(node.name))
      editor.updateNode(node, {
        op: op.min === 0 ? { kind: 'Relu' } : { ...op, max: Number.POSITIVE_INFINITY },
      })
  for (const { linear, bias, inputs, outputs } of layers) {
    if (![...inputs, ...outputs].some((group) => scales[group] !== 1)) continue
    const numbers = linear.numbers.map(
      (w, element) =>
        (w * scales[inputs[linear.inputChannelOf(element)]!]!) /
        scales[outputs[linear.outputChannelOf(element)]!]!,
    )
    const shifted = bias.map((b, channel) => b / scales[outputs[channel]!]!)
    replaceWeights(editor, linear, numbers, shifted)
  }
  return editor.finish()
}
