const batches = 20
const leastPerBatch = 5
/** A ratio that independent samples exceed in 5 of 100 draws: χ² with 19 degrees of freedom, by 19. Below it is no evidence. */
const byChance = 30.14 / 19

/**
 * How many times larger than for independent samples the variance of "the share of samples at or below `level`" is: batch
 * means of that indicator against the binomial variance. Latencies that hang together (a clock that wanders, a neighbour
 * that comes and goes) tell less than their count says. 1 where the samples show no more than chance does, or are too few.
 *
 * @param p The share itself.
 */
export function varianceInflation(values: ArrayLike<number>, level: number, p: number): number {
  const size = Math.floor(values.length / batches)
  if (size < leastPerBatch) return 1
  const counts = new Float64Array(batches)
  for (let batch = 0; batch < batches; batch++)
    for (let i = batch * size; i < (batch + 1) * size; i++) if (values[i]! <= level) counts[batch]!++
  const mean = counts.reduce((sum, count) => sum + count, 0) / batches
  const squares = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0)
  const ratio = squares / (batches - 1) / (size * p * (1 - p))
  return ratio > byChance ? ratio : 1
}
