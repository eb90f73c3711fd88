import { EdgewrightError } from '../../error.ts'
import type { TensorType } from '../../graph/types.ts'
import { elementCount } from '../../tensor.ts'
import type { DeclaredInput } from '../bind-inputs.ts'
import { dtypeOfDataType, type OnnxDimension, type OnnxTensorType, type OnnxValueInfo } from './proto.ts'

/** @throws OPERATOR_UNSUPPORTED for what is not a tensor of a type that we know; MODEL_BROKEN */
export function declaredInput(input: OnnxValueInfo): DeclaredInput {
  const tensor = input.type?.tensorType
  if (!tensor)
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'An input of the model is not a tensor.', {
      where: input.name,
      hint: 'Sequences, maps and optional inputs are not supported.',
    })
  const dtype = dtypeOfDataType(tensor.elemType)
  if (!dtype)
    throw new EdgewrightError(
      'OPERATOR_UNSUPPORTED',
      'An input of the model has an element type that is not supported.',
      { where: input.name, saw: `ONNX data type ${tensor.elemType}` },
    )
  if (tensor.shape && tensor.shape.dim.length > 64)
    throw new EdgewrightError('MODEL_BROKEN', 'An input of the model has an impossible rank.', {
      where: input.name,
      saw: String(tensor.shape.dim.length),
    })
  return { name: input.name, dtype, dimensions: tensor.shape?.dim.map(dimensionOf) ?? null }
}

/** Some exporters write 0 or −1 for an open dimension. */
function dimensionOf({ dimValue, dimParam }: OnnxDimension): number | string | null {
  if (dimValue !== null && Number(dimValue) > 0) return Number(dimValue)
  return dimParam || null
}

/** A declared type whose every dimension is a number; null for anything less. */
export function completeType(tensor: OnnxTensorType | null | undefined): TensorType | null {
  const dtype = tensor && dtypeOfDataType(tensor.elemType)
  if (!dtype || !tensor.shape) return null
  const shape = tensor.shape.dim.map(({ dimValue }) => (dimValue === null ? -1 : Number(dimValue)))
  if (shape.some((size) => size < 0) || !(elementCount(shape) <= 2 ** 32)) return null
  return { dtype, shape, quantization: null }
}
