import { EdgewrightError } from '../error.ts'
import type { Node } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import type { GraphBuilder } from './builder.ts'
import type { Backward } from './gradient.ts'

export interface RunningStatisticsOptions {
  /** Part of a running statistic that stays at each step; 0.99 by default, as Keras has it (PyTorch counts 1 − 0.1). */
  readonly momentum?: number
  /**
   * What a running variance follows: the variance that normalizes the batch (Keras 3 and TensorFlow.js; the default), or
   * the unbiased estimate of the population's (Ioffe and Szegedy, algorithm 2; PyTorch, and the fused kernel of Keras 2).
   */
  readonly runningVariance?: 'biased' | 'unbiased'
}

/** Next values of running statistics, by the value that they replace. */
export interface NextStatistics {
  readonly mean: string
  readonly variance: string
}

/**
 * Puts batch normalization as it trains (Ioffe and Szegedy 2015, algorithm 1) in the place of its inference form: by the
 * mean and the biased variance of the batch, over all axes but the channels. For gradients it counts as one operator.
 *
 * @param node a BatchNormalization, channels first; its output keeps its name
 * @param running where the running statistics stand now, [channels] each
 * @throws OPERATOR_UNSUPPORTED where a channel has one value a batch, whose variance is 0
 */
export function trainBatchNorm(
  b: GraphBuilder,
  node: Node,
  running: NextStatistics,
  options: RunningStatisticsOptions = {},
): NextStatistics {
  if (node.op.kind !== 'BatchNormalization') throw notBatchNorm(node)
  const { epsilon } = node.op
  const [x, scale, bias] = node.inputs as [string, string, string]
  const channels = new Channels(b, x)
  if (channels.count === 1) throw oneValue(node)
  b.editor.removeNode(node)
  return b.within(node.name, () => {
    const mean = channels.mean(x)
    const centered = b.sub(x, mean)
    const variance = channels.mean(b.mul(centered, centered))
    const inverse = b.unary('Reciprocal', b.unary('Sqrt', b.add(variance, b.scalar(epsilon))))
    const factor = b.mul(inverse, channels.along(scale))
    const made = b.add(b.mul(centered, factor), channels.along(bias))
    const output = takeName(b, made, node.outputs[0]!)
    b.customGradient(output, [x, scale, bias], (backward) =>
      gradients(backward, { centered, inverse, factor }),
    )
    const { momentum = 0.99, runningVariance = 'biased' } = options
    const move = (from: string, batch: string, rate: number) =>
      b.add(b.mul(from, b.scalar(momentum)), b.mul(channels.flat(batch), b.scalar(rate)))
    const correction = runningVariance === 'unbiased' ? channels.count / (channels.count - 1) : 1
    return {
      mean: move(running.mean, mean, 1 - momentum),
      variance: move(running.variance, variance, (1 - momentum) * correction),
    }
  })
}

/** Vectors of one number a channel beside activations with channels on axis 1. */
class Channels {
  /** Values of a channel in a batch. */
  readonly count: number
  readonly #b: GraphBuilder
  readonly #axes: readonly number[]
  readonly #shape: readonly number[]

  constructor(b: GraphBuilder, x: string) {
    const shape = b.shape(x)
    this.#b = b
    // a vector of one value a sample counts as one channel
    const axis = shape.length > 1 ? 1 : null
    this.#axes = shape.flatMap((_, at) => (at === axis ? [] : [at]))
    this.#shape = shape.map((size, at) => (at === axis ? size : 1))
    this.count = elementCount(shape) / elementCount(this.#shape)
  }

  mean(x: string): string {
    return this.#b.reduce('Mean', x, this.#axes, true)
  }

  sum(x: string): string {
    return this.#b.reduce('Sum', x, this.#axes, true)
  }

  /** [channels] in the rank of the activations. */
  along(vector: string): string {
    return this.#b.reshape(vector, this.#shape)
  }

  flat(vector: string): string {
    return this.#b.reshape(vector, [elementCount(this.#shape)])
  }
}

interface Saved {
  readonly centered: string
  readonly inverse: string
  readonly factor: string
}

/** Mean and variance depend on x too, which takes what all values of a channel have in common out of its gradient. */
function gradients(
  { b, inputs: [x], gradients: [dy], wants }: Backward,
  { centered, inverse, factor }: Saved,
): (string | null)[] {
  // the builder of the program, which is not the one that the layer was made with
  const channels = new Channels(b, x!)
  const sum = channels.sum(dy!)
  const product = b.mul(channels.sum(b.mul(dy!, centered)), inverse)
  const each = b.scalar(1 / channels.count)
  const dx = () => {
    const along = b.mul(b.mul(factor, inverse), b.mul(product, each))
    const shift = b.mul(factor, b.mul(sum, each))
    return b.sub(b.sub(b.mul(dy!, factor), b.mul(centered, along)), shift)
  }
  return [wants(0) ? dx() : null, channels.flat(product), channels.flat(sum)]
}

/** The node that makes `made` makes `name` instead, whose producer is gone. */
function takeName(b: GraphBuilder, made: string, name: string): string {
  b.editor.updateNode(b.editor.producer(made)!, { outputs: [name] })
  return name
}

function oneValue(node: Node): EdgewrightError {
  return new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'Batch normalization cannot train: each of its channels has one value a batch, which has no variance.',
    {
      where: node.source?.name || node.name,
      hint: 'Train with a larger batch, or with frozen batch normalization.',
    },
  )
}

function notBatchNorm(node: Node): EdgewrightError {
  return new EdgewrightError('INTERNAL', 'Internal error: this is no batch normalization.', {
    where: node.name,
  })
}
