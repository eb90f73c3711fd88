import type { OpOf } from '../../graph/ops.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward, GradientFamily } from '../gradient.ts'

type Kind =
  | 'Relu'
  | 'LeakyRelu'
  | 'PRelu'
  | 'Clip'
  | 'Sigmoid'
  | 'HardSigmoid'
  | 'HardSwish'
  | 'Tanh'
  | 'Elu'
  | 'Gelu'
  | 'Softmax'
  | 'LogSoftmax'

/** At a kink the gradient is the one that TensorFlow takes. */
export const activationGradients: GradientFamily<Kind> = {
  Relu: (_, { b, outputs, gradients }) => [b.mul(gradients[0]!, b.mask('Greater', outputs[0]!, b.scalar(0)))],
  LeakyRelu: (op, { b, inputs, gradients }) => [
    b.mul(
      gradients[0]!,
      b.where(b.compare('Greater', inputs[0]!, b.scalar(0)), b.scalar(1), b.scalar(op.alpha)),
    ),
  ],
  PRelu: (_, { b, inputs, gradients, wants }) => {
    const [x, slope] = inputs as [string, string]
    const positive = b.compare('Greater', x, b.scalar(0))
    const dy = gradients[0]!
    return [
      wants(0) ? b.where(positive, dy, b.mul(dy, slope)) : null,
      wants(1) ? b.unbroadcast(b.where(positive, b.scalar(0), b.mul(dy, x)), b.shape(slope)) : null,
    ]
  },
  Clip: (op, backward) => [clipGradient(op, backward)],
  Sigmoid: (_, { b, outputs, gradients }) => {
    const y = outputs[0]!
    return [b.mul(gradients[0]!, b.mul(y, b.sub(b.scalar(1), y)))]
  },
  HardSigmoid: (op, { b, outputs, gradients }) => [
    b.mul(b.mul(gradients[0]!, b.scalar(op.alpha)), inside(b, outputs[0]!, 0, 1)),
  ],
  /** x · clip(x/6 + 1/2, 0, 1): its gate, and inside the gate x/6 more. */
  HardSwish: (_, { b, inputs, gradients }) => {
    const x = inputs[0]!
    const sixth = b.mul(x, b.scalar(1 / 6))
    const gate = b.clip(b.add(sixth, b.scalar(0.5)), 0, 1)
    return [b.mul(gradients[0]!, b.add(gate, b.mul(sixth, inside(b, x, -3, 3))))]
  },
  Tanh: (_, { b, outputs, gradients }) => {
    const y = outputs[0]!
    return [b.mul(gradients[0]!, b.sub(b.scalar(1), b.mul(y, y)))]
  },
  /** Below zero y = α(eˣ − 1), whose derivative is y + α. */
  Elu: (op, { b, inputs, outputs, gradients }) => [
    b.mul(
      gradients[0]!,
      b.where(
        b.compare('Greater', inputs[0]!, b.scalar(0)),
        b.scalar(1),
        b.add(outputs[0]!, b.scalar(op.alpha)),
      ),
    ),
  ],
  Gelu: (op, backward) => [op.approximate === 'tanh' ? geluByTanh(backward) : geluByErf(backward)],
  Softmax: (op, { b, outputs, gradients }) => {
    const weighted = b.mul(gradients[0]!, outputs[0]!)
    return [b.sub(weighted, b.mul(outputs[0]!, b.reduce('Sum', weighted, [op.axis], true)))]
  },
  LogSoftmax: (op, { b, outputs, gradients }) => {
    const dy = gradients[0]!
    return [b.sub(dy, b.mul(b.unary('Exp', outputs[0]!), b.reduce('Sum', dy, [op.axis], true)))]
  },
}

/** What was not changed has it: the bounds too, but for a lower one of 0, which is a Relu's. */
function clipGradient({ min, max }: OpOf<'Clip'>, { b, inputs, outputs, gradients }: Backward): string {
  const [x, y, dy] = [inputs[0]!, outputs[0]!, gradients[0]!]
  if (min === -Infinity && max === Infinity) return dy
  const positive = () => b.compare('Greater', y, b.scalar(0))
  if (min === 0 && max === Infinity) return b.mul(dy, b.cast(positive(), 'float32'))
  const same = b.compare('Equal', x, y)
  return b.mul(dy, b.cast(min === 0 ? b.compare('And', same, positive()) : same, 'float32'))
}

/** 1 strictly between the bounds, else 0. */
function inside(b: GraphBuilder, x: string, min: number, max: number): string {
  const above = b.compare('Greater', x, b.scalar(min))
  return b.cast(b.compare('And', above, b.compare('Less', x, b.scalar(max))), 'float32')
}

/** Φ(x) + x·φ(x), with the normal distribution and its density. */
function geluByErf({ b, inputs, gradients }: Backward): string {
  const x = inputs[0]!
  const erf = b.unary('Erf', b.mul(x, b.scalar(Math.SQRT1_2)))
  const distribution = b.mul(b.add(erf, b.scalar(1)), b.scalar(0.5))
  const bell = b.unary('Exp', b.mul(b.mul(x, x), b.scalar(-0.5)))
  const density = b.mul(bell, b.scalar(1 / Math.sqrt(2 * Math.PI)))
  return b.mul(gradients[0]!, b.add(distribution, b.mul(x, density)))
}

/** Of x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³))). */
function geluByTanh({ b, inputs, gradients }: Backward): string {
  const x = inputs[0]!
  const k = Math.sqrt(2 / Math.PI)
  const square = b.mul(x, x)
  const inner = b.mul(b.mul(x, b.scalar(k)), b.add(b.mul(square, b.scalar(0.044715)), b.scalar(1)))
  const tanh = b.op({ kind: 'Tanh' }, [inner])
  const slope = b.add(b.mul(square, b.scalar(3 * 0.044715 * k)), b.scalar(k))
  const gate = b.mul(b.add(tanh, b.scalar(1)), b.scalar(0.5))
  const moved = b.mul(b.mul(b.sub(b.scalar(1), b.mul(tanh, tanh)), slope), b.mul(x, b.scalar(0.5)))
  return b.mul(gradients[0]!, b.add(gate, moved))
}
