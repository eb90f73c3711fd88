import type { TensorType } from '../../graph/types.ts'
import { integerRange, type QuantizedType } from '../../quantize/affine.ts'

/** The reals that a quantized tensor with one scale can hold: k · scale for whole k from `lowest` to `highest`. */
export interface Grid {
  readonly scale: number
  /** −128 − zeroPoint of int8: the zero point is the integer that means 0. */
  readonly lowest: number
  readonly highest: number
}

/** That of a type with one scale; null for reals, plain integers and types with a scale for each channel. */
export function gridOf({ dtype, quantization }: TensorType): Grid | null {
  if (!quantization || quantization.axis !== null || !(dtype in integerRange)) return null
  const [low, high] = integerRange[dtype as QuantizedType]
  const zeroPoint = quantization.zeroPoints[0]!
  return { scale: quantization.scales[0]!, lowest: low - zeroPoint, highest: high - zeroPoint }
}

export function sameGrid(a: Grid | null, b: Grid | null): boolean {
  if (!a || !b) return a === b
  return a.scale === b.scale && a.lowest === b.lowest && a.highest === b.highest
}

/** The same share of the integers below and above 0 with fewer bits; the scale spans the same range. */
export function narrowed({ scale, lowest, highest }: Grid, bits: number): Grid {
  const levels = 2 ** bits - 1
  const low = Math.round((lowest * levels) / (highest - lowest))
  return {
    scale: Math.fround((scale * (highest - lowest)) / levels),
    lowest: low,
    highest: low + levels,
  }
}
