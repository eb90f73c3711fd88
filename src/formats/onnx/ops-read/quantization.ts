import { numbersOf } from '../../../graph/constant.ts'
import type { Quantization, TensorType } from '../../../graph/types.ts'
import type { DType } from '../../../tensor.ts'
import { dtypeOfDataType } from '../proto.ts'
import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

/** Scales of the file are kept exactly: they become part of the value's type. */
export const quantization: ReadTable = { QuantizeLinear: readQuantize, DequantizeLinear: readDequantize }

function readQuantize(operator: OnnxOperator): void {
  const stated = dtypeOfDataType(operator.attributes.int('output_dtype', 0))
  const dtype = operator.has(2) ? operator.type(2).dtype : (stated ?? 'uint8')
  const { shape } = operator.type(0)
  const plain = { dtype, shape, quantization: null }
  const quantization = orVerbatim(operator, plain)
  if (operator.isReadRaw(0)) throw new NotExpressible('its integers are read as they are', [plain])
  if (operator.type(0).dtype !== 'float32')
    throw new NotExpressible(`it quantizes ${operator.type(0).dtype}`, [plain])
  operator.produce({ kind: 'Convert' }, [operator.input(0)], [{ ...plain, quantization }])
}

/** A quantized constant gets its scale beside it; a plain integer input becomes a quantized one. */
function readDequantize(operator: OnnxOperator): void {
  const type = operator.type(0)
  const plain = { dtype: operator.type(1).dtype, shape: type.shape, quantization: null }
  const wanted = orVerbatim(operator, plain)
  if (plain.dtype !== 'float32') throw new NotExpressible(`it makes ${plain.dtype}`, [plain])
  const constant = operator.constant(0)
  let source = operator.input(0)
  if (constant) source = operator.addConstant('quantized', constant, wanted)
  else if (type.quantization ? !same(type.quantization, wanted) : !operator.quantize(source, wanted))
    throw new NotExpressible('its scale is not that of the value it reads', [plain])
  operator.produce({ kind: 'Convert' }, [source], [plain])
}

/** Parameters that our types cannot hold leave the operator as it is, with its types known. */
function orVerbatim(operator: OnnxOperator, plain: TensorType): Quantization {
  try {
    return parameters(operator, plain.shape)
  } catch (error) {
    throw error instanceof NotExpressible ? new NotExpressible(error.message, [plain]) : error
  }
}

const zeroPointTypes: ReadonlySet<DType> = new Set<DType>([
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'int4',
  'uint4',
])

function parameters(operator: OnnxOperator, shape: readonly number[]): Quantization {
  if (operator.attributes.int('block_size', 0) !== 0) throw new NotExpressible('it is quantized in blocks')
  const scales = operator.numbers(1, 'scale')
  const zero = operator.has(2) ? operator.constant(2) : null
  if (zero && !zeroPointTypes.has(zero.dtype)) throw operator.broken(`has zero points of ${zero.dtype}`)
  if (zero && operator.opType === 'DequantizeLinear' && zero.dtype !== operator.type(0).dtype)
    throw operator.broken(
      'has zero points of another type than its input',
      `${zero.dtype} for ${operator.type(0).dtype}`,
    )
  if (operator.has(2) && !zero) throw new NotExpressible('its zero point is computed while the model runs')
  const zeroPoints = zero ? numbersOf(zero) : scales.map(() => 0)
  const scaleRank = operator.rank(1)
  if (scaleRank > 1) throw new NotExpressible('it is quantized in blocks')
  if (zeroPoints.length !== scales.length)
    throw operator.broken(
      'has another number of zero points than of scales',
      `${zeroPoints.length} and ${scales.length}`,
    )
  if (scales.some((scale) => !(scale > 0) || !Number.isFinite(scale)))
    throw operator.broken('has a scale that is not a positive number')
  if (scaleRank === 0 || scales.length === 1) return { scales, zeroPoints, axis: null }
  const axis = operator.axis(operator.attributes.int('axis', 1), shape.length)
  if (shape[axis] !== scales.length)
    throw operator.broken(
      'has another number of scales than its axis is long',
      `${scales.length} for ${shape[axis]}`,
    )
  return { scales, zeroPoints, axis }
}

function same(a: Quantization, b: Quantization): boolean {
  return (
    a.axis === b.axis && a.scales.join() === b.scales.join() && a.zeroPoints.join() === b.zeroPoints.join()
  )
}
