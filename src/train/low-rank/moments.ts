import type { Tensor } from '../../tensor.ts'

/** Of the outputs of a layer over samples and positions. */
export interface OutputMoments {
  readonly channels: number
  /** Vectors that it was made of. */
  readonly count: number
  readonly mean: Float64Array
  /** channels × channels, row by row. */
  readonly covariance: Float64Array
}

/** Positions of one sample that count at most: neighbours say the same. */
const mostPositions = 256
/** Multiplications that the products of one value may take where it has many channels and many samples. */
const mostProducts = 2e10
/** Vectors for each channel that are counted whatever it takes. */
const leastPerChannel = 4

/** Gathers mean and covariance of a value along its channel axis, sample by sample. */
export class MomentSums {
  readonly #channels: number
  readonly #axis: number
  readonly #sum: Float64Array
  readonly #products: Float64Array
  readonly #most: number
  #count = 0

  /** @param samples that are to come: with many channels fewer positions of each are enough */
  constructor(channels: number, axis: number, samples = 1) {
    this.#channels = channels
    const vectors = Math.max(leastPerChannel * channels, (2 * mostProducts) / channels ** 2)
    this.#most = Math.min(mostPositions, Math.max(1, Math.ceil(vectors / Math.max(1, samples))))
    this.#axis = axis
    this.#sum = new Float64Array(channels)
    this.#products = new Float64Array(channels * channels)
  }

  add({ data, shape }: Tensor): void {
    const channels = this.#channels
    const inner = shape.slice(this.#axis + 1).reduce((product, size) => product * size, 1)
    const outer = shape.slice(0, this.#axis).reduce((product, size) => product * size, 1)
    const stride = strideOver(outer * inner, this.#most, shape)
    const row = new Float64Array(channels)
    for (let position = 0; position < outer * inner; position += stride) {
      const start = Math.floor(position / inner) * channels * inner + (position % inner)
      for (let c = 0; c < channels; c++) row[c] = Number(data[start + c * inner])
      this.#count++
      for (let i = 0; i < channels; i++) {
        const value = row[i]!
        this.#sum[i]! += value
        for (let j = 0; j <= i; j++) this.#products[i * channels + j]! += value * row[j]!
      }
    }
  }

  result(): OutputMoments {
    const channels = this.#channels
    const mean = this.#sum.map((sum) => sum / Math.max(1, this.#count))
    const covariance = new Float64Array(channels * channels)
    for (let i = 0; i < channels; i++)
      for (let j = 0; j <= i; j++) {
        const value = this.#products[i * channels + j]! / Math.max(1, this.#count) - mean[i]! * mean[j]!
        covariance[i * channels + j] = covariance[j * channels + i] = value
      }
    return { channels, count: this.#count, mean, covariance }
  }
}

/** Coprime to the sizes of the axes: else the same columns would be seen in each row. */
function strideOver(positions: number, most: number, shape: readonly number[]): number {
  let stride = Math.max(1, Math.ceil(positions / most))
  while (stride > 1 && shape.some((size) => size > 1 && greatestDivisor(stride, size) > 1)) stride++
  return stride
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}
