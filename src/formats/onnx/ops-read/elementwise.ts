import { type binaryFunctions, comparisonFunctions, type Op, unaryFunctions } from '../../../graph/ops.ts'
import { dtypeOfDataType } from '../proto.ts'
import { NotExpressible, type OnnxOperator, scalarConstant } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

type BinaryFunction = (typeof binaryFunctions)[number]

const floats = ['float32', 'float16', 'bfloat16', 'float64']

export const elementwise: ReadTable = {
  ...Object.fromEntries(
    unaryFunctions.map((fn) => [
      fn,
      (operator: OnnxOperator) => operator.produce({ kind: 'Unary', fn }, [operator.input(0)]),
    ]),
  ),
  ...Object.fromEntries(
    comparisonFunctions.map((fn) => [
      fn,
      (operator: OnnxOperator) =>
        operator.produce({ kind: 'Comparison', fn }, [operator.input(0), operator.input(1)]),
    ]),
  ),
  Add: (operator) => two(operator, 'Add'),
  Sub: (operator) => two(operator, 'Sub'),
  Mul: (operator) => two(operator, 'Mul'),
  Div: (operator) => two(operator, 'Div'),
  Pow: readPow,
  Sum: (operator) => chain(operator, 'Add'),
  Min: (operator) => chain(operator, 'Min'),
  Max: (operator) => chain(operator, 'Max'),
  Mean: readMean,
  Where: (operator) =>
    operator.produce({ kind: 'Where' }, [operator.input(0), operator.input(1), operator.input(2)]),
  Cast: (operator) => {
    const to = operator.attributes.int('to', 0)
    const dtype = dtypeOfDataType(to)
    if (!dtype) throw new NotExpressible(`it casts to ONNX data type ${to}`)
    cast(operator, dtype)
  },
  CastLike: (operator) => cast(operator, operator.type(1).dtype),
  Identity: (operator) => operator.alias(operator.input(0)),
}

function two(operator: OnnxOperator, fn: BinaryFunction): void {
  operator.produce({ kind: 'Binary', fn }, [operator.input(0), operator.input(1)])
}

/** An n-ary operator as a chain from the left. */
function chain(operator: OnnxOperator, fn: BinaryFunction): void {
  const names = operator.inputs
  if (names.length === 0) throw operator.broken('has no inputs')
  if (names.length === 1) operator.alias(names[0]!)
  else operator.produce({ kind: 'Binary', fn }, [chained(operator, fn, names.slice(0, -1)), names.at(-1)!])
}

function chained(operator: OnnxOperator, fn: BinaryFunction, names: readonly string[]): string {
  return names.reduce((sum, name) => operator.step({ kind: 'Binary', fn }, [sum, name], fn.toLowerCase()))
}

function readMean(operator: OnnxOperator): void {
  const names = operator.inputs
  if (names.length === 0) throw operator.broken('has no inputs')
  if (names.length === 1) {
    operator.alias(names[0]!)
    return
  }
  const count = scalarConstant(operator.type(0).dtype, names.length)
  if (!count || names.length > 2048) throw new NotExpressible(`it averages ${operator.type(0).dtype}`)
  operator.produce({ kind: 'Binary', fn: 'Div' }, [
    chained(operator, 'Add', names),
    operator.addConstant('count', count),
  ])
}

/** The exponent may have another type; an integer one is as good in the base's float type. */
function readPow(operator: OnnxOperator): void {
  const [base, exponent] = [operator.type(0), operator.type(1)]
  if (base.dtype === exponent.dtype) {
    two(operator, 'Pow')
    return
  }
  if (!floats.includes(base.dtype) || floats.includes(exponent.dtype))
    throw new NotExpressible(`it raises ${base.dtype} to a power of ${exponent.dtype}`)
  const power = operator.step({ kind: 'Cast' }, [operator.input(1)], 'exponent', {
    ...exponent,
    dtype: base.dtype,
  })
  operator.produce({ kind: 'Binary', fn: 'Pow' }, [operator.input(0), power])
}

function cast(operator: OnnxOperator, dtype: NonNullable<ReturnType<typeof dtypeOfDataType>>): void {
  const from = operator.type(0)
  if (from.dtype === 'string' || dtype === 'string') throw new NotExpressible('it casts strings')
  if (from.dtype === dtype) operator.alias(operator.input(0))
  else
    operator.produce(
      { kind: 'Cast' } satisfies Op,
      [operator.input(0)],
      [{ dtype, shape: from.shape, quantization: null }],
    )
}
