import type { Quantization } from '../graph/types.ts'
import type { DType } from '../tensor.ts'

/** Smallest and largest stored integer of a quantized element type. */
export const integerRange = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
} as const satisfies Partial<Record<DType, readonly [number, number]>>

export type QuantizedType = keyof typeof integerRange

/** One scale and zero point: real = (stored − zeroPoint) · scale. The scale is exact in float32. */
export interface Affine {
  readonly scale: number
  readonly zeroPoint: number
}

/** Keeps products of two scales far from float32's subnormals. */
export const scaleFloor = 2 ** -50

/**
 * The affine map that spans [min, max] widened to hold 0, with the zero point an integer so that real 0 is exact.
 * An empty or zero range gets scale 1.
 */
export function affineOf(min: number, max: number, dtype: QuantizedType): Affine {
  const [low, high] = integerRange[dtype]
  const from = Math.min(0, min)
  const to = Math.max(0, max)
  if (!(to > from)) return { scale: 1, zeroPoint: dtype.startsWith('u') ? low : 0 }
  const scale = Math.max(Math.fround((to - from) / (high - low)), scaleFloor)
  const zeroPoint = Math.min(high, Math.max(low, Math.round(low - from / scale)))
  return { scale, zeroPoint }
}

/** The map with zero point 0 (128 for unsigned types) that spans [−m, m], m the larger magnitude. */
export function symmetricAffineOf(min: number, max: number, dtype: QuantizedType): Affine {
  const [low, high] = integerRange[dtype]
  const zeroPoint = (low + high + 1) / 2
  const magnitude = Math.max(Math.abs(min), Math.abs(max))
  if (magnitude === 0) return { scale: 1, zeroPoint }
  return { scale: Math.max(Math.fround(magnitude / (high - zeroPoint)), scaleFloor), zeroPoint }
}

export function perTensor({ scale, zeroPoint }: Affine): Quantization {
  return { scales: [scale], zeroPoints: [zeroPoint], axis: null }
}

/** Nearest stored integer, halves to even as ONNX's QuantizeLinear rounds, saturated. */
export function quantizeNumber(
  real: number,
  { scale, zeroPoint }: Affine,
  low: number,
  high: number,
): number {
  return Math.min(high, Math.max(low, roundHalfToEven(real / scale) + zeroPoint))
}

export function roundHalfToEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest < 0.5) return floor
  if (rest > 0.5) return floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}
