/** Ranks from 1 of the order statistics that bound an interval. */
export interface Ranks {
  readonly low: number
  readonly high: number
}

/** Of an interval not holding the percentile; each side takes half of it where it can. */
const miss = 0.05

/**
 * The order statistics of `n` independent samples that hold the p-quantile between them with 95 % confidence, whatever the
 * distribution: with B ~ Binomial(n, p) the count of samples at or below it, the low one misses where B < low and the high
 * one where B ≥ high (David & Nagaraja, Order Statistics, §7.1). Where even the outermost sample of one side misses more
 * often than 2.5 %, the other side has what is left of 5 %; null where that is not enough.
 */
export function intervalRanks(n: number, p: number): Ranks | null {
  if (n < 1) return null
  const belowAll = (1 - p) ** n
  const aboveAll = p ** n
  if (belowAll + aboveAll > miss) return null
  const lowMiss = Math.max(belowAll, Math.min(miss / 2, miss - aboveAll))
  const highMiss = Math.max(aboveAll, Math.min(miss / 2, miss - belowAll))
  return { low: lastRankWithin(n, p, lowMiss), high: n + 1 - lastRankWithin(n, 1 - p, highMiss) }
}

/** Ranks among `from` samples as ranks among `to`, the interval never narrower. */
export function scaleRanks({ low, high }: Ranks, from: number, to: number): Ranks {
  if (from === to) return { low, high }
  return {
    low: Math.max(1, Math.floor((low * to) / from)),
    high: Math.min(to, Math.ceil((high * to) / from)),
  }
}

/** The largest k ≥ 1 with P(Binomial(n, p) < k) ≤ share, where that of k = 1 is. */
function lastRankWithin(n: number, p: number, share: number): number {
  // twelve standard deviations below the mean nothing is left to be summed
  const start = Math.max(0, Math.floor(n * p - 12 * Math.sqrt(n * p * (1 - p)) - 12))
  let term = Math.exp(logBinomial(n, start, p))
  let below = 0
  for (let k = start; ; k++) {
    below += term
    if (below > share || k >= n) return Math.max(1, k)
    term *= ((n - k) / (k + 1)) * (p / (1 - p))
  }
}

function logBinomial(n: number, k: number, p: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k) + k * Math.log(p) + (n - k) * Math.log(1 - p)
}

/** Stirling's series from 16 on: exact to 1e-12. */
function logFactorial(n: number): number {
  let log = 0
  if (n < 16) {
    for (let i = 2; i <= n; i++) log += Math.log(i)
    return log
  }
  return (
    n * Math.log(n) -
    n +
    Math.log(2 * Math.PI * n) / 2 +
    1 / (12 * n) -
    1 / (360 * n ** 3) +
    1 / (1260 * n ** 5)
  )
}
