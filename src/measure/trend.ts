import { median } from './statistics.ts'

/** A monotonic trend of a series over time. */
export interface Trend {
  /** Theil–Sen: the median of the slopes of all pairs, in the series' unit per unit of time. */
  readonly slope: number
  /** Mann–Kendall's S in standard deviations, corrected for autocorrelation; its sign is the slope's. */
  readonly score: number
}

/**
 * Theil–Sen slope with the significance of Mann–Kendall's test. With autocorrelation the variance of S is that of fewer,
 * independent values: (1 + ρ) / (1 − ρ) times as large (Yue & Wang, Water Resources Management 18, 2004).
 *
 * @param times ascending
 * @param autocorrelation of neighbours, trend removed, in [0, 1)
 */
export function trendOf(
  times: ArrayLike<number>,
  series: ArrayLike<number>,
  autocorrelation: number,
): Trend | null {
  const n = series.length
  const slopes: number[] = []
  let s = 0
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      s += Math.sign(series[j]! - series[i]!)
      const apart = times[j]! - times[i]!
      if (apart > 0) slopes.push((series[j]! - series[i]!) / apart)
    }
  if (slopes.length === 0) return null
  const variance = ((n * (n - 1) * (2 * n + 5)) / 18) * ((1 + autocorrelation) / (1 - autocorrelation))
  // one step towards zero, as S moves in steps of two
  return { slope: median(slopes), score: (s - Math.sign(s)) / Math.sqrt(variance) }
}
