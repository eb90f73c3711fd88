import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import { constantOf, float32Constant } from '../../../graph/constant.ts'
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
    operator.produceFirst(
      { kind: 'BatchNormalization', epsilon: attributes.float('epsilon', 1e-5), layout: 'channels-first' },
      inputs,
    )
  },
  LayerNormalization: readLayerNormalization,
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

function readLayerNormalization(operator: OnnxOperator): void {
  const rank = operator.rank(0)
  const axis = operator.axis(operator.attributes.int('axis', -1), rank)
  const epsilon = operator.attributes.float('epsilon', 1e-5)
  const axes = Array.from({ length: rank - axis }, (_, i) => axis + i)
  const x = operator.input(0)
  const mean = () => operator.step({ kind: 'Reduce', fn: 'Mean', axes, keepDims: true }, [x], 'mean')
  // mean and deviation beside the result are rare: they are said by reductions of their own
  if (operator.usesOutput(1)) operator.alias(mean(), 1)
  if (operator.usesOutput(2)) operator.alias(inverseDeviation(operator, mean(), axes, epsilon), 2)
  operator.produceFirst({ kind: 'LayerNormalization', axis, epsilon }, [
    x,
    operator.input(1),
    operator.optional(2),
  ])
}

/** 1 / √(mean((x − mean)²) + ε) */
function inverseDeviation(
  operator: OnnxOperator,
  mean: string,
  axes: readonly number[],
  epsilon: number,
): string {
  if (operator.type(0).dtype !== 'float32') throw new NotExpressible('its deviation is used')
  const binary = (fn: 'Sub' | 'Mul' | 'Add', a: string, b: string, like: string) =>
    operator.step({ kind: 'Binary', fn }, [a, b], like)
  const centred = binary('Sub', operator.input(0), mean, 'centred')
  const variance = operator.step(
    { kind: 'Reduce', fn: 'Mean', axes, keepDims: true },
    [binary('Mul', centred, centred, 'square')],
    'variance',
  )
  const sum = binary(
    'Add',
    variance,
    operator.addConstant('epsilon', float32Constant([], [epsilon])),
    'regular',
  )
  return operator.step(
    { kind: 'Unary', fn: 'Reciprocal' },
    [operator.step({ kind: 'Unary', fn: 'Sqrt' }, [sum], 'deviation')],
    'inverse',
  )
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
