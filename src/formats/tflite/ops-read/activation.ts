import type { Op } from '../../../graph/ops.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const activation: ReadTable = {
  RELU: one({ kind: 'Relu' }),
  RELU6: one({ kind: 'Clip', min: 0, max: 6 }),
  RELU_N1_TO_1: one({ kind: 'Clip', min: -1, max: 1 }),
  RELU_0_TO_1: one({ kind: 'Clip', min: 0, max: 1 }),
  LOGISTIC: one({ kind: 'Sigmoid' }),
  TANH: one({ kind: 'Tanh' }),
  ELU: one({ kind: 'Elu', alpha: 1 }),
  HARD_SWISH: one({ kind: 'HardSwish' }),
  PRELU: (operator) => operator.produce({ kind: 'PRelu' }, operator.inputs),
  LEAKY_RELU: (operator) =>
    one({ kind: 'LeakyRelu', alpha: operator.options('LeakyReluOptions').alpha })(operator),
  GELU: (operator) =>
    one({ kind: 'Gelu', approximate: operator.options('GeluOptions').approximate ? 'tanh' : 'none' })(
      operator,
    ),
  SOFTMAX: (operator) => {
    const { beta } = operator.options('SoftmaxOptions')
    if (beta !== 1) throw new NotExpressible(`its beta is ${beta}`)
    one({ kind: 'Softmax', axis: lastAxis(operator) })(operator)
  },
  LOG_SOFTMAX: (operator) => one({ kind: 'LogSoftmax', axis: lastAxis(operator) })(operator),
}

function one(op: Op): (operator: OperatorInReading) => void {
  return (operator) => operator.produce(op, [operator.input(0)])
}

function lastAxis(operator: OperatorInReading): number {
  return operator.axis(-1, operator.shape(0).length)
}
