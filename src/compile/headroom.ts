import type { Graph } from '../graph/types.ts'
import type { Ranges } from '../quantize/ranges.ts'

/**
 * What the ranges of outputs get beyond what calibration saw. Of n samples the largest is exceeded by the next with
 * probability 1/(n+1), and a clipped output is an error without bound, whereas the headroom costs its own share of the
 * resolution: 20·log10(1.1) = 0.83 dB of the output's rounding, no more.
 */
export const outputHeadroom = 0.1

/** Ranges with headroom for the outputs, and for the scores that a softmax or its like makes an output of. */
export function withHeadroom(graph: Graph, ranges: Ranges, share = outputHeadroom): Ranges {
  const widened = new Map(ranges)
  for (const name of outputScores(graph)) {
    const range = ranges.get(name)
    if (range) widened.set(name, { ...range, min: range.min * (1 + share), max: range.max * (1 + share) })
  }
  return widened
}

const keepsOrder = new Set(['Softmax', 'LogSoftmax', 'Sigmoid', 'Reshape', 'Transpose', 'Convert'])

function outputScores({ nodes, outputs, inputs }: Graph): Set<string> {
  const scores = new Set(outputs)
  for (const { op, inputs: read, outputs: made } of [...nodes].reverse())
    if (keepsOrder.has(op.kind) && made.some((name) => scores.has(name)) && read[0]) scores.add(read[0])
  // an input that passes through has the range of its data type or of the samples
  for (const name of inputs) scores.delete(name)
  return scores
}
