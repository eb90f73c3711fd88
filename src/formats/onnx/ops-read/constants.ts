import { constantOf, numbersOf } from '../../../graph/constant.ts'
import { byteLength, elementCount, viewAs } from '../../../tensor.ts'
import { EdgewrightError } from '../../../error.ts'
import { int64Constant, NotExpressible, type OnnxOperator } from '../read-operator.ts'
import { lazyConstant } from '../read-tensor.ts'
import type { ReadTable } from './table.ts'

/** Operators whose result is known without running the model. */
export const constants: ReadTable = {
  Constant: readConstant,
  ConstantOfShape: readConstantOfShape,
  Shape: (operator) => {
    const shape = operator.shape(0)
    const start = bound(operator.attributes.int('start', 0), shape.length)
    const end = bound(operator.attributes.int('end', shape.length), shape.length)
    const part = shape.slice(start, Math.max(start, end))
    operator.produceConstant(int64Constant([part.length], part))
  },
  Size: (operator) => operator.produceConstant(int64Constant([], [elementCount(operator.shape(0))])),
  Range: readRange,
  NonZero: readNonZero,
}

function bound(index: number, rank: number): number {
  return Math.max(0, Math.min(rank, index < 0 ? index + rank : index))
}

function readConstant(operator: OnnxOperator): void {
  const { attributes } = operator
  const tensor = attributes.tensor('value')
  if (tensor) {
    if (tensor.dataType === 8) throw new NotExpressible('it is a tensor of strings')
    operator.produceConstant(operator.tensor(tensor))
    return
  }
  if (attributes.has('value_float'))
    operator.produceConstant(constantOf('float32', [], Float32Array.of(attributes.float('value_float', 0))))
  else if (attributes.has('value_int'))
    operator.produceConstant(int64Constant([], [attributes.int('value_int', 0)]))
  else if (attributes.has('value_floats')) {
    const values = attributes.floats('value_floats')!
    operator.produceConstant(constantOf('float32', [values.length], Float32Array.from(values)))
  } else if (attributes.has('value_ints')) {
    const values = attributes.ints('value_ints')!
    operator.produceConstant(int64Constant([values.length], values))
  } else if (
    attributes.has('sparse_value') ||
    attributes.has('value_string') ||
    attributes.has('value_strings')
  )
    throw new NotExpressible('it is sparse or of strings')
  else throw operator.broken('has no value')
}

/** More than any weight of a network for an edge board; a damaged shape asks for far more. */
const largestFilledBytes = 2 ** 30

function readConstantOfShape(operator: OnnxOperator): void {
  const shape = operator.numbers(0, 'shape')
  const tensor = operator.attributes.tensor('value')
  const fill = tensor ? operator.tensor(tensor) : constantOf('float32', [1], new Float32Array(1))
  if (elementCount(fill.shape) !== 1) throw operator.broken('fills with more than one number')
  if (shape.some((dimension) => dimension < 0))
    throw operator.broken('has a negative shape', `[${shape.join(',')}]`)
  if (fill.dtype === 'int4' || fill.dtype === 'uint4') throw new NotExpressible(`it fills with ${fill.dtype}`)
  const bytes = byteLength(fill.dtype, shape)
  if (!(bytes <= largestFilledBytes))
    throw new EdgewrightError('MODEL_TOO_LARGE', 'The model fills a constant of an impossible size.', {
      where: operator.where,
      saw: `[${shape.slice(0, 8).join(',')}]`,
    })
  const element = viewAs(fill.dtype, fill.bytes())[0]!
  operator.produceConstant(
    lazyConstant(fill.dtype, shape, bytes, () => {
      const filled = new Uint8Array(bytes)
      const data = viewAs(fill.dtype, filled)
      data.fill(element as never)
      return filled
    }),
  )
}

function readRange(operator: OnnxOperator): void {
  const { dtype } = operator.type(0)
  const [start, limit, delta] = [0, 1, 2].map((i) => operator.number(i, 'bounds') ?? Number.NaN) as [
    number,
    number,
    number,
  ]
  const count = Math.max(0, Math.ceil((limit - start) / delta))
  if (!Number.isSafeInteger(count) || count > 1 << 24)
    throw operator.broken('has an impossible range', `${start} to ${limit} by ${delta}`)
  if (!['float32', 'float64', 'int16', 'int32', 'int64'].includes(dtype))
    throw new NotExpressible(`it ranges over ${dtype}`)
  const data = viewAs(dtype, new Uint8Array(byteLength(dtype, [count])))
  for (let i = 0; i < count; i++) {
    const value = start + i * delta
    data[i] = dtype === 'int64' ? BigInt(value) : value
  }
  operator.produceConstant(constantOf(dtype, [count], data))
}

/** Of a constant only: elsewhere its shape depends on the data. */
function readNonZero(operator: OnnxOperator): void {
  const constant = operator.constant(0)
  if (!constant || constant.byteLength > 1 << 20)
    throw new NotExpressible('the shape of its result depends on the data')
  const { shape } = constant
  const found = numbersOf(constant).flatMap((value, i) => (value !== 0 ? [i] : []))
  const columns = shape.map((_, axis) => {
    const stride = elementCount(shape.slice(axis + 1))
    return found.map((index) => Math.floor(index / stride) % shape[axis]!)
  })
  operator.produceConstant(int64Constant([shape.length, found.length], columns.flat()))
}
