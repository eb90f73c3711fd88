import type { Binary, Comparison, Unary } from '../../../graph/ops.ts'
import { sameShape } from '../../../graph/infer.ts'
import { tensorTypeOf } from '../schema.ts'
import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'

const unary: Partial<Record<Unary['fn'], string>> = {
  Abs: 'ABS',
  Ceil: 'CEIL',
  Cos: 'COS',
  Exp: 'EXP',
  Floor: 'FLOOR',
  Log: 'LOG',
  Neg: 'NEG',
  Not: 'LOGICAL_NOT',
  Round: 'ROUND',
  Sign: 'SIGN',
  Sin: 'SIN',
  Sqrt: 'SQRT',
}

export function writeUnary(node: NodeInWriting<'Unary'>): void {
  const { fn } = node.op
  const opType = unary[fn]
  const x = node.input(0)
  if (opType) {
    node.write(opType, [x])
    return
  }
  const type = node.outputType
  switch (fn) {
    case 'Reciprocal':
      node.requireFloat('a reciprocal')
      node.write('DIV', [node.scalar(1, 'one'), x], options('DivOptions', {}))
      return
    case 'Softplus': {
      // log(1 + e^x) without overflow: max(x, 0) + log(1 + e^−|x|)
      node.requireFloat('a softplus')
      const negative = node.step('NEG', [node.step('ABS', [x], 'size', type)], 'negative', type)
      const power = node.step('EXP', [negative], 'power', type)
      const sum = node.step('ADD', [power, node.scalar(1, 'one')], 'sum', type, options('AddOptions', {}))
      const log = node.step('LOG', [sum], 'log', type)
      node.write('ADD', [node.step('RELU', [x], 'positive', type), log], options('AddOptions', {}))
      return
    }
    case 'Softsign': {
      node.requireFloat('a softsign')
      const size = node.step('ABS', [x], 'size', type)
      const sum = node.step('ADD', [size, node.scalar(1, 'one')], 'sum', type, options('AddOptions', {}))
      node.write('DIV', [x, sum], options('DivOptions', {}))
      return
    }
    default:
      throw node.unsupported(`the function ${fn}`)
  }
}

export function writeBinary(node: NodeInWriting<'Binary'>): void {
  const { activation } = node
  const inputs = [node.input(0), node.input(1)]
  // 16-bit sums with the scales that they have
  const sum =
    node.outputType.dtype === 'int16' && node.outputType.quantization ? { potScaleInt16: false } : {}
  const write: Record<Binary['fn'], () => void> = {
    Add: () => node.write('ADD', inputs, options('AddOptions', { activation, ...sum })),
    Sub: () => node.write('SUB', inputs, options('SubOptions', { activation, ...sum })),
    Mul: () => node.write('MUL', inputs, options('MulOptions', { activation })),
    Div: () => node.write('DIV', inputs, options('DivOptions', { activation })),
    Pow: () => node.write('POW', [inputs[0]!, exponentOf(node)]),
    Min: () => node.write('MINIMUM', inputs),
    Max: () => node.write('MAXIMUM', inputs),
  }
  write[node.op.fn]()
}

/** The file wants base and exponent of one type. */
function exponentOf(node: NodeInWriting<'Binary'>): number {
  const [base, exponent] = [node.type(0).dtype, node.type(1)]
  if (exponent.dtype === base) return node.input(1)
  const values = { inDataType: tensorTypeOf(exponent.dtype), outDataType: tensorTypeOf(base) }
  return node.step(
    'CAST',
    [node.input(1)],
    'exponent',
    { ...exponent, dtype: base },
    options('CastOptions', values),
  )
}

const comparisons: Record<Comparison['fn'], string> = {
  Equal: 'EQUAL',
  Greater: 'GREATER',
  GreaterOrEqual: 'GREATER_EQUAL',
  Less: 'LESS',
  LessOrEqual: 'LESS_EQUAL',
  And: 'LOGICAL_AND',
  Or: 'LOGICAL_OR',
  // of truths, to differ is to be one or the other
  Xor: 'NOT_EQUAL',
}

export function writeComparison(node: NodeInWriting<'Comparison'>): void {
  node.write(comparisons[node.op.fn], node.inputs)
}

/** The older operator does not broadcast, and more runtimes know it. */
export function writeWhere(node: NodeInWriting<'Where'>): void {
  const shapes = [0, 1, 2].map((index) => node.type(index).shape)
  const alike = shapes.every((shape) => sameShape(shape, shapes[0]!))
  node.write(alike ? 'SELECT' : 'SELECT_V2', node.inputs)
}
