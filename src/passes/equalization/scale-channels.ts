import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import { replaceWeights } from '../weights.ts'
import type { EqualizationGroups } from './groups.ts'

/**
 * Divides the channels of each group by its scale: weights and biases that give them are divided, weights that read
 * them multiplied. The function stays what it is up to float rounding, where no bounded clip cuts off a scaled channel.
 *
 * @param scales by group, positive; 1 for group 0
 */
export function scaleChannels(
  graph: Graph,
  { layers }: EqualizationGroups,
  scales: ArrayLike<number>,
): Graph {
  const editor = new GraphEditor(graph)
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
