import { affineOf, integerRange, type QuantizedType, symmetricAffineOf } from './affine.ts'
import { entropyRange } from './entropy-range.ts'
import { binsPerSide, type Histogram } from './histogram.ts'
import type { ActivationRangeMethod, TensorRange } from './ranges.ts'

export interface ActivationRangeOptions {
  readonly dtype: QuantizedType
  /** Zero point fixed in the middle. */
  readonly symmetric?: boolean
}

/**
 * The range to quantize an activation over, always holding 0. Falls back to min-max where there is no histogram.
 */
export function activationRange(
  range: TensorRange,
  method: ActivationRangeMethod,
  options: ActivationRangeOptions,
): { min: number; max: number } {
  const whole = { min: Math.min(0, range.min), max: Math.max(0, range.max) }
  if (!range.histogram || range.histogram.count === 0 || whole.min === whole.max) return whole
  switch (method.kind) {
    case 'min-max':
      return whole
    case 'percentile':
      return percentileRange(range.histogram, method.percentile)
    case 'mse':
    case 'kl':
      return searched(range.histogram, method.kind, options)
  }
}

/** One calibration serves many candidates: what was searched in a histogram is remembered while that stays as it is. */
const known = new WeakMap<Histogram, { readonly count: number; readonly ranges: Map<string, Bounds> }>()

interface Bounds {
  readonly min: number
  readonly max: number
}

function searched(histogram: Histogram, kind: 'mse' | 'kl', options: ActivationRangeOptions): Bounds {
  let memory = known.get(histogram)
  if (memory?.count !== histogram.count) {
    memory = { count: histogram.count, ranges: new Map() }
    known.set(histogram, memory)
  }
  const key = `${kind} ${options.dtype} ${options.symmetric ?? false}`
  const found = memory.ranges.get(key) ?? (kind === 'mse' ? mseRange : entropyRange)(histogram, options)
  memory.ranges.set(key, found)
  return found
}

/** Cuts (100 − percentile)/2 % of the elements from each side, interpolating inside a bin. */
export function percentileRange(histogram: Histogram, percentile: number): { min: number; max: number } {
  const cut = (histogram.count * (100 - percentile)) / 200
  const cumulative = new CumulativeHistogram(histogram)
  const min = Math.max(histogram.min, cumulative.quantile(cut))
  const max = Math.min(histogram.max, cumulative.quantile(histogram.count - cut))
  return { min: Math.min(0, min), max: Math.max(0, max) }
}

/**
 * The range with the least squared error of the quantized tensor, by coordinate descent over its two ends: a coarse
 * grid, then finer ones around the best. A tensor without negatives keeps 0 as its lower end.
 * The error of a candidate comes from prefix sums of count, Σx and Σx² over the bins, so it costs O(levels).
 */
export function mseRange(
  histogram: Histogram,
  options: ActivationRangeOptions,
): { min: number; max: number } {
  const cumulative = new CumulativeHistogram(histogram)
  const lowest = Math.min(0, histogram.min)
  const highest = Math.max(0, histogram.max)
  const error = (min: number, max: number) => {
    const affine = options.symmetric
      ? symmetricAffineOf(min, max, options.dtype)
      : affineOf(min, max, options.dtype)
    return quantizationError(cumulative, affine.scale, affine.zeroPoint, options.dtype)
  }
  if (options.symmetric) {
    const magnitude = Math.max(-lowest, highest)
    const best = searchEnd(magnitude, (m) => error(-m, m))
    return { min: -best, max: best }
  }
  let min = lowest
  let max = highest
  for (let round = 0; round < 3; round++) {
    const before = min + max
    if (highest > 0) max = searchEnd(highest, (end) => error(min, end))
    if (lowest < 0) min = searchEnd(lowest, (end) => error(end, max))
    if (min + max === before || lowest === 0 || highest === 0) break
  }
  return { min, max }
}

/** Best end between 1/1000 and all of `full`: geometric first (tails can be long), then linear around the best. */
function searchEnd(full: number, error: (end: number) => number): number {
  let best = 1
  let least = error(full)
  const consider = (share: number) => {
    const e = error(full * share)
    if (e < least) {
      least = e
      best = share
    }
  }
  for (let share = 0.92; share > 1e-3; share *= 0.92) consider(share)
  for (let step = best * 0.04, i = 0; i < 4; i++, step /= 3) {
    const centre = best
    for (const k of [-2, -1, 1, 2]) {
      const share = centre + k * step
      if (share > 0 && share < 1) consider(share)
    }
  }
  return full * best
}

/** Σ (x − quantized x)² over all elements. */
export function quantizationError(
  cumulative: CumulativeHistogram,
  scale: number,
  zeroPoint: number,
  dtype: QuantizedType,
): number {
  const [low, high]: readonly [number, number] = integerRange[dtype]
  let error = 0
  let left = cumulative.at(Number.NEGATIVE_INFINITY)
  for (let q = low; q <= high; q++) {
    const right = cumulative.at(q === high ? Number.POSITIVE_INFINITY : (q - zeroPoint + 0.5) * scale)
    const n = right.count - left.count
    if (n > 0) {
      const real = (q - zeroPoint) * scale
      error += right.squares - left.squares - 2 * real * (right.sum - left.sum) + real * real * n
    }
    left = right
  }
  return error
}

interface Prefix {
  readonly count: number
  readonly sum: number
  readonly squares: number
}

/** Prefix sums of count, Σx and Σx² over all bins, elements taken as spread evenly inside a bin. */
export class CumulativeHistogram {
  readonly #lowest: number
  readonly #width: number
  readonly #centreOffset: number
  readonly #counts: Float64Array
  readonly #sums: Float64Array
  readonly #squares: Float64Array

  constructor(histogram: Histogram) {
    const width = histogram.binWidth
    const negatives = histogram.negative ? binsPerSide : 0
    const bins = binsPerSide + negatives
    this.#width = width
    this.#lowest = -negatives * width
    this.#centreOffset = this.#lowest + width / 2
    this.#counts = new Float64Array(bins + 1)
    this.#sums = new Float64Array(bins + 1)
    this.#squares = new Float64Array(bins + 1)
    for (let i = 0; i < bins; i++) {
      const count =
        i < negatives ? histogram.negative![negatives - 1 - i]! : histogram.positive[i - negatives]!
      const centre = this.#centreOffset + i * width
      this.#counts[i + 1] = this.#counts[i]! + count
      this.#sums[i + 1] = this.#sums[i]! + count * centre
      this.#squares[i + 1] = this.#squares[i]! + count * (centre * centre + (width * width) / 12)
    }
  }

  /** Count, Σx and Σx² of the elements below x. */
  at(x: number): Prefix {
    const bins = this.#counts.length - 1
    const position = (x - this.#lowest) / this.#width
    if (!(position > 0)) return { count: 0, sum: 0, squares: 0 }
    if (position >= bins)
      return { count: this.#counts[bins]!, sum: this.#sums[bins]!, squares: this.#squares[bins]! }
    const i = Math.floor(position)
    const count = (this.#counts[i + 1]! - this.#counts[i]!) * (position - i)
    // the part of the bin below x has its own centre
    const from = this.#lowest + i * this.#width
    const centre = (from + x) / 2
    const part = x - from
    return {
      count: this.#counts[i]! + count,
      sum: this.#sums[i]! + count * centre,
      squares: this.#squares[i]! + count * (centre * centre + (part * part) / 12),
    }
  }

  /** The x below which `count` elements lie. */
  quantile(count: number): number {
    const counts = this.#counts
    let low = 0
    let high = counts.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (counts[middle]! < count) low = middle + 1
      else high = middle
    }
    if (low === 0) return this.#lowest
    const inside = counts[low]! - counts[low - 1]!
    const fraction = inside > 0 ? (count - counts[low - 1]!) / inside : 0
    return this.#lowest + (low - 1 + fraction) * this.#width
  }
}
