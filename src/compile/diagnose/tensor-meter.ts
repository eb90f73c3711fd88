import type { IntegerType } from '../../data/quantize-tensor.ts'
import { integerRange, roundHalfToEven } from '../../quantize/affine.ts'
import type { ChannelStatistics } from '../../quantize/channel-statistics.ts'
import { Histogram } from '../../quantize/histogram.ts'
import { type Tensor, zeros } from '../../tensor.ts'

/** What is summed up of one tensor over samples; its size does not depend on their number. */
export class TensorMeter {
  /** Of the float network. */
  readonly histogram: Histogram
  /** False once an element was no number: nothing can be said of such a tensor. */
  isFinite = true
  /** The quantized network as it runs, beside float. */
  readonly whole = new ErrorSums()
  /** What its own operators add to what they read. */
  readonly own = new ErrorSums()
  /** What storing the float values in the tensor's type costs by itself. */
  readonly storage = new ErrorSums()
  /** The part of the storage noise that is of clipped elements. */
  clippedNoise = 0
  clipped = 0
  /** Elements that are not zero and become zero. */
  zeroed = 0
  negatives = 0
  readonly channels: ChannelStatistics | undefined
  readonly #ownErrors: ChannelStatistics | undefined
  readonly #bounds: readonly [number, number]

  /** @param channels of the values and of the own errors, where channels can be told */
  constructor(
    name: string,
    type: IntegerType | null,
    channels: {
      readonly values?: ChannelStatistics | undefined
      readonly errors?: ChannelStatistics | undefined
    },
  ) {
    this.histogram = new Histogram(name)
    this.#bounds = type ? boundsOf(type) : [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
    this.channels = channels.values
    this.#ownErrors = channels.errors
  }

  /** @param stored the same in the tensor's type */
  addFloat(reals: Float32Array, stored: Float32Array): void {
    let sum = 0
    for (let i = 0; i < reals.length; i++) sum += reals[i]! * reals[i]!
    if (!Number.isFinite(sum)) this.isFinite = false
    if (!this.isFinite) return
    this.histogram.observe(reals)
    this.channels?.observe(reals)
    this.storage.add(reals, stored)
    const [low, high] = this.#bounds
    for (let i = 0; i < reals.length; i++) {
      const x = reals[i]!
      if (x < low || x > high) {
        this.clipped++
        this.clippedNoise += (stored[i]! - x) ** 2
      }
      if (x < 0) this.negatives++
      if (x !== 0 && stored[i] === 0) this.zeroed++
    }
  }

  addQuantized(reals: Float32Array, quantized: Float32Array): void {
    if (this.isFinite) this.whole.add(reals, quantized)
  }

  /** @param reference what float operators make of the same stored operands */
  addOwn(reference: Float32Array, quantized: Float32Array): void {
    if (!this.isFinite) return
    this.own.add(reference, quantized)
    if (!this.#ownErrors) return
    const errors = new Float32Array(reference.length)
    for (let i = 0; i < errors.length; i++) errors[i] = quantized[i]! - reference[i]!
    this.#ownErrors.observe(errors)
  }

  /** Σ E[e]² over Σ E[e²] of the own error, by channel where these can be told: how much of it is a constant shift. */
  get ownShiftShare(): number {
    const { noise, errorSum, count } = this.own
    if (noise === 0) return 0
    if (!this.#ownErrors) return errorSum ** 2 / count / noise
    const { mean, meanOfSquares } = this.#ownErrors.result()
    return sum(mean.map((e) => e * e)) / sum(meanOfSquares)
  }
}

/** A tensor as the quantized network stores it. */
export interface Stored {
  /** What is stored: integers, or the reals themselves where the type has none. */
  readonly tensor: Tensor
  /** What that means. */
  readonly reals: Float32Array
}

/** Rounds as ONNX's QuantizeLinear does: the quotient in 32-bit float, ties to even, saturated. */
export function storedAs(type: IntegerType | null, reals: Float32Array, shape: readonly number[]): Stored {
  if (!type) return { tensor: { dtype: 'float32', shape, data: reals }, reals }
  const { dtype, zeroPoint } = type
  const scale = Math.fround(type.scale)
  const [low, high] = integerRange[dtype]
  const tensor = zeros(dtype, shape)
  const integers = tensor.data as Int8Array
  const kept = new Float32Array(reals.length)
  for (let i = 0; i < reals.length; i++) {
    const rounded = roundHalfToEven(Math.fround(reals[i]! / scale)) + zeroPoint
    const stored = rounded < low ? low : rounded > high ? high : rounded
    integers[i] = stored
    kept[i] = (stored - zeroPoint) * scale
  }
  return { tensor, reals: kept }
}

/** Stored integers back to reals. */
export function realsOf({ data }: Tensor, type: IntegerType | null): Float32Array {
  if (!type && data instanceof Float32Array) return data
  const reals = new Float32Array(data.length)
  const scale = type ? Math.fround(type.scale) : 1
  const zeroPoint = type?.zeroPoint ?? 0
  for (let i = 0; i < reals.length; i++) reals[i] = (Number(data[i]) - zeroPoint) * scale
  return reals
}

/** Sums of a reference and of what differs from it. */
export class ErrorSums {
  count = 0
  noise = 0
  errorSum = 0
  #signal = 0
  #candidate = 0
  #product = 0

  add(reference: Float32Array, candidate: Float32Array): void {
    let [signal, noise, errorSum, own, product] = [0, 0, 0, 0, 0]
    for (let i = 0; i < reference.length; i++) {
      const x = reference[i]!
      const y = candidate[i]!
      const error = y - x
      signal += x * x
      noise += error * error
      errorSum += error
      own += y * y
      product += x * y
    }
    this.count += reference.length
    this.#signal += signal
    this.noise += noise
    this.errorSum += errorSum
    this.#candidate += own
    this.#product += product
  }

  /** Infinity where nothing differs, −Infinity where the reference is all zero and the candidate is not. */
  get db(): number {
    return this.noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(this.#signal / this.noise)
  }

  /** 1 where both are zero, 0 where one is. */
  get cosine(): number {
    if (this.#signal === 0 && this.#candidate === 0) return 1
    if (this.#signal === 0 || this.#candidate === 0) return 0
    return this.#product / Math.sqrt(this.#signal * this.#candidate)
  }
}

/** Reals beyond these end at the type's ends: half a step is rounding still. */
function boundsOf({ dtype, scale, zeroPoint }: IntegerType): readonly [number, number] {
  const [low, high] = integerRange[dtype]
  return [(low - zeroPoint - 0.5) * scale, (high - zeroPoint + 0.5) * scale]
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((a, b) => a + b, 0)
}
