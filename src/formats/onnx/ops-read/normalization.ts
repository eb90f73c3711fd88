import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import { constantOf } from '../../../graph/constant.ts'
import { elementCount } from '../../../tensor.ts'
import type { ReadTable } from './table.ts'

export const normalization: ReadTable = {
  BatchNormalization: (operator) => {
    const { attributes } = operator
    if (attributes.flag('training_mode')) throw new NotExpressible('it is in training mode')
    if (operator.opset < 9 && !attributes.flag('spatial', true))
      throw new NotExpressible('it normalizes each position apart (spatial=0)')
    operator.onlyFirstOutput('training statistics')
    const inputs = [0, 1, 2, 3, 4].map((i) => operator.input(i))
    operator.produce(
      { kind: 'BatchNormalization', epsilon: attributes.float('epsilon', 1e-5), layout: 'channels-first' },
      inputs,
    )
  },
  LayerNormalization: (operator) => {
    operator.onlyFirstOutput('mean or deviation')
    const axis = operator.axis(operator.attributes.int('axis', -1), operator.rank(0))
    const epsilon = operator.attributes.float('epsilon', 1e-5)
    operator.produce({ kind: 'LayerNormalization', axis, epsilon }, [
      operator.input(0),
      operator.input(1),
      operator.optional(2),
    ])
  },
  InstanceNormalization: (operator) => {
    const epsilon = operator.attributes.float('epsilon', 1e-5)
    operator.produce({ kind: 'InstanceNormalization', epsilon }, [
      operator.input(0),
      operator.input(1),
      operator.input(2),
    ])
  },
  Dropout: readDropout,
}

/** At inference the data pass as they are and the mask is all true. */
function readDropout(operator: OnnxOperator): void {
  if (operator.opset >= 12 && (operator.number(2, 'training_mode') ?? 0) !== 0)
    throw new NotExpressible('it is in training mode')
  if (operator.usesOutput(1)) {
    if (operator.opset < 10) throw new NotExpressible('its mask is used')
    const shape = operator.shape(0)
    const count = elementCount(shape)
    if (count > 1 << 20) throw new NotExpressible('its mask is used')
    operator.produceConstant(constantOf('bool', shape, new Uint8Array(count).fill(1)), 1)
  }
  operator.alias(operator.input(0))
}
