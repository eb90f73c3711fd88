import { viewAs, type Tensor } from '../tensor.ts'
import { floatsOf, roundHalfEven } from './elements.ts'

/** How a network's integer input or output maps to reals: real = (stored − zeroPoint) · scale. */
export interface IntegerType {
  readonly dtype: 'int8' | 'uint8' | 'int16' | 'uint16'
  readonly scale: number
  readonly zeroPoint: number
}

const ranges = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], uint16: [0, 65535] } as const

/**
 * Real tensor to integers as ONNX's QuantizeLinear says: the quotient in 32-bit float, ties to even, saturated.
 * NaN becomes the zero point.
 */
export function quantizeTensor(tensor: Tensor, type: IntegerType): Tensor {
  const values = floatsOf(tensor.dtype, tensor.data)
  const [low, high] = ranges[type.dtype]
  const scale = Math.fround(type.scale)
  const width = type.dtype.endsWith('16') ? 2 : 1
  const data = viewAs(type.dtype, new Uint8Array(values.length * width)) as Int8Array
  for (let i = 0; i < values.length; i++) {
    const quotient = Math.fround(values[i]! / scale)
    const stored = Number.isNaN(quotient) ? type.zeroPoint : roundHalfEven(quotient) + type.zeroPoint
    data[i] = stored < low ? low : Math.min(stored, high)
  }
  return { dtype: type.dtype, shape: tensor.shape, data }
}

/** Integers back to reals (float32). */
export function dequantizeTensor(tensor: Tensor, type: Pick<IntegerType, 'scale' | 'zeroPoint'>): Tensor {
  const stored = floatsOf(tensor.dtype, tensor.data)
  const scale = Math.fround(type.scale)
  return {
    dtype: 'float32',
    shape: tensor.shape,
    data: stored.map((value) => (value - type.zeroPoint) * scale),
  }
}
