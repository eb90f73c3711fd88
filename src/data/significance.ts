/** An interval that holds the true value with the stated confidence. */
export interface Interval {
  readonly low: number
  readonly high: number
}

/** Wilson's score interval for a proportion (1927), 95 % unless another normal quantile is given. */
export function wilsonInterval(hits: number, count: number, z = 1.959963984540054): Interval {
  if (count === 0) return { low: 0, high: 1 }
  const share = hits / count
  const denominator = 1 + (z * z) / count
  const centre = (share + (z * z) / (2 * count)) / denominator
  const half = (z / denominator) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count))
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}

export interface PairedTest {
  /** Samples that only the first, or only the second, got right. */
  readonly onlyFirst: number
  readonly onlySecond: number
  /** Two-sided; below 0.05 the two differ significantly. */
  readonly pValue: number
}

/** McNemar's exact test (1947; binomial on the discordant pairs) of two classifiers on the same samples. */
export function mcnemarTest(first: readonly boolean[], second: readonly boolean[]): PairedTest {
  if (first.length !== second.length) throw new RangeError(`${first.length} results beside ${second.length}`)
  let onlyFirst = 0
  let onlySecond = 0
  for (let i = 0; i < first.length; i++) {
    if (first[i] && !second[i]) onlyFirst++
    if (!first[i] && second[i]) onlySecond++
  }
  const discordant = onlyFirst + onlySecond
  const tail = Math.min(onlyFirst, onlySecond)
  let logTerm = -discordant * Math.LN2
  let sum = 0
  for (let k = 0; k <= tail; k++) {
    sum += Math.exp(logTerm)
    logTerm += Math.log(discordant - k) - Math.log(k + 1)
  }
  return { onlyFirst, onlySecond, pValue: Math.min(1, 2 * sum) }
}
