import { activationRange } from './activation-range.ts'
import { affineOf, integerRange, quantizeNumber } from './affine.ts'
import { Histogram } from './histogram.ts'
import type { ActivationRangeMethod } from './ranges.ts'
import { quantizeWeights, type WeightOptions } from './weights.ts'

/** How much of the spread of activations moves into the weights: 0 none of it, 1 all. */
export const smoothingStrengths: readonly number[] = [0.25, 0.5, 0.75, 0.95]

/** Beyond these a channel is an outlier of the formula rather than of the network. */
const leastFactor = 1e-2
const mostFactor = 1e2

/**
 * s_j = max|X_j|^α / max|W_j|^(1 − α) of SmoothQuant (Xiao et al. 2023, equation 4), divided by their geometric mean:
 * a factor that all channels share changes no rounding. Limited to [0.01, 100]; 1 for a channel that was never seen to
 * carry anything. One that no weight reads goes to the upper end, where it takes no part of the range.
 *
 * @param activationPeaks max|x| of each channel
 * @param weightPeaks max|w| over all weights that read the channel, of all layers that read the activations
 */
export function smoothingFactors(
  activationPeaks: ArrayLike<number>,
  weightPeaks: ArrayLike<number>,
  strength: number,
): Float64Array {
  const logs = Float64Array.from(activationPeaks, (x, channel) =>
    x > 0 ? strength * Math.log(x) - (1 - strength) * Math.log(weightPeaks[channel]!) : Number.NaN,
  )
  const finite = logs.filter((log) => Number.isFinite(log))
  const mean = finite.reduce((sum, log) => sum + log, 0) / (finite.length || 1)
  return logs.map((log) =>
    Number.isNaN(log) ? 1 : Math.min(mostFactor, Math.max(leastFactor, Math.exp(log - mean))),
  )
}

/** Constant weights that multiply rows of activations, and how they are stored. */
export interface Product extends WeightOptions {
  /** Row-major: [out, in] where `inputAxis` is 1, [in, out] where it is 0. */
  readonly weights: ArrayLike<number>
  readonly shape: readonly [number, number]
  readonly inputAxis: 0 | 1
}

/** What several products read, as samples and in all. */
export interface SmoothingBlock {
  /** Some rows of the activations, a channel beside the other. */
  readonly rows: Float32Array
  /** max|x| of each channel over all samples. */
  readonly peaks: ArrayLike<number>
  readonly products: readonly Product[]
  /** Ways to choose the range of the activations: the best of them counts. */
  readonly activations: readonly ActivationRangeMethod[]
}

export interface Smoothing {
  readonly strength: number
  /** Activations are divided by these, weights multiplied. */
  readonly factors: Float64Array
  /** How much less noise the products have than without, in dB. */
  readonly gainDb: number
}

/** Of a layer with a scale for each output channel: they differ little in what smoothing does to them. */
const sampledOutputs = 256

/** The strength whose int8 products come nearest to the real ones on the rows; null where none gains at least `leastDb`. */
export function chooseSmoothing(whole: SmoothingBlock, leastDb: number): Smoothing | null {
  const channels = whole.peaks.length
  const weightPeaks = sharedWeightPeaks(whole.products, channels)
  const block = { ...whole, products: whole.products.map(someOutputs) }
  const exact = block.products.map((product) =>
    multiply(block.rows, channels, turned(product, product.weights)),
  )
  const without = noiseOf(block, new Float64Array(channels).fill(1), exact)
  if (without === 0) return null
  const tried = smoothingStrengths.map((strength) => {
    const factors = smoothingFactors(block.peaks, weightPeaks, strength)
    return { strength, factors, gainDb: 10 * Math.log10(without / noiseOf(block, factors, exact)) }
  })
  const best = tried.reduce((a, b) => (b.gainDb > a.gainDb ? b : a))
  return best.gainDb >= leastDb ? best : null
}

/** max|w| of each input channel over all products: one vector of factors has to suit them all. */
export function sharedWeightPeaks(products: readonly Product[], channels: number): Float64Array {
  const peaks = new Float64Array(channels)
  for (const { weights, shape, inputAxis } of products)
    for (let i = 0; i < weights.length; i++) {
      const channel = inputAxis === 0 ? Math.floor(i / shape[1]) : i % shape[1]
      peaks[channel] = Math.max(peaks[channel]!, Math.abs(weights[i]!))
    }
  return peaks
}

function someOutputs(product: Product): Product {
  const outputAxis = product.inputAxis === 0 ? 1 : 0
  const outputs = product.shape[outputAxis]
  if (product.axis === null || outputs <= sampledOutputs) return product
  const [rows, columns] = product.shape
  const picked = Array.from({ length: sampledOutputs }, (_, i) => Math.floor((i * outputs) / sampledOutputs))
  const weights =
    outputAxis === 0
      ? picked.flatMap((row) =>
          Array.from({ length: columns }, (_, column) => product.weights[row * columns + column]!),
        )
      : Array.from({ length: rows }, (_, row) =>
          picked.map((column) => product.weights[row * columns + column]!),
        ).flat()
  const shape = outputAxis === 0 ? ([sampledOutputs, columns] as const) : ([rows, sampledOutputs] as const)
  return { ...product, weights, shape }
}

/** Noise power beside signal power, summed over the products, with activations and weights stored in 8 bits. */
function noiseOf(block: SmoothingBlock, factors: Float64Array, exact: readonly Float32Array[]): number {
  const channels = factors.length
  const divided = block.rows.map((x, i) => x / factors[i % channels]!)
  const matrices = block.products.map((product) => turned(product, storedWeights(product, factors)))
  const noises = block.activations.map((method) => {
    const rows = storedRows(divided, method)
    return matrices.reduce(
      (sum, matrix, position) => sum + ratio(exact[position]!, multiply(rows, channels, matrix)),
      0,
    )
  })
  return Math.min(...noises)
}

function storedRows(rows: Float32Array, method: ActivationRangeMethod): Float32Array {
  const histogram = new Histogram('rows')
  histogram.observe(rows)
  const { min, max } = activationRange({ min: histogram.min, max: histogram.max, histogram }, method, {
    dtype: 'int8',
  })
  const affine = affineOf(min, max, 'int8')
  const [low, high] = integerRange.int8
  return rows.map((x) => (quantizeNumber(x, affine, low, high) - affine.zeroPoint) * affine.scale)
}

/** The reals that the stored form of the scaled weights means. */
function storedWeights(product: Product, factors: Float64Array): Float64Array {
  const { weights, shape, inputAxis } = product
  const columns = shape[1]
  const scaled = Float64Array.from(
    weights,
    (w, i) => w * factors[inputAxis === 0 ? Math.floor(i / columns) : i % columns]!,
  )
  const { data, quantization } = quantizeWeights(scaled, shape, product)
  const { scales, axis } = quantization
  return scaled.map((_, i) => {
    const channel = axis === null ? 0 : axis === 0 ? Math.floor(i / columns) : i % columns
    return data[i]! * scales[channel]!
  })
}

/** As [in, out], whose rows a product goes through in order. */
function turned({ shape, inputAxis }: Product, weights: ArrayLike<number>): Float32Array {
  if (inputAxis === 0) return Float32Array.from(weights)
  const [outputs, inputs] = shape
  const matrix = new Float32Array(weights.length)
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++) matrix[i * outputs + o] = weights[o * inputs + i]!
  return matrix
}

/** [rows, channels] · [channels, out]. */
function multiply(rows: Float32Array, channels: number, matrix: Float32Array): Float32Array {
  const outputs = matrix.length / channels
  const count = rows.length / channels
  const result = new Float32Array(count * outputs)
  for (let row = 0; row < count; row++)
    for (let channel = 0; channel < channels; channel++) {
      const x = rows[row * channels + channel]!
      if (x === 0) continue
      const from = channel * outputs
      const to = row * outputs
      for (let o = 0; o < outputs; o++) result[to + o]! += x * matrix[from + o]!
    }
  return result
}

function ratio(exact: Float32Array, stored: Float32Array): number {
  let signal = 0
  let noise = 0
  for (let i = 0; i < exact.length; i++) {
    signal += exact[i]! ** 2
    noise += (exact[i]! - stored[i]!) ** 2
  }
  return signal === 0 ? 0 : noise / signal
}
