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
  Relu: { none: 'its rule is not written' },
  LeakyRelu: { none: 'its rule is not written' },
  PRelu: { none: 'its rule is not written' },
  Clip: { none: 'its rule is not written' },
  Sigmoid: { none: 'its rule is not written' },
  HardSigmoid: { none: 'its rule is not written' },
  HardSwish: { none: 'its rule is not written' },
  Tanh: { none: 'its rule is not written' },
  Elu: { none: 'its rule is not written' },
  Gelu: { none: 'its rule is not written' },
  Softmax: { none: 'its rule is not written' },
  LogSoftmax: { none: 'its rule is not written' },
}
