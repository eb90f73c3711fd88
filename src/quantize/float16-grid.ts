import { float16ToNumber } from '../graph/constant.ts'
import { numberToFloat16 } from '../graph/encode.ts'

/** Largest finite float16. */
export const largestFloat16 = 65504

/** Below it a number of float16 has too few bits left to be a scale: 64 of its smallest steps. */
const leastScale = 2 ** -18

/**
 * The next scale that float16 holds, for networks that are to mean the same in float16 and in float32. It is never
 * smaller, so nothing is clipped for it, and costs 2^-10 of the resolution at most (more below 6e-5, where float16 thins
 * out). Beyond float16 a scale stays as it is.
 */
export function float16Scale(scale: number): number {
  return nextFloat16(Math.max(scale, leastScale))
}

/** The least float16 number that is not below x; x itself where float16 ends before it. */
export function nextFloat16(x: number): number {
  if (!(x > 0) || x > largestFloat16) return x
  const bits = numberToFloat16(x)
  const nearest = float16ToNumber(bits)
  return nearest >= x ? nearest : float16ToNumber(bits + 1)
}

/** False also for NaN and infinities. */
export function isFloat16(x: number): boolean {
  return Math.abs(x) <= largestFloat16 && float16ToNumber(numberToFloat16(x)) === x
}
