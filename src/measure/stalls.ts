/** Inferences that took far longer than the others: held up by something else. */
export interface Stalls {
  readonly count: number
  /** Of as many equal ones; a single long one makes it fall towards 1. */
  readonly effectiveCount: number
  /** What stalls took beyond the median, of the whole time. */
  readonly timeShare: number
  readonly cluster: StallCluster | null
}

/** A piece of windows in which stalls are more frequent or rarer than in the rest. */
export interface StallCluster {
  readonly from: number
  readonly to: number
  readonly logLikelihoodRatio: number
  /** What stalls add to an inference, on average, in units of the median. */
  readonly addedInside: number
  readonly addedOutside: number
}

/**
 * Where stalls gather: the piece of windows in which their share differs most from that in the rest, by the likelihood
 * ratio of two Bernoulli rates against one (Kulldorff, A spatial scan statistic, Comm. Stat. 26, 1997).
 *
 * @param edges Where windows begin, and the end of the last: indices of latencies, ascending.
 * @param aboveNs A latency over it is a stall.
 * @param least Length of the shortest piece, in windows.
 */
export function findStalls(
  latencyNs: ArrayLike<number>,
  edges: readonly number[],
  medianNs: number,
  aboveNs: number,
  least: number,
): Stalls {
  const windows = edges.length - 1
  const counts = new Float64Array(windows + 1)
  const added = new Float64Array(windows + 1)
  let squares = 0
  let total = 0
  for (let window = 0; window < windows; window++) {
    counts[window + 1] = counts[window]!
    added[window + 1] = added[window]!
    for (let i = edges[window]!; i < edges[window + 1]!; i++) {
      total += latencyNs[i]!
      if (latencyNs[i]! <= aboveNs) continue
      const excess = latencyNs[i]! - medianNs
      counts[window + 1]!++
      added[window + 1]! += excess
      squares += excess * excess
    }
  }
  const excess = added[windows]!
  return {
    count: counts[windows]!,
    effectiveCount: squares === 0 ? 0 : (excess * excess) / squares,
    timeShare: total === 0 ? 0 : excess / total,
    cluster: strongestCluster(edges, counts, added, medianNs, least),
  }
}

function strongestCluster(
  edges: readonly number[],
  counts: Float64Array,
  added: Float64Array,
  medianNs: number,
  least: number,
): StallCluster | null {
  const windows = edges.length - 1
  const n = edges[windows]! - edges[0]!
  const all = counts[windows]!
  const even = logLikelihood(all, n)
  let best: StallCluster | null = null
  for (let from = 0; from < windows; from++)
    for (let to = from + least; to <= windows; to++) {
      if (windows - (to - from) < least) continue
      const inside = edges[to]! - edges[from]!
      const within = counts[to]! - counts[from]!
      const ratio = logLikelihood(within, inside) + logLikelihood(all - within, n - inside) - even
      if (ratio <= (best?.logLikelihoodRatio ?? 0)) continue
      const addedWithin = added[to]! - added[from]!
      best = {
        from,
        to,
        logLikelihoodRatio: ratio,
        addedInside: addedWithin / inside / medianNs,
        addedOutside: (added[windows]! - addedWithin) / (n - inside) / medianNs,
      }
    }
  return best
}

/** Of k in n at the rate k / n. */
function logLikelihood(k: number, n: number): number {
  if (k <= 0 || k >= n) return 0
  return k * Math.log(k / n) + (n - k) * Math.log(1 - k / n)
}
