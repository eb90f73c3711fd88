import { integerRange } from './affine.ts'
import type { ActivationRangeOptions } from './activation-range.ts'
import { binsPerSide, type Histogram } from './histogram.ts'

/**
 * The range whose quantized distribution tells the most about the real one: least Kullback-Leibler divergence (S.
 * Migacz 2017, "8-bit Inference with TensorRT"). Symmetric: one threshold for |x|. Otherwise a tensor without negatives
 * keeps 0 as its lower end, and one with negatives gets both its ends by coordinate descent.
 */
export function entropyRange(
  histogram: Histogram,
  { dtype, symmetric = false }: ActivationRangeOptions,
): { min: number; max: number } {
  const width = histogram.binWidth
  const [low, high] = integerRange[dtype]
  const levels = high - low + 1
  if (symmetric) {
    const end = bestThreshold(magnitudes(histogram), levels / 2, leastInside)
    const magnitude = Math.min(end * width, Math.max(-histogram.min, histogram.max))
    return { min: -magnitude, max: magnitude }
  }
  const negative = histogram.negative ? binsPerSide : 0
  const divergence = new Divergence(signed(histogram), levels)
  const clip = (from: number, to: number) => ({
    min: Math.max(Math.min(0, histogram.min), (from - negative) * width),
    max: Math.min(Math.max(0, histogram.max), (to - negative) * width),
  })
  let from = divergence.first(negative)
  let to = divergence.last(negative)
  for (let round = 0; round < 3; round++) {
    const before = [from, to]
    to = search(negative, divergence.last(negative), (end) => divergence.of(from, end, leastInside))
    from = search(negative, divergence.first(negative), (end) => divergence.of(end, to, leastInside))
    if (before[0] === from && before[1] === to) break
  }
  return clip(from, to)
}

/**
 * Share of the elements that a range holds at least. One value that comes very often (a background through a bias) would
 * have the whole range collapse around it: what is clipped beside it then says little to the divergence, and all to the
 * network.
 */
const leastInside = 0.99

/**
 * How many bins of |x|, the first of which starts at 0, to represent by `levels` equal levels; at least as
 * many as levels, and with so great a share of the elements.
 */
export function bestThreshold(bins: Float64Array, levels: number, least = 0): number {
  const divergence = new Divergence(bins, levels)
  return search(0, divergence.last(0), (end) => divergence.of(0, end, least))
}

/** Of a histogram of so many bins every end is tried; of a larger one so many, then ever nearer to the best. */
const coarseEnds = 128

/** The best of the ends between `zero` and `full`, which may lie on either side. */
function search(zero: number, full: number, divergence: (end: number) => number): number {
  const reach = Math.abs(full - zero)
  const direction = Math.sign(full - zero)
  let best = reach
  let lowest = divergence(full)
  const consider = (distance: number) => {
    if (distance < 1 || distance >= reach) return
    const found = divergence(zero + direction * distance)
    // of equals the widest: what clips nothing costs nothing
    if (found < lowest || (found === lowest && distance > best)) {
      lowest = found
      best = distance
    }
  }
  let step = Math.max(1, Math.floor(reach / coarseEnds))
  for (let distance = reach - step; distance > 0; distance -= step) consider(distance)
  while (step > 1) {
    step = Math.ceil(step / 2)
    const centre = best
    consider(centre - step)
    consider(centre + step)
  }
  return zero + direction * best
}

/**
 * Divergence of what `levels` equal levels over a part of a histogram say about it. P: the bins of the part, with what
 * lies outside in the bins at its ends. Q: the part's own counts, those of a level spread evenly over its bins that are
 * not empty in P. From prefix sums of c, c·log c and non-empty bins a level costs O(1).
 */
export class Divergence {
  readonly #bins: Float64Array
  readonly #levels: number
  readonly #counts: Float64Array
  readonly #logs: Float64Array
  readonly #filled: Int32Array

  constructor(bins: Float64Array, levels: number) {
    this.#bins = bins
    this.#levels = levels
    this.#counts = new Float64Array(bins.length + 1)
    this.#logs = new Float64Array(bins.length + 1)
    this.#filled = new Int32Array(bins.length + 1)
    for (let i = 0; i < bins.length; i++) {
      const count = bins[i]!
      this.#counts[i + 1] = this.#counts[i]! + count
      this.#logs[i + 1] = this.#logs[i]! + timesLog(count)
      this.#filled[i + 1] = this.#filled[i]! + (count > 0 ? 1 : 0)
    }
  }

  /** The end before the first bin that is not empty, at most `zero`. */
  first(zero: number): number {
    const index = this.#bins.findIndex((count) => count > 0)
    return index < 0 ? zero : Math.min(index, zero)
  }

  /** The end behind the last bin that is not empty, at least `zero`. */
  last(zero: number): number {
    return Math.max(this.#bins.findLastIndex((count) => count > 0) + 1, zero)
  }

  /** Infinite where a bin of P has no counterpart in Q, for parts of fewer bins than levels, and of less than `least` of all. */
  of(from: number, to: number, least = 0): number {
    const counts = this.#counts
    const all = counts[this.#bins.length]!
    const inside = counts[to]! - counts[from]!
    if (to - from < this.#levels || inside === 0 || inside < least * all) return Number.POSITIVE_INFINITY
    const below = counts[from]!
    const above = all - counts[to]!
    const levels = this.#levels
    let sum = 0
    for (let level = 0, left = from; level < levels; level++) {
      const right = from + Math.floor(((level + 1) * (to - from)) / levels)
      const own = counts[right]! - counts[left]!
      const outliers = (level === 0 ? below : 0) + (level === levels - 1 ? above : 0)
      if (own + outliers > 0) {
        if (own === 0) return Number.POSITIVE_INFINITY
        const { logs, filled } = this.#ofP(
          left,
          right,
          level === 0 ? below : 0,
          level === levels - 1 ? above : 0,
        )
        sum += logs - (own + outliers) * Math.log(own / filled)
      }
      left = right
    }
    return sum / all - Math.log(all) + Math.log(inside)
  }

  /** Σ c·log c and the non-empty bins of a level of P. */
  #ofP(left: number, right: number, below: number, above: number): { logs: number; filled: number } {
    let logs = this.#logs[right]! - this.#logs[left]!
    let filled = this.#filled[right]! - this.#filled[left]!
    const raise = (bin: number, by: number, already: number) => {
      const count = this.#bins[bin]! + already
      logs += timesLog(count + by) - timesLog(count)
      if (count === 0) filled++
    }
    if (below > 0) raise(left, below, 0)
    if (above > 0) raise(right - 1, above, right - 1 === left ? below : 0)
    return { logs, filled }
  }
}

function timesLog(count: number): number {
  return count > 0 ? count * Math.log(count) : 0
}

/** Bins from the lowest to the highest. */
function signed({ positive, negative }: Histogram): Float64Array {
  const bins = new Float64Array(negative ? 2 * binsPerSide : binsPerSide)
  if (negative) bins.set(negative.toReversed())
  bins.set(positive, bins.length - binsPerSide)
  leaveOutZeros(bins, bins.length - binsPerSide)
  return bins
}

/** Bins of |x|. */
function magnitudes({ positive, negative }: Histogram): Float64Array {
  const bins = negative ? positive.map((count, i) => count + negative[i]!) : positive.slice()
  leaveOutZeros(bins, 0)
  return bins
}

/** Exact zeros have a level of their own: they would cost the more the wider a level is, and say nothing of clipping. */
function leaveOutZeros(bins: Float64Array, zero: number): void {
  bins[zero] = Math.min(bins[zero]!, bins[zero + 1]!)
}
