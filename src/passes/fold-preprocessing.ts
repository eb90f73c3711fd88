import { EdgewrightError } from '../error.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph } from '../graph/types.ts'
import { onlyReader } from './match.ts'
import { biasOf, linearOf, padsWithZeros, replaceWeights, takesBias } from './weights.ts'

/** real = (raw · scale − mean) / std, one mean and std a channel, or one for all. */
export interface Normalization {
  readonly scale: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/**
 * Puts the normalization of an input into the first convolution or Gemm, so that raw samples are the input. Zero
 * padding of real values becomes explicit padding with the raw value that means 0, where all channels have the same.
 * @throws RECIPE_INVALID with the reason where the graph does not allow it
 */
export function foldPreprocessing(graph: Graph, input: string, { scale, mean, std }: Normalization): Graph {
  const editor = new GraphEditor(graph)
  const refuse = (reason: string): never => {
    throw new EdgewrightError('RECIPE_INVALID', 'The preprocessing cannot be folded into the network.', {
      where: input,
      saw: reason,
      hint: 'Leave --fold-preprocessing out: the samples are then normalized before they are given to the network.',
    })
  }
  const reader = onlyReader(editor, input)
  if (typeof reader === 'string') return refuse(reader)
  const linear = linearOf(editor, reader)
  if (typeof linear === 'string') return refuse(`${reader.name}: ${linear}`)
  if (reader.inputs[0] !== input) return refuse(`${reader.name} does not take it as its activation`)
  const channels = linear.inputChannels
  const perChannel = (values: readonly number[], what: string): number[] => {
    if (values.length === 1) return new Array<number>(channels).fill(values[0]!)
    return values.length === channels
      ? [...values]
      : refuse(`${values.length} ${what} for ${channels} channels`)
  }
  const means = perChannel(mean.length === 0 ? [0] : mean, 'means')
  const stds = perChannel(std.length === 0 ? [1] : std, 'standard deviations')
  if (scale === 0 || stds.some((s) => !(Math.abs(s) > 0))) return refuse('a scale or standard deviation of 0')
  const factor = stds.map((s) => scale / s)
  const shift = means.map((m, channel) => -m / stds[channel]!)
  const bias = biasOf(editor, linear) ?? refuse(`${reader.name}: its bias is not one number a channel`)
  if (shift.some((s) => s !== 0) && !takesBias(reader)) return refuse(`${reader.name} has no bias`)
  let node = reader
  if (shift.some((s) => s !== 0) && padsWithZeros(reader)) {
    const zeros = means.map((m) => m / scale)
    if (zeros.some((z) => Math.abs(z - zeros[0]!) > 1e-6 * Math.max(1, Math.abs(z))))
      return refuse(
        `${reader.name} pads with zeros, and the raw value that means 0 differs between channels: ${zeros.map((z) => +z.toPrecision(6)).join(', ')}`,
      )
    const { op } = reader
    if (op.kind !== 'Conv') return refuse(`${reader.name} pads with zeros`)
    const first = op.layout === 'channels-first' ? 2 : 1
    const type = editor.type(input)
    const widths = (own: readonly number[]) => type.shape.map((_, axis) => own[axis - first] ?? 0)
    const padsBegin = widths(op.padsBegin)
    const padsEnd = widths(op.padsEnd)
    const padded = editor.freshName(`${input}_padded`)
    const shape = type.shape.map((dimension, axis) => dimension + padsBegin[axis]! + padsEnd[axis]!)
    editor.addNode({
      name: `${reader.name}_pad`,
      op: { kind: 'Pad', mode: 'constant', padsBegin, padsEnd, value: Math.fround(zeros[0]!) },
      inputs: [input],
      outputs: [{ name: padded, type: { ...type, shape } }],
    })
    const none = op.padsBegin.map(() => 0)
    node = editor.updateNode(reader, {
      op: { ...op, padsBegin: none, padsEnd: none },
      inputs: [padded, ...reader.inputs.slice(1)],
    })
  }
  const moved = [...bias]
  const numbers = linear.numbers.map((w, element) => {
    const channel = linear.inputChannelOf(element)
    moved[linear.outputChannelOf(element)]! += w * shift[channel]!
    return w * factor[channel]!
  })
  replaceWeights(editor, { ...linear, node }, numbers, takesBias(reader) ? moved : null)
  return editor.finish()
}
