import { EdgewrightError } from '../../error.ts'
import type { Quantization, TensorType } from '../../graph/types.ts'
import { type DType, elementCount } from '../../tensor.ts'
import { foreignTensorTypes, tensorTypes, type TfliteTensor } from './schema.ts'

const quantizable: ReadonlySet<DType> = new Set(['int4', 'int8', 'uint8', 'int16', 'int32', 'int64'])

/** The static type that a tensor of the file states, an open leading dimension being `batch`. */
export function declaredType(tensor: TfliteTensor, batch: number, where: string): TensorType {
  const dtype = dtypeOf(tensor, where)
  const shape = (tensor.shape ?? []).map((size, axis) => {
    if (axis === 0 && tensor.shapeSignature?.[0] === -1 && (size === 1 || size === -1)) return batch
    return size
  })
  if (shape.some((size) => size < 0))
    throw new EdgewrightError('MODEL_BROKEN', 'A tensor of the file has a negative size.', {
      where,
      saw: `[${shape.join(',')}]`,
    })
  if (shape.length > 64 || !(elementCount(shape) <= 2 ** 32))
    throw new EdgewrightError('MODEL_TOO_LARGE', 'A tensor of the file has more than 2^32 elements.', {
      where,
      saw: `[${shape.slice(0, 64).join(',')}]`,
    })
  return { dtype, shape, quantization: quantizationOf(tensor, dtype, shape, where) }
}

export function dtypeOf(tensor: TfliteTensor, where: string): DType {
  const dtype = tensorTypes[tensor.type]
  if (dtype) return dtype
  throw new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'A tensor of the file has a type that is not supported.',
    {
      where,
      saw: foreignTensorTypes[tensor.type] ?? `type number ${tensor.type}`,
    },
  )
}

/** Ranges without a scale, and scales of floats, say nothing about how integers map to reals. */
function quantizationOf(
  { quantization }: TfliteTensor,
  dtype: DType,
  shape: readonly number[],
  where: string,
): Quantization | null {
  if (!quantization) return null
  if (quantization.detailsType !== 0)
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      'A tensor of the file is quantized in a way of its own.',
      {
        where,
        saw: `quantization details of kind ${quantization.detailsType}`,
        hint: 'Quantize the model per tensor or per channel.',
      },
    )
  const scales = quantization.scale ?? []
  if (scales.length === 0 || !quantizable.has(dtype)) return null
  const broken = (message: string, saw: string) =>
    new EdgewrightError('MODEL_BROKEN', `A tensor of the file ${message}.`, { where, saw })
  const bad = scales.find((scale) => !(scale > 0 && scale < Infinity))
  if (bad !== undefined) throw broken('has a scale that is not a positive number', String(bad))
  const stated = quantization.zeroPoint ?? []
  if (stated.length > 1 && stated.length !== scales.length)
    throw broken('has another number of zero points than of scales', `${stated.length} and ${scales.length}`)
  const zeroPoints = scales.map((_, i) => stated[stated.length === 1 ? 0 : i] ?? 0)
  if (scales.length === 1) return { scales, zeroPoints, axis: null }
  // some exporters give a bias the axis of its weights
  const axis = shape.length === 1 ? 0 : quantization.quantizedDimension
  if (!(axis >= 0 && axis < shape.length && shape[axis] === scales.length))
    throw broken(
      'has another number of scales than its axis is long',
      `${scales.length} along axis ${axis} of [${shape.join(',')}]`,
    )
  return { scales, zeroPoints, axis }
}
