import { medianAbsoluteDeviation } from './spread.ts'
import { median } from './statistics.ts'

/** Latencies above these are outliers; nanoseconds, infinite where nothing scatters. */
export interface OutlierFences {
  readonly mildNs: number
  readonly severeNs: number
}

/** Modified z-scores: 3.5 as Iglewicz & Hoaglin recommend, 10 (14.826 median absolute deviations) as hyperfine warns from. */
const mildScore = 3.5
const severeScore = 10
/** What makes the deviations those of a normal distribution: 1 / Φ⁻¹(0.75) for the median, √(π/2) for the mean. */
const medianFactor = 1.4826
const meanFactor = 1.2533

/**
 * Where outliers begin, by the modified z-score (Iglewicz & Hoaglin, How to Detect and Handle Outliers, 1993): distance from
 * the median in median absolute deviations, and in mean absolute ones where more than half of all are equal.
 */
export function outlierFences(latencyNs: ArrayLike<number>): OutlierFences {
  if (latencyNs.length === 0) return { mildNs: Number.POSITIVE_INFINITY, severeNs: Number.POSITIVE_INFINITY }
  const centre = median(latencyNs)
  const unit =
    medianFactor * medianAbsoluteDeviation(latencyNs, centre) ||
    meanFactor * meanAbsoluteDeviation(latencyNs, centre) ||
    Number.POSITIVE_INFINITY
  return { mildNs: centre + mildScore * unit, severeNs: centre + severeScore * unit }
}

/** Outliers above the median, each counted once; nothing is dropped for it. */
export function countOutliers(latencyNs: ArrayLike<number>): { mild: number; severe: number } {
  const { mildNs, severeNs } = outlierFences(latencyNs)
  let mild = 0
  let severe = 0
  for (let i = 0; i < latencyNs.length; i++) {
    if (latencyNs[i]! > severeNs) severe++
    else if (latencyNs[i]! > mildNs) mild++
  }
  return { mild, severe }
}

function meanAbsoluteDeviation(values: ArrayLike<number>, centre: number): number {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += Math.abs(values[i]! - centre)
  return sum / values.length
}
