import type { GradientFamily } from '../gradient.ts'

export const activationGradients: GradientFamily<
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
> = {
  Relu: (_, { b, outputs, gradients }) => [b.mul(gradients[0]!, b.mask('Greater', outputs[0]!, b.scalar(0)))],
  LeakyRelu: { none: 'its rule is not written' },
  PRelu: { none: 'its rule is not written' },
  Clip: { none: 'its rule is not written' },
  Sigmoid: { none: 'its rule is not written' },
  HardSigmoid: { none: 'its rule is not written' },
  HardSwish: { none: 'its rule is not written' },
  Tanh: { none: 'its rule is not written' },
  Elu: { none: 'its rule is not written' },
  Gelu: { none: 'its rule is not written' },
  Softmax: (op, { b, outputs, gradients }) => {
    const weighted = b.mul(gradients[0]!, outputs[0]!)
    return [b.sub(weighted, b.mul(outputs[0]!, b.reduce('Sum', weighted, [op.axis], true)))]
  },
  LogSoftmax: (op, { b, outputs, gradients }) => {
    const dy = gradients[0]!
    const total = b.reduce('Sum', dy, [op.axis], true)
    return [b.sub(dy, b.mul(b.unary('Exp', outputs[0]!), total))]
  },
}
