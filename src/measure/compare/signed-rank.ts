/** What paired differences tell of their centre. */
export interface PairedEstimate {
  /** Hodges–Lehmann: the median of all means of two. */
  readonly estimate: number
  /** Confidence interval by inverting the test; null where the differences are too few for any. */
  readonly interval: { readonly low: number; readonly high: number } | null
  /** Two-sided, exact. */
  readonly pValue: number
  readonly pairs: number
}

/** Sums of ranks are held by value: so many differences are the most. */
export const mostPairs = 256

/**
 * Sign-flip randomization test with ranks for scores (Wilcoxon 1945): where nothing differs, each difference is as likely
 * as its negative, so all 2^k assignments of signs are equally likely; counted exactly, not approximated. Ranks, not values:
 * one wild block moves it no further than any other. Its inversion is the interval between two Walsh averages
 * (Hollander & Wolfe, Nonparametric Statistical Methods, §3.1 to §3.3).
 *
 * @param differences one a block; 1 to 256 finite numbers
 * @param level of the test; the interval has the confidence 1 − level, or just above it
 */
export function signedRank(differences: readonly number[], level = 0.05): PairedEstimate {
  const pairs = differences.length
  if (pairs < 1 || pairs > mostPairs || !differences.every(Number.isFinite))
    throw new RangeError(`signed ranks of ${pairs} differences`)
  const walsh = walshAverages(differences)
  const critical = criticalValue(pairs, level)
  return {
    estimate: middle(walsh),
    interval: critical === null ? null : { low: walsh[critical]!, high: walsh[walsh.length - 1 - critical]! },
    pValue: exactP(differences),
    pairs,
  }
}

/** The smallest two-sided p that `pairs` differences can give: 2^(1 − k). */
export function smallestP(pairs: number): number {
  return Math.min(1, 2 ** (1 - pairs))
}

/** The fewest differences whose test can reach `level`. */
export function fewestPairs(level: number): number {
  let pairs = 1
  while (smallestP(pairs) > level) pairs++
  return pairs
}

/** Means of all pairs, each with itself too, ascending. */
function walshAverages(differences: readonly number[]): Float64Array {
  const k = differences.length
  const walsh = new Float64Array((k * (k + 1)) / 2)
  let at = 0
  for (let i = 0; i < k; i++)
    for (let j = i; j < k; j++) walsh[at++] = (differences[i]! + differences[j]!) / 2
  return walsh.sort()
}

function middle(sorted: Float64Array): number {
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** How many Walsh averages each side of the interval leaves out; null where leaving out none already misses too often. */
function criticalValue(pairs: number, level: number): number | null {
  const probability = sumDistribution(Array.from({ length: pairs }, (_, index) => index + 1))
  let below = 0
  for (let sum = 0; ; sum++) {
    below += probability[sum]!
    if (below > level / 2) return sum === 0 ? null : sum - 1
  }
}

/** Share of all signs whose rank sum is at least as far from its centre; equal magnitudes share the mean of their ranks. */
function exactP(differences: readonly number[]): number {
  // a zero is no evidence either way: flipping it changes nothing
  const told = differences.filter((value) => value !== 0)
  if (told.length === 0) return 1
  const doubled = doubledRanks(told.map(Math.abs))
  const probability = sumDistribution(doubled)
  const positive = doubled.reduce((sum, rank, index) => (told[index]! > 0 ? sum + rank : sum), 0)
  const centre = (probability.length - 1) / 2
  const distance = Math.abs(positive - centre)
  let p = 0
  for (let sum = 0; sum < probability.length; sum++)
    if (Math.abs(sum - centre) >= distance) p += probability[sum]!
  return Math.min(1, p)
}

/** Twice the mid-ranks, so that they are whole. */
function doubledRanks(magnitudes: readonly number[]): number[] {
  return magnitudes.map((own) => {
    let below = 0
    let equal = 0
    for (const other of magnitudes) {
      if (other < own) below++
      if (other === own) equal++
    }
    return 2 * below + equal + 1
  })
}

/** Probability of each sum of a random half of the whole scores, every score in or out by the toss of a coin. */
function sumDistribution(scores: readonly number[]): Float64Array {
  const total = scores.reduce((sum, score) => sum + score, 0)
  const probability = new Float64Array(total + 1)
  probability[0] = 1
  let reached = 0
  for (const score of scores) {
    for (let sum = reached; sum >= 0; sum--) {
      const half = probability[sum]! / 2
      probability[sum] = half
      probability[sum + score]! += half
    }
    reached += score
  }
  return probability
}
