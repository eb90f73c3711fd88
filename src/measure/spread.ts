import { median } from './statistics.ts'

/** Consistency factor: 1.4826·MAD estimates the standard deviation of normal values. */
const normalFactor = 1.4826

/** Median absolute deviation from the median, unscaled; 0 where more than half of the values are equal. */
export function medianAbsoluteDeviation(values: ArrayLike<number>, centre = median(values)): number {
  return median(Float64Array.from(values, (value) => Math.abs(value - centre)))
}

/** Standard deviation as the middle half of the values tells it: up to half of them may be anything. */
export function robustDeviation(values: ArrayLike<number>): number {
  return values.length < 2 ? 0 : normalFactor * medianAbsoluteDeviation(values)
}
