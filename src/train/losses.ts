import type { Node } from '../graph/types.ts'
import type { GraphBuilder } from './builder.ts'

/** What a loss is computed from: the forward pass as it stands in the program. */
export interface Forward {
  /** Outputs of the network, in its order. */
  readonly outputs: readonly string[]
  readonly batchSize: number
}

/** Scalars: the loss, and what else is worth showing of a batch. */
export interface LossValue {
  readonly loss: string
  readonly metrics: Readonly<Record<string, string>>
}

/** Adds the loss of a batch to the program, with the data inputs that it needs besides the network's own. */
export type Loss = (b: GraphBuilder, forward: Forward) => LossValue

export interface CrossEntropyOptions {
  /** Which output holds the class scores; the first by default. */
  readonly output?: number
  /** Data input with the class of each sample, int64 [N]; −1 takes a sample out. */
  readonly label?: string
  /** Label smoothing (Szegedy et al. 2016): this share of the probability goes to all classes alike. */
  readonly smoothing?: number
}

/**
 * Mean cross-entropy of class labels, with the share of samples that are right as `accuracy`. Scores may be logits or the
 * probabilities of a Softmax at the network's end, whose logits are then taken: the logarithm of a probability that was
 * rounded to 0 has no gradient.
 */
export function crossEntropy({ output = 0, label = 'label', smoothing = 0 }: CrossEntropyOptions = {}): Loss {
  return (b, forward) => {
    const logits = logitsOf(b, forward.outputs[output]!, forward.batchSize)
    const classes = b.shape(logits)[1]!
    const labels = b.input(label, [forward.batchSize], 'int64')
    const indices = b.integers(
      Array.from({ length: classes }, (_, index) => index),
      [1, classes],
    )
    const hot = b.mask('Equal', b.reshape(labels, [forward.batchSize, 1]), indices)
    const counted = b.op({ kind: 'Binary', fn: 'Max' }, [b.reduceAll('Sum', hot), b.scalar(1)])
    const wanted =
      smoothing === 0
        ? hot
        : b.mul(
            b.add(b.mul(hot, b.scalar(1 - smoothing)), b.scalar(smoothing / classes)),
            b.reduce('Sum', hot, [1], true),
          )
    const log = b.op({ kind: 'LogSoftmax', axis: 1 }, [logits])
    const loss = b.unary('Neg', b.div(b.reduceAll('Sum', b.mul(wanted, log)), counted))
    const best = b.op({ kind: 'ArgMax', axis: 1, keepDims: false, selectLastIndex: false }, [logits])
    const right = b.div(b.reduceAll('Sum', b.mask('Equal', best, labels)), counted)
    return { loss, metrics: { accuracy: right } }
  }
}

export interface DistillationOptions {
  readonly output?: number
  /** Softens both sides before they are compared (Hinton et al. 2015). */
  readonly temperature?: number
}

/** The data input of a teacher's output or inner value. */
export function teacherInput(name: string): string {
  return `teacher/${name}`
}

/**
 * Kullback-Leibler divergence of the network's class probabilities from a teacher's, at a temperature T and times T²
 * (Hinton et al. 2015), with the share of samples that both put into one class as `agreement`. The teacher's
 * logits, [N, classes], are the data input `teacherInput(name of the output)`.
 */
export function distillLogits({ output = 0, temperature = 4 }: DistillationOptions = {}): Loss {
  return (b, forward) => {
    const name = forward.outputs[output]!
    const logits = logitsOf(b, name, forward.batchSize)
    const teacher = b.input(teacherInput(name), b.shape(logits))
    const cooled = (x: string) =>
      b.op({ kind: 'LogSoftmax', axis: 1 }, [temperature === 1 ? x : b.div(x, b.scalar(temperature))])
    const [theirs, ours] = [cooled(teacher), cooled(logits)]
    const divergence = b.reduceAll('Sum', b.mul(b.unary('Exp', theirs), b.sub(theirs, ours)))
    const best = (x: string) =>
      b.op({ kind: 'ArgMax', axis: 1, keepDims: false, selectLastIndex: false }, [x])
    const same = b.reduceAll('Mean', b.mask('Equal', best(logits), best(teacher)))
    return {
      loss: b.mul(divergence, b.scalar(temperature ** 2 / forward.batchSize)),
      metrics: { agreement: same },
    }
  }
}

export interface MatchOptions {
  /** Value of the network that is to match. */
  readonly value: string
  /** Value of the teacher, for the name of the data input; the same by default. */
  readonly teacher?: string
}

/**
 * Mean squared difference of a value from the teacher's, relative to the mean square of the teacher's (Romero et al. 2015,
 * normalized so that layers of any size weigh alike). The data input is `teacherInput(teacher)`, of the value's shape.
 */
export function matchValue({ value, teacher = value }: MatchOptions): Loss {
  return (b) => {
    const wanted = b.input(teacherInput(teacher), b.shape(value))
    const difference = b.sub(value, wanted)
    const error = b.reduceAll('Mean', b.mul(difference, difference))
    const power = b.add(b.reduceAll('Mean', b.mul(wanted, wanted)), b.scalar(1e-12))
    return { loss: b.div(error, power), metrics: {} }
  }
}

/** Mean squared difference of an output from the data input `target`, for regression and autoencoders. */
export function meanSquaredError({
  output = 0,
  target = 'target',
}: {
  output?: number
  target?: string
} = {}): Loss {
  return (b, { outputs }) => {
    const name = outputs[output]!
    const difference = b.sub(name, b.input(target, b.shape(name)))
    return { loss: b.reduceAll('Mean', b.mul(difference, difference)), metrics: {} }
  }
}

/** A weighted sum. What a term shows is kept under its own name. */
export function weighted(terms: readonly { readonly loss: Loss; readonly weight: number }[]): Loss {
  return (b, forward) => {
    const made = terms.map(({ loss, weight }) => ({ ...loss(b, forward), weight }))
    const parts = made.map(({ loss, weight }) => (weight === 1 ? loss : b.mul(loss, b.scalar(weight))))
    return {
      loss: parts.reduce((sum, part) => b.add(sum, part)),
      metrics: Object.assign({}, ...made.map(({ metrics }) => metrics)),
    }
  }
}

/** Class scores as [N, classes], before a Softmax that ends the network. */
export function logitsOf(b: GraphBuilder, output: string, batchSize: number): string {
  for (let name: string | null | undefined = output; name; ) {
    // fake quantization stands between a value and what is made of it
    const custom = b.customGradientOf(name)
    const node: Node | null = custom ? null : b.editor.producer(name)
    if (node?.op.kind === 'Softmax') return rows(b, node.inputs[0]!, batchSize)
    const movesOnly: boolean = node?.op.kind === 'Identity' || node?.op.kind === 'Reshape'
    name = custom ? custom.inputs[0] : movesOnly ? node!.inputs[0] : null
  }
  return rows(b, output, batchSize)
}

function rows(b: GraphBuilder, name: string, batchSize: number): string {
  const classes = b.shape(name).reduce((product, size) => product * size, 1) / batchSize
  return b.reshape(name, [batchSize, classes])
}
