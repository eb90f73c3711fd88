import type { Op } from '../../../graph/ops.ts'
import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const activation: ReadTable = {
  Relu: (operator) => one(operator, { kind: 'Relu' }),
  LeakyRelu: (operator) =>
    one(operator, { kind: 'LeakyRelu', alpha: operator.attributes.float('alpha', 0.01) }),
  PRelu: (operator) => operator.produce({ kind: 'PRelu' }, [operator.input(0), operator.input(1)]),
  Clip: readClip,
  Sigmoid: (operator) => one(operator, { kind: 'Sigmoid' }),
  HardSigmoid: (operator) => {
    const { attributes } = operator
    one(operator, {
      kind: 'HardSigmoid',
      alpha: attributes.float('alpha', 0.2),
      beta: attributes.float('beta', 0.5),
    })
  },
  HardSwish: (operator) => one(operator, { kind: 'HardSwish' }),
  Tanh: (operator) => one(operator, { kind: 'Tanh' }),
  Elu: (operator) => one(operator, { kind: 'Elu', alpha: operator.attributes.float('alpha', 1) }),
  Gelu: (operator) => {
    const approximate = operator.attributes.string('approximate', 'none')
    if (approximate !== 'none' && approximate !== 'tanh')
      throw operator.broken('has an unknown approximation', JSON.stringify(approximate))
    one(operator, { kind: 'Gelu', approximate })
  },
  Softmax: (operator) => readSoftmax(operator, 'Softmax'),
  LogSoftmax: (operator) => readSoftmax(operator, 'LogSoftmax'),
}

function one(operator: OnnxOperator, op: Op): void {
  operator.produce(op, [operator.input(0)])
}

/** Bounds are attributes before operator set 11, constant inputs since. */
function readClip(operator: OnnxOperator): void {
  const { attributes } = operator
  const [min, max] =
    operator.opset < 11
      ? [attributes.float('min', Number.NEGATIVE_INFINITY), attributes.float('max', Number.POSITIVE_INFINITY)]
      : [operator.number(1, 'lower bound'), operator.number(2, 'upper bound')]
  if (Number.isNaN(min) || Number.isNaN(max)) throw operator.broken('has a bound that is not a number')
  one(operator, {
    kind: 'Clip',
    min: unbounded(operator, min ?? Number.NEGATIVE_INFINITY),
    max: unbounded(operator, max ?? Number.POSITIVE_INFINITY),
  })
}

/** Exporters write "no bound" as the largest float. */
function unbounded(operator: OnnxOperator, bound: number): number {
  if (Math.abs(bound) >= 3.4028234e38) return bound > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
  const { dtype } = operator.type(0)
  if ((dtype === 'int64' || dtype === 'uint64') && Number.isFinite(bound) && !Number.isSafeInteger(bound))
    throw new NotExpressible('its bounds are beyond 2^53')
  return bound
}

/** Before operator set 13 the axes before `axis` and those from it on were flattened to a matrix first. */
function readSoftmax(operator: OnnxOperator, kind: 'Softmax' | 'LogSoftmax'): void {
  const shape = operator.shape(0)
  if (operator.opset >= 13) {
    one(operator, { kind, axis: operator.axis(operator.attributes.int('axis', -1), shape.length) })
    return
  }
  const stated = operator.attributes.int('axis', 1)
  // a vector has no axis 1: all of it is one row then
  const axis = stated === shape.length ? stated : operator.axis(stated, shape.length)
  const [rows, columns] = [product(shape.slice(0, axis)), product(shape.slice(axis))]
  if (shape.slice(axis + 1).every((dimension) => dimension === 1) && axis < shape.length) {
    one(operator, { kind, axis })
    return
  }
  const matrix = operator.step({ kind: 'Reshape', shape: [rows, columns] }, [operator.input(0)], 'rows')
  const result = operator.step({ kind, axis: 1 }, [matrix], 'softmax')
  operator.produce({ kind: 'Reshape', shape }, [result])
}

function product(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a * b, 1)
}
