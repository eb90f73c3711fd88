import { EdgewrightError } from '../error.ts'

/** Bins on each side of zero. */
export const binsPerSide = 8192

/**
 * An adaptive histogram over [−R, R): 8192 equal bins on each side of zero, R the smallest power of two above every
 * |x| seen. A larger |x| doubles R and merges bins pairwise, so counts are exact, memory is fixed, and merging two
 * histograms is associative and independent of order (Σ and Σx² up to float rounding). The negative side is
 * allocated when the first negative element comes.
 */
export class Histogram {
  /** Name of the tensor, for errors. */
  readonly name: string
  /** log2 of R. */
  exponent = minExponent
  /** positive[i] counts [i·w, (i+1)·w), negative[i] counts [−(i+1)·w, −i·w), w = R / 8192. */
  positive: Float64Array = new Float64Array(binsPerSide)
  negative: Float64Array | null = null
  count = 0
  min = Number.POSITIVE_INFINITY
  max = Number.NEGATIVE_INFINITY
  sum = 0
  sumOfSquares = 0

  constructor(name: string) {
    this.name = name
  }

  /** R: the histogram spans [−R, R). */
  get reach(): number {
    return 2 ** this.exponent
  }

  get binWidth(): number {
    return 2 ** this.exponent / binsPerSide
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count
  }

  /** Adds all elements. Throws MODEL_NAN_WEIGHTS naming the tensor when one is NaN or infinite. */
  observe(elements: Float32Array): void {
    if (elements.length === 0) return
    const summary = summarize(elements)
    this.admit(summary, elements)
    const perUnit = binsPerSide / this.reach
    if (summary.min < 0) this.#countSigned(elements, perUnit)
    else countPositive(this.positive, elements, perUnit)
  }

  /**
   * Takes what was found of elements and makes room for them; counting them is left to the caller.
   * Throws MODEL_NAN_WEIGHTS naming the tensor when one is NaN or infinite.
   */
  admit({ min, max, sum, sumOfSquares }: TensorSummary, elements: Float32Array): void {
    // NaN and infinities both survive into Σx²
    if (!Number.isFinite(sumOfSquares)) throw notFinite(this.name, elements)
    this.min = Math.min(this.min, min)
    this.max = Math.max(this.max, max)
    this.sum += sum
    this.sumOfSquares += sumOfSquares
    const exponent = exponentAbove(Math.max(-min, max))
    // nothing to move yet
    if (this.count === 0) this.exponent = exponent
    else this.#reach(exponent)
    this.count += elements.length
  }

  /** Adds counts of bins −8192 to 8191 of the width that this histogram has. */
  addCounts(counts: Int32Array): void {
    for (let i = 0; i < binsPerSide; i++) this.positive[i]! += counts[binsPerSide + i]!
    if (!(this.min < 0)) return
    this.negative ??= new Float64Array(binsPerSide)
    for (let i = 0; i < binsPerSide; i++) this.negative[i]! += counts[binsPerSide - 1 - i]!
  }

  /** Adds what another histogram has seen. */
  merge(other: Histogram): void {
    if (other.count === 0) return
    this.#reach(other.exponent)
    const shift = this.exponent - other.exponent
    addShifted(this.positive, other.positive, shift)
    if (other.negative) {
      this.negative ??= new Float64Array(binsPerSide)
      addShifted(this.negative, other.negative, shift)
    }
    this.min = Math.min(this.min, other.min)
    this.max = Math.max(this.max, other.max)
    this.sum += other.sum
    this.sumOfSquares += other.sumOfSquares
    this.count += other.count
  }

  #countSigned(elements: Float32Array, perUnit: number): void {
    this.negative ??= new Float64Array(binsPerSide)
    const { positive, negative } = this
    if (elements.length < binsPerSide) {
      for (let i = 0; i < elements.length; i++) {
        const bin = Math.floor(Math.fround(elements[i]! * perUnit))
        if (bin >= 0) positive[bin]!++
        else negative[-1 - bin]!++
      }
      return
    }
    // one array for both signs: no branch on the sign, which nothing can predict
    scratch.fill(0)
    for (let i = 0; i < elements.length; i++)
      scratch[Math.floor(Math.fround(elements[i]! * perUnit)) + binsPerSide]!++
    this.addCounts(scratch)
  }

  #reach(exponent: number): void {
    if (exponent <= this.exponent) return
    const shift = exponent - this.exponent
    this.positive = shifted(this.positive, shift)
    if (this.negative) this.negative = shifted(this.negative, shift)
    this.exponent = exponent
  }
}

const scratch = new Int32Array(2 * binsPerSide)

export interface TensorSummary {
  readonly min: number
  readonly max: number
  readonly sum: number
  readonly sumOfSquares: number
}

/**
 * Min, max, Σ and Σx² in one pass. Sums have four lanes, element i in lane i mod 4, and one for those behind the last
 * four: (0 + 1) + (2 + 3) + rest, as statistics.wat adds. Bit patterns of floats, with those of negatives turned round,
 * are ordered as integers: comparing these is five times as fast here as comparing floats.
 */
export function summarize(elements: Float32Array): TensorSummary {
  const patterns = new Int32Array(elements.buffer, elements.byteOffset, elements.length)
  let low = 0x7fffffff
  let high = -0x80000000
  for (let i = 0; i < patterns.length; i++) {
    const pattern = patterns[i]!
    const ordered = pattern ^ ((pattern >> 31) & 0x7fffffff)
    if (ordered < low) low = ordered
    if (ordered > high) high = ordered
  }
  return { min: floatOfOrdered(low), max: floatOfOrdered(high), ...sumsOf(elements, 0, elements.length) }
}

/** Σ and Σx² of elements `from` to `to`, by lanes. */
export function sumsOf(
  elements: Float32Array,
  from: number,
  to: number,
): { readonly sum: number; readonly sumOfSquares: number } {
  // −0 and not 0: the sums start as doubles
  let [sum0, sum1, sum2, sum3, rest] = [-0, -0, -0, -0, -0]
  let [squares0, squares1, squares2, squares3, restSquares] = [-0, -0, -0, -0, -0]
  const whole = to - ((to - from) & 3)
  for (let i = from; i < whole; i += 4) {
    const a = elements[i]!
    const b = elements[i + 1]!
    const c = elements[i + 2]!
    const d = elements[i + 3]!
    sum0 += a
    sum1 += b
    sum2 += c
    sum3 += d
    squares0 += a * a
    squares1 += b * b
    squares2 += c * c
    squares3 += d * d
  }
  for (let i = whole; i < to; i++) {
    const x = elements[i]!
    rest += x
    restSquares += x * x
  }
  return {
    sum: sum0 + sum1 + (sum2 + sum3) + rest + 0,
    sumOfSquares: squares0 + squares1 + (squares2 + squares3) + restSquares + 0,
  }
}

const oneFloat = new Float32Array(1)
const onePattern = new Int32Array(oneFloat.buffer)

function floatOfOrdered(ordered: number): number {
  onePattern[0] = ordered ^ ((ordered >> 31) & 0x7fffffff)
  // + 0 makes −0 a plain 0
  return oneFloat[0]! + 0
}

/** Below 2^−100 everything is zero for our purposes; keeps R finite for all-zero tensors. */
const minExponent = -100

/** The smallest e ≥ −100 with magnitude < 2^e. */
function exponentAbove(magnitude: number): number {
  if (magnitude < 2 ** minExponent) return minExponent
  let exponent = Math.floor(Math.log2(magnitude)) + 1
  // log2 rounds: mend it by one step either way
  if (2 ** (exponent - 1) > magnitude) exponent--
  if (2 ** exponent <= magnitude) exponent++
  return exponent
}

function countPositive(bins: Float64Array, elements: Float32Array, perUnit: number): void {
  const length = elements.length
  for (let i = 0; i < length; i++) bins[(elements[i]! * perUnit) | 0]!++
}

function shifted(bins: Float64Array, shift: number): Float64Array {
  const result = new Float64Array(binsPerSide)
  addShifted(result, bins, shift)
  return result
}

function addShifted(into: Float64Array, bins: Float64Array, shift: number): void {
  const by = Math.min(shift, 31)
  for (let i = 0; i < binsPerSide; i++) {
    const count = bins[i]!
    if (count !== 0) into[i >> by]! += count
  }
}

/** The error that names a tensor and its first element that is not finite. */
export function notFinite(name: string, elements: ArrayLike<number>): EdgewrightError {
  let index = 0
  while (index < elements.length && Number.isFinite(elements[index]!)) index++
  return new EdgewrightError('MODEL_NAN_WEIGHTS', 'A tensor of the float network is not finite.', {
    where: name,
    saw: index < elements.length ? `${elements[index]} at element ${index}` : 'values beyond 1e154',
    hint: 'Check the weights and the preprocessing of the samples: a NaN or an infinity has no int8 form.',
  })
}
