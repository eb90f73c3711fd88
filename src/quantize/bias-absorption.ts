/** What was seen of each channel of an activation, by which constants are chosen. */
export interface AbsorptionStatistics {
  readonly min: ArrayLike<number>
  readonly max: ArrayLike<number>
  readonly mean: ArrayLike<number>
  readonly meanOfSquares: ArrayLike<number>
}

/** What stands between the layers: ReLU cuts off below 0, ReLU6 also above 6; null for nothing. */
export type AbsorptionActivation = { readonly max: number } | null

/**
 * `observed`: as much as no element seen lies below, with a tenth of their width to spare. `three-sigma`: mean − 3σ, as data-free
 * quantization takes it from batch normalization: one element in 740 of a normal distribution lies below.
 */
export type AbsorptionRule = 'observed' | 'three-sigma'

/** Of the width of what was seen: later samples may lie beyond. */
const margin = 0.1
/** Of the range that the activation is stored in: what takes less of it changes no step to speak of. */
const leastGain = 0.01

/**
 * The constant c of each channel that a layer may hand to those that read it (high-bias absorption, Nagel et al. 2019,
 * section 4.1.3): relu(x) − c = relu(x − c) for every x ≥ c ≥ 0. Without a function between them any c will do, and the
 * middle of what was seen is taken. None is taken of a channel that comes near the upper bound of its clip.
 *
 * @param seen of the activation as it is read, behind ReLU
 * @returns null where the range that all channels share gets no narrower
 */
export function absorbedConstants(
  seen: AbsorptionStatistics,
  activation: AbsorptionActivation,
  rule: AbsorptionRule,
): Float64Array | null {
  const constants = Float64Array.from(seen.min, (min, channel) => {
    const max = seen.max[channel]!
    if (!activation) return (min + max) / 2
    if (!(max + margin * (max - min) < activation.max)) return 0
    return Math.max(0, rule === 'observed' ? min - margin * (max - min) : belowMost(seen, channel))
  })
  const none = constants.map(() => 0)
  return rangeWidth(seen, constants) < (1 - leastGain) * rangeWidth(seen, none) ? constants : null
}

function belowMost({ mean, meanOfSquares }: AbsorptionStatistics, channel: number): number {
  const variance = meanOfSquares[channel]! - mean[channel]! ** 2
  return mean[channel]! - 3 * Math.sqrt(Math.max(0, variance))
}

/** Of all channels together and zero, which every stored range holds. */
function rangeWidth({ min, max }: AbsorptionStatistics, constants: Float64Array): number {
  let low = 0
  let high = 0
  constants.forEach((c, channel) => {
    low = Math.min(low, min[channel]! - c)
    high = Math.max(high, max[channel]! - c)
  })
  return high - low
}
