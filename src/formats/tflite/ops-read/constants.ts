import { constantOfNumbers } from '../../../graph/encode.ts'
import { elementCount } from '../../../tensor.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

/** What only depends on shapes, which are static here. */
export const constants: ReadTable = {
  SHAPE: (operator) => {
    const shape = operator.shape(0)
    operator.produceConstant(constantOfNumbers(operator.declared().dtype, [shape.length], shape))
  },
  RANK: (operator) =>
    operator.produceConstant(constantOfNumbers(operator.declared().dtype, [], [operator.shape(0).length])),
  FILL: readFill,
}

const mostFilled = 1 << 20

function readFill(operator: OperatorInReading): void {
  const shape = operator.numbers(0, 'shape')
  const { dtype, quantization } = operator.type(1)
  const [value] = operator.numbers(1, 'value')
  if (quantization || dtype === 'int64') throw new NotExpressible(`it fills with ${dtype}`)
  const count = elementCount(shape)
  if (value === undefined || shape.some((size) => size < 0) || !(count <= mostFilled))
    throw operator.broken('fills an impossible shape', `[${shape.join(',')}]`)
  operator.produceConstant(constantOfNumbers(dtype, shape, new Array<number>(count).fill(value)))
}
