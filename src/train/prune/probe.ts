import type { Generator } from '../../data/generator.ts'
import { elementCount, type Tensor } from '../../tensor.ts'
import { type Loss, logitsOf } from '../losses.ts'
import type { Network } from '../network.ts'

/** The data input of a probe's signs for an output. */
export function probeInput(output: string): string {
  return `probe/${output}`
}

/**
 * A loss for importance without labels: the sum of all outputs, each times a random sign. The square of its gradient by a
 * gate is on average, over the signs, the squared change of the outputs when the gate closes, to first order and summed
 * over the samples of the batch (Hutchinson 1990; with the outputs of a classifier the diagonal of the Gauss-Newton
 * matrix). Scores of classes count as logits, which no Softmax has saturated.
 *
 * A divergence from the network's own outputs cannot take its place: it is at its minimum there, and its gradient is 0 but
 * for rounding.
 */
export const outputProbe: Loss = (b, { outputs, batchSize }) => {
  const parts = outputs.map((output) => {
    const scores = logitsOf(b, output, batchSize)
    return b.reduceAll('Sum', b.mul(scores, b.input(probeInput(output), b.shape(scores))))
  })
  return { loss: parts.reduce((sum, part) => b.add(sum, part)), metrics: {} }
}

/** Signs for one batch: draw others for each, so that importance is a mean over many. */
export function probeFeeds(
  { graph, outputs, batchSize }: Network,
  random: Generator,
): ReadonlyMap<string, Tensor> {
  return new Map(
    outputs.map((output) => {
      const count = elementCount(graph.values.get(output)!.type.shape)
      const data = Float32Array.from({ length: count }, () => (random.next() < 0.5 ? -1 : 1))
      return [probeInput(output), { dtype: 'float32', shape: [batchSize, count / batchSize], data }]
    }),
  )
}
