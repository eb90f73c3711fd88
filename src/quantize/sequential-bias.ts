import type { LayerRows } from './gram-rows.ts'

/** Mean of a value over samples, element by element. */
export class MeanInput {
  readonly #sums: Float64Array
  #count = 0

  constructor(elements: number) {
    this.#sums = new Float64Array(elements)
  }

  add(x: ArrayLike<number>): void {
    for (let i = 0; i < this.#sums.length; i++) this.#sums[i]! += x[i]!
    this.#count++
  }

  /** Of what came since it was last taken. */
  take(): Float64Array {
    const mean = this.#sums.map((sum) => sum / this.#count)
    this.#sums.fill(0)
    this.#count = 0
    return mean
  }
}

/**
 * Mean output of each channel over all positions, the bias aside. A layer is linear: that of the mean input is that of
 * all inputs, and padding counts as it stands.
 *
 * @param weights reals in the order of the layer's constant
 * @param meanInput in the layer's own layout
 */
export function meanOutputs(
  layer: LayerRows,
  weights: ArrayLike<number>,
  meanInput: ArrayLike<number>,
): Float64Array {
  const { width, groups, positions } = layer
  const row = new Float32Array(groups * width)
  const means = new Float64Array(groups * width)
  for (let position = 0; position < positions; position++) {
    layer.read(meanInput, position, row, 0, width)
    for (let i = 0; i < row.length; i++) means[i]! += row[i]! / positions
  }
  return timesRows(
    layer,
    weights,
    Array.from({ length: groups }, (_, group) => means.subarray(group * width, (group + 1) * width)),
  )
}

/** What each output channel makes of one row for each group. */
export function timesRows(
  layer: LayerRows,
  weights: ArrayLike<number>,
  rows: readonly ArrayLike<number>[],
): Float64Array {
  return Float64Array.from({ length: layer.channels }, (_, channel) => {
    const { start, stride } = layer.weightsOf(channel)
    const row = rows[layer.groupOf(channel)]!
    let sum = 0
    for (let i = 0; i < layer.width; i++) sum += weights[start + i * stride]! * row[i]!
    return sum
  })
}

/**
 * What to add to the biases of a layer: less the mean error of each output channel, as in empirical bias correction
 * (Nagel et al. 2019, section 4.2), shrunk towards 0 as far as the error may be chance: by 1 − σ²/e², where σ is the
 * standard error of the mean e over the folds (James and Stein, positive part). Nothing for a channel that is off by
 * less than half a step of its stored bias.
 *
 * @param errors mean error of each channel in each of at least two folds of as many samples
 * @param steps of the stored biases: one for each channel, or one for all
 */
export function biasShifts(errors: readonly ArrayLike<number>[], steps: ArrayLike<number>): Float64Array {
  const folds = errors.length
  return Float64Array.from({ length: errors[0]!.length }, (_, channel) => {
    const mean = errors.reduce((sum, error) => sum + error[channel]!, 0) / folds
    const squares = errors.reduce((sum, error) => sum + (error[channel]! - mean) ** 2, 0)
    const chance = squares / (folds * (folds - 1))
    const shift = mean === 0 ? 0 : -mean * Math.max(0, 1 - chance / (mean * mean))
    return Math.abs(shift) < steps[channel % steps.length]! / 2 ? 0 : shift
  })
}
