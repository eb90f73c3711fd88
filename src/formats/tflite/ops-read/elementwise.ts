import type { Binary, Comparison, Unary } from '../../../graph/ops.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const elementwise: ReadTable = {
  ADD: (operator) => readSum(operator, 'Add', 'AddOptions'),
  SUB: (operator) => readSum(operator, 'Sub', 'SubOptions'),
  MUL: (operator) => readBinary(operator, 'Mul', operator.options('MulOptions').activation),
  DIV: (operator) => readBinary(operator, 'Div', operator.options('DivOptions').activation),
  POW: (operator) => readBinary(operator, 'Pow', 0),
  MAXIMUM: (operator) => readBinary(operator, 'Max', 0),
  MINIMUM: (operator) => readBinary(operator, 'Min', 0),
  SQUARED_DIFFERENCE: readSquaredDifference,
  SQUARE: (operator) => {
    const x = operator.input(0)
    operator.produce({ kind: 'Binary', fn: 'Mul' }, [x, x])
  },
  ABS: unary('Abs'),
  CEIL: unary('Ceil'),
  COS: unary('Cos'),
  EXP: unary('Exp'),
  FLOOR: unary('Floor'),
  LOG: unary('Log'),
  LOGICAL_NOT: unary('Not'),
  NEG: unary('Neg'),
  ROUND: unary('Round'),
  SIGN: unary('Sign'),
  SIN: unary('Sin'),
  SQRT: unary('Sqrt'),
  RSQRT: readReciprocalRoot,
  EQUAL: comparison('Equal'),
  NOT_EQUAL: readNotEqual,
  GREATER: comparison('Greater'),
  GREATER_EQUAL: comparison('GreaterOrEqual'),
  LESS: comparison('Less'),
  LESS_EQUAL: comparison('LessOrEqual'),
  LOGICAL_AND: comparison('And'),
  LOGICAL_OR: comparison('Or'),
  SELECT: readSelect,
  SELECT_V2: (operator) => operator.produce({ kind: 'Where' }, operator.inputs),
}

function unary(fn: Unary['fn']) {
  return (operator: OperatorInReading) => operator.produce({ kind: 'Unary', fn }, [operator.input(0)])
}

function comparison(fn: Comparison['fn']) {
  return (operator: OperatorInReading) => operator.produce({ kind: 'Comparison', fn }, operator.inputs)
}

/** An old flag makes 16-bit sums use scales that are powers of two: other numbers than ours. */
function readSum(operator: OperatorInReading, fn: 'Add' | 'Sub', name: 'AddOptions' | 'SubOptions'): void {
  const options = operator.options(name)
  const { dtype, quantization } = operator.declared()
  if (dtype === 'int16' && quantization && options.potScaleInt16)
    throw new NotExpressible('it rescales 16-bit integers by powers of two')
  readBinary(operator, fn, options.activation)
}

function readBinary(operator: OperatorInReading, fn: Binary['fn'], activation: number): void {
  operator.produceActivated({ kind: 'Binary', fn }, [operator.input(0), operator.input(1)], activation)
}

function readSquaredDifference(operator: OperatorInReading): void {
  if (operator.quantized) throw new NotExpressible('its difference has no quantization')
  const difference = operator.step({ kind: 'Binary', fn: 'Sub' }, operator.inputs, 'difference')
  operator.produce({ kind: 'Binary', fn: 'Mul' }, [difference, difference])
}

function readReciprocalRoot(operator: OperatorInReading): void {
  if (operator.quantized) throw new NotExpressible('its root has no quantization')
  const root = operator.step({ kind: 'Unary', fn: 'Sqrt' }, [operator.input(0)], 'root')
  operator.produce({ kind: 'Unary', fn: 'Reciprocal' }, [root])
}

function readNotEqual(operator: OperatorInReading): void {
  const [equal] = operator.steps({ kind: 'Comparison', fn: 'Equal' }, operator.inputs, 'equal', [null])
  operator.produce({ kind: 'Unary', fn: 'Not' }, [equal!])
}

/** A condition of one dimension chooses rows. */
function readSelect(operator: OperatorInReading): void {
  const condition = operator.shape(0)
  const rank = operator.shape(1).length
  let chosen = operator.input(0)
  if (condition.length === 1 && rank > 1) {
    const shape = [condition[0]!, ...new Array<number>(rank - 1).fill(1)]
    chosen = operator.step({ kind: 'Reshape', shape }, [chosen], 'rows')
  }
  operator.produce({ kind: 'Where' }, [chosen, operator.input(1), operator.input(2)])
}
