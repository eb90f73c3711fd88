import { intervalRanks, scaleRanks } from './order-interval.ts'
import { varianceInflation } from './dependence.ts'

/** A percentile and whether the samples are enough to state it. */
export interface Percentile {
  readonly value: number
  /** True where some two samples hold the true percentile between them with 95 % confidence. */
  readonly enough: boolean
  /**
   * 95 % interval by order statistics: whatever the distribution, ties or not. Null where too few samples, or too few that
   * are independent, support one.
   */
  readonly low: number | null
  readonly high: number | null
}

export type PercentileName = 'p50' | 'p90' | 'p99'

/** What a row of latencies comes to; nanoseconds. */
export interface LatencySummary {
  readonly p50Ns: number
  readonly p90Ns: number
  readonly p99Ns: number
  readonly meanNs: number
  /** Sample standard deviation (n − 1); 0 for one sample. */
  readonly sdNs: number
  readonly minNs: number
  readonly maxNs: number
  readonly count: number
  readonly firstNs: number | null
  /** Percentiles that the count does not support: `p99` below 299 samples, `p90` below 29, `p50` below 6. */
  readonly unsupported: readonly PercentileName[]
  /** 95 % intervals, as wide as the samples' dependence on those before them asks. */
  readonly intervals: Readonly<
    Record<PercentileName, { readonly lowNs: number; readonly highNs: number } | null>
  >
}

/**
 * @param latencyNs in the order in which they were taken: it tells how far they depend on each other
 * @returns null where there are no samples
 */
export function summary(latencyNs: ArrayLike<number>, firstNs: number | null = null): LatencySummary | null {
  if (latencyNs.length === 0) return null
  const sorted = Float64Array.from(latencyNs).sort()
  const { mean, sd } = meanAndDeviation(sorted)
  const stated = (p: number) => percentile(sorted, p, varianceInflation(latencyNs, nearestRank(sorted, p), p))
  const percentiles = { p50: stated(0.5), p90: stated(0.9), p99: stated(0.99) }
  return {
    p50Ns: percentiles.p50.value,
    p90Ns: percentiles.p90.value,
    p99Ns: percentiles.p99.value,
    meanNs: mean,
    sdNs: sd,
    minNs: sorted[0]!,
    maxNs: sorted[sorted.length - 1]!,
    count: sorted.length,
    firstNs,
    unsupported: (['p50', 'p90', 'p99'] as const).filter((name) => !percentiles[name].enough),
    intervals: {
      p50: intervalOf(percentiles.p50),
      p90: intervalOf(percentiles.p90),
      p99: intervalOf(percentiles.p99),
    },
  }
}

function intervalOf({ low, high }: Percentile): { lowNs: number; highNs: number } | null {
  return low === null || high === null ? null : { lowNs: low, highNs: high }
}

/**
 * Percentile by nearest rank: the smallest sample with at least the share `p` of all samples at or below it.
 *
 * @param sorted ascending, not empty
 * @param p in (0, 1)
 * @param inflation How many dependent samples tell as much as one independent: widens the interval
 */
export function percentile(sorted: Float64Array, p: number, inflation = 1): Percentile {
  const n = sorted.length
  const ranks = intervalRanks(Math.floor(n / inflation), p)
  const scaled = ranks && scaleRanks(ranks, Math.floor(n / inflation), n)
  return {
    value: nearestRank(sorted, p),
    enough: supports(n, p),
    low: scaled ? sorted[scaled.low - 1]! : null,
    high: scaled ? sorted[scaled.high - 1]! : null,
  }
}

/** Sample median of unsorted values; not empty. */
export function median(values: ArrayLike<number>): number {
  return nearestRank(Float64Array.from(values).sort(), 0.5)
}

/** Whether some interval of order statistics of `n` samples holds percentile `p` with 95 % confidence. */
export function supports(n: number, p: number): boolean {
  return intervalRanks(n, p) !== null
}

/** The smallest of ascending values, not empty, with at least the share `p` of all at or below it. */
export function nearestRank(sorted: Float64Array, p: number): number {
  // n·p is rounded first: 100 · 0.29 is 28.999999999999996
  const rank = Math.ceil(Number((sorted.length * p).toPrecision(12)))
  return sorted[Math.min(Math.max(rank, 1), sorted.length) - 1]!
}

/** Welford's recurrence: no loss by large means. */
function meanAndDeviation(values: Float64Array): { mean: number; sd: number } {
  let mean = 0
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const delta = values[i]! - mean
    mean += delta / (i + 1)
    squares += delta * (values[i]! - mean)
  }
  return { mean, sd: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) }
}
