/** A percentile and whether the samples are enough to state it. */
export interface Percentile {
  readonly value: number
  /** True where, with 95 % confidence, the largest sample lies above the true percentile: 1 − pⁿ ≥ 0.95. */
  readonly enough: boolean
  /** Bounds of the 95 % interval by order statistics (no assumption on the distribution); null where n is too small. */
  readonly low: number | null
  readonly high: number | null
}

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
  /** Percentiles that the count does not support: `p99` below 299 samples, `p90` below 29, `p50` below 5. */
  readonly unsupported: readonly ('p50' | 'p90' | 'p99')[]
}

/** Null where there are no samples. */
export function summary(latencyNs: ArrayLike<number>, firstNs: number | null = null): LatencySummary | null {
  if (latencyNs.length === 0) return null
  const sorted = Float64Array.from(latencyNs).sort()
  const { mean, sd } = meanAndDeviation(sorted)
  return {
    p50Ns: nearestRank(sorted, 0.5),
    p90Ns: nearestRank(sorted, 0.9),
    p99Ns: nearestRank(sorted, 0.99),
    meanNs: mean,
    sdNs: sd,
    minNs: sorted[0]!,
    maxNs: sorted[sorted.length - 1]!,
    count: sorted.length,
    firstNs,
    unsupported: (['p50', 'p90', 'p99'] as const).filter(
      (name) => !supports(sorted.length, Number(name.slice(1)) / 100),
    ),
  }
}

/**
 * Percentile by nearest rank: the smallest sample with at least the share `p` of all samples at or below it.
 *
 * @param sorted ascending, not empty
 * @param p in (0, 1)
 */
export function percentile(sorted: Float64Array, p: number): Percentile {
  const [low, high] = intervalRanks(sorted.length, p)
  return {
    value: nearestRank(sorted, p),
    enough: supports(sorted.length, p),
    low: low === null ? null : sorted[low]!,
    high: high === null ? null : sorted[high]!,
  }
}

/** Sample median of unsorted values; not empty. */
export function median(values: ArrayLike<number>): number {
  return nearestRank(Float64Array.from(values).sort(), 0.5)
}

/** Whether `n` samples say anything on percentile `p` with 95 % confidence. */
export function supports(n: number, p: number): boolean {
  return 1 - p ** n >= 0.95
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

/**
 * Zero-based ranks l, h of the order statistics that hold the p-quantile with 95 % confidence, each side 2.5 %: with
 * B the count of samples at or below it, B ~ Binomial(n, p) (David & Nagaraja, Order Statistics, §7.1).
 */
function intervalRanks(n: number, p: number): [number | null, number | null] {
  let cumulative = 0
  let low: number | null = null
  let high: number | null = null
  let logTerm = n * Math.log(1 - p)
  const logOdds = Math.log(p) - Math.log(1 - p)
  for (let k = 0; k < n && high === null; k++) {
    // cumulative is P(B < k): the k-th smallest (rank k − 1) is at or below the quantile unless B < k
    if (cumulative <= 0.025 && k > 0) low = k - 1
    cumulative += Math.exp(logTerm)
    if (cumulative >= 0.975) high = k
    logTerm += logOdds + Math.log(n - k) - Math.log(k + 1)
  }
  return [low, high]
}
