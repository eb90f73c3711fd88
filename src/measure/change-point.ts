import { robustDeviation } from './spread.ts'

/** A piece of a series whose level differs from that of the rest; indices are of the series, `to` exclusive. */
export interface LevelShift {
  readonly from: number
  readonly to: number
  /** Mean of the piece less the mean of the rest, in the series' own unit. */
  readonly difference: number
  /** The difference in standard errors. */
  readonly score: number
}

/** The noise of a series of window values, as far as levels and trends do not enter it. */
export interface SeriesNoise {
  readonly deviation: number
  /** Of neighbours, in [0, 0.9]. */
  readonly autocorrelation: number
}

/**
 * Noise from differences, whose median absolute deviation neither a step nor a trend moves: neighbours' differences hold
 * 2(γ₀ − γ₁), those further apart 2γ₀ (the variogram).
 *
 * @param leastDeviation What the noise is at least, e.g. the standard error of one window's median.
 */
export function seriesNoise(series: ArrayLike<number>, leastDeviation: number): SeriesNoise {
  const near = robustDeviation(differences(series, 1)) / Math.SQRT2
  const lags = [3, 4, 5, 6].filter((lag) => series.length >= 3 * lag)
  const far = lags.map((lag) => robustDeviation(differences(series, lag)) / Math.SQRT2)
  const spread = far.length === 0 ? near : far.reduce((sum, value) => sum + value, 0) / far.length
  const deviation = Math.max(near, spread, leastDeviation)
  const autocorrelation = deviation === 0 ? 0 : Math.min(0.9, Math.max(0, 1 - (near / deviation) ** 2))
  return { deviation, autocorrelation }
}

/** Standard error of the difference between the mean of `inside` neighbours and that of the other `outside`. */
export function standardError(noise: SeriesNoise, inside: number, outside: number): number {
  const { deviation, autocorrelation: rho } = noise
  return deviation * Math.sqrt(varianceOfMean(inside, rho) + varianceOfMean(outside, rho))
}

/** Of n values of an AR(1) series with variance 1. */
function varianceOfMean(n: number, rho: number): number {
  return rho === 0 ? 1 / n : ((1 + rho) / (1 - rho) - (2 * rho * (1 - rho ** n)) / (n * (1 - rho) ** 2)) / n
}

/**
 * The piece that differs most from the rest, wherever it lies: every run of at least `least` neighbours is held against
 * all others (circular binary segmentation: Olshen et al., Biostatistics 5, 2004). Pieces at an end are steps.
 * Only pieces that differ by at least `magnitude` count.
 */
export function strongestShift(
  series: ArrayLike<number>,
  noise: SeriesNoise,
  least: number,
  magnitude: number,
): LevelShift | null {
  const n = series.length
  const sums = new Float64Array(n + 1)
  for (let i = 0; i < n; i++) sums[i + 1] = sums[i]! + series[i]!
  let best: LevelShift | null = null
  for (let from = 0; from < n; from++)
    for (let to = from + least; to <= n; to++) {
      const inside = to - from
      const outside = n - inside
      if (outside < least) continue
      const within = sums[to]! - sums[from]!
      const difference = within / inside - (sums[n]! - within) / outside
      if (Math.abs(difference) < magnitude) continue
      const score = Math.abs(difference) / standardError(noise, inside, outside)
      if (best === null || score > best.score) best = { from, to, difference, score }
    }
  return best
}

function differences(series: ArrayLike<number>, lag: number): Float64Array {
  return Float64Array.from(
    { length: Math.max(0, series.length - lag) },
    (_, i) => series[i + lag]! - series[i]!,
  )
}
