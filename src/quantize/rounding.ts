import type { GramMatrices } from './gram.ts'
import type { LayerRows } from './gram-rows.ts'
import type { RoundingRequest } from './weighted-layer.ts'

export interface RoundedWeights {
  readonly integers: Int8Array
  /** E|Δ·x|² summed over output channels, on inputs that took no part: before and after. */
  readonly guardError: { readonly before: number; readonly after: number }
}

/**
 * Integers for the weights of a layer whose outputs are nearer to those of the float weights than the outputs of
 * `start` are. One weight after the other takes the integer at which the squared output error ΔᵀHΔ is least, until none
 * changes: coordinate descent on the quadratic form of Nagel et al. 2020 ("Up or Down? Adaptive Rounding for
 * Post-Training Quantization", section 3). A weight moves by less than two steps of its scale.
 *
 * H of some inputs shows correlations that others have not. How far to trust them is chosen by what comes out on the
 * guard's inputs.
 *
 * @param start what is stored now
 * @param guard of other samples than `fit`
 * @returns null where nothing is better on the guard's inputs
 */
export function roundByOutput(
  request: RoundingRequest,
  start: Int8Array,
  layer: LayerRows,
  { fit, guard }: { readonly fit: GramMatrices; readonly guard: GramMatrices },
): RoundedWeights | null {
  const everyChannel = channelsOf(request, layer, layer.channels)
  const few = channelsOf(request, layer, mostTrialChannels)
  const trials = shrinkages.map((shrinkage) => {
    const integers = Int8Array.from(start)
    descend(few, fit, shrinkage, integers, request.limit)
    return { shrinkage, error: errorOf(few, integers, guard) }
  })
  const { shrinkage } = trials.reduce((best, trial) => (trial.error < best.error ? trial : best))
  const integers = Int8Array.from(start)
  descend(everyChannel, fit, shrinkage, integers, request.limit)
  const guardError = {
    before: errorOf(everyChannel, start, guard),
    after: errorOf(everyChannel, integers, guard),
  }
  return guardError.after < guardError.before ? { integers, guardError } : null
}

/** E|Δ·x|² over the inputs of a Gram matrix, summed over output channels. */
export function outputError(
  request: RoundingRequest,
  integers: Int8Array,
  layer: LayerRows,
  gram: GramMatrices,
): number {
  return errorOf(channelsOf(request, layer, layer.channels), integers, gram)
}

/** By how much correlations between inputs are made smaller. */
const shrinkages = [0.5, 0.2, 0.05, 0]

/** So many output channels tell which shrinkage serves a layer. */
const mostTrialChannels = 32

/** Sweeps over the weights of a channel: later ones change next to nothing. */
const mostSweeps = 8

interface Channel {
  readonly group: number
  readonly weights: Float64Array
  readonly scale: number
  /** Where its integers lie in the constant. */
  readonly start: number
  readonly stride: number
}

/** At most so many output channels, evenly spread. */
function channelsOf({ weights, scales }: RoundingRequest, layer: LayerRows, most: number): Channel[] {
  const count = Math.min(most, layer.channels)
  return Array.from({ length: count }, (_, i) => {
    const channel = Math.floor((i * layer.channels) / count)
    const { start, stride } = layer.weightsOf(channel)
    return {
      group: layer.groupOf(channel),
      weights: Float64Array.from({ length: layer.width }, (_, at) => weights[start + at * stride]!),
      scale: scales.length === 1 ? scales[0]! : scales[channel]!,
      start,
      stride,
    }
  })
}

function errorOf(channels: readonly Channel[], integers: Int8Array, { groups }: GramMatrices): number {
  let error = 0
  for (const channel of channels) {
    const difference = differenceOf(channel, integers)
    const product = timesGram(groups[channel.group]!, difference)
    for (let i = 0; i < difference.length; i++) error += difference[i]! * product[i]!
  }
  return error
}

function differenceOf({ weights, scale, start, stride }: Channel, integers: Int8Array): Float64Array {
  return weights.map((weight, i) => integers[start + i * stride]! * scale - weight)
}

function timesGram(gram: Float64Array, vector: Float64Array): Float64Array {
  const width = vector.length
  const product = new Float64Array(width)
  for (let i = 0; i < width; i++) {
    const factor = vector[i]!
    if (factor !== 0) for (let j = 0, at = i * width; j < width; j++) product[j]! += factor * gram[at++]!
  }
  return product
}

/** Changes `integers` of these channels. */
function descend(
  channels: readonly Channel[],
  { groups }: GramMatrices,
  shrinkage: number,
  integers: Int8Array,
  limit: number,
): void {
  const width = channels[0]!.weights.length
  const trusted = groups.map((gram) => shrunk(gram, width, shrinkage))
  for (const channel of channels) new Descent(channel, trusted[channel.group]!, integers, limit).run()
}

/** Of one channel: moves integers while that makes the error smaller. */
class Descent {
  readonly #channel: Channel
  readonly #gram: Float64Array
  readonly #integers: Int8Array
  readonly #limit: number
  /** Half the gradient of the error: HΔ. */
  readonly #slope: Float64Array

  constructor(channel: Channel, gram: Float64Array, integers: Int8Array, limit: number) {
    this.#channel = channel
    this.#gram = gram
    this.#integers = integers
    this.#limit = limit
    this.#slope = timesGram(gram, differenceOf(channel, integers))
  }

  run(): void {
    const width = this.#slope.length
    for (let sweep = 0; sweep < mostSweeps; sweep++)
      if (!this.#moveEach() && !(width <= mostPairedWidth && this.#movePairs())) break
  }

  /** Each weight to the integer at which the error is least while the others stay. */
  #moveEach(): boolean {
    const { weights, scale, start, stride } = this.#channel
    const width = weights.length
    let moved = false
    for (let i = 0; i < width; i++) {
      const curvature = this.#gram[i * width + i]!
      // an input that never varies: any weight is as good
      if (!(curvature > 0)) continue
      const before = this.#integers[start + i * stride]!
      const steps = this.#within(i, Math.round(before - this.#slope[i]! / (curvature * scale))) - before
      if (steps === 0 || !(this.#change(i, steps) < -negligible * curvature * scale * scale)) continue
      this.#move(i, steps)
      moved = true
    }
    return moved
  }

  /** Two weights by a step each, where neither alone would gain. */
  #movePairs(): boolean {
    const { scale, weights } = this.#channel
    const width = weights.length
    let moved = false
    for (let i = 0; i < width; i++)
      for (let j = 0; j < i; j++)
        for (const [first, second] of pairs) {
          const both = this.#change(i, first) + this.#change(j, second)
          const change = both + 2 * first * second * scale * scale * this.#gram[i * width + j]!
          const scaleOfError = (this.#gram[i * width + i]! + this.#gram[j * width + j]!) * scale * scale
          if (!(change < -negligible * scaleOfError) || !this.#mayMove(i, first) || !this.#mayMove(j, second))
            continue
          this.#move(i, first)
          this.#move(j, second)
          moved = true
        }
    return moved
  }

  /** Of the error, by so many steps of one weight. */
  #change(i: number, steps: number): number {
    const step = steps * this.#channel.scale
    return step * (2 * this.#slope[i]! + step * this.#gram[i * (this.#slope.length + 1)]!)
  }

  #move(i: number, steps: number): void {
    const { scale, start, stride } = this.#channel
    const width = this.#slope.length
    this.#integers[start + i * stride]! += steps
    const step = steps * scale
    for (let j = 0, at = i * width; j < width; j++) this.#slope[j]! += step * this.#gram[at++]!
  }

  #mayMove(i: number, steps: number): boolean {
    const next = this.#integers[this.#channel.start + i * this.#channel.stride]! + steps
    return this.#within(i, next) === next
  }

  /** Less than two steps from the weight, and storable. What pruning made zero stays zero. */
  #within(i: number, integer: number): number {
    if (this.#channel.weights[i] === 0) return 0
    const exact = this.#channel.weights[i]! / this.#channel.scale
    const near = Math.min(Math.ceil(exact) + 1, Math.max(Math.floor(exact) - 1, integer))
    return Math.min(this.#limit, Math.max(-this.#limit, near))
  }
}

/** Two integers that are as good but for the rounding of sums must not take turns: this share of a step's own error. */
const negligible = 1e-9

/** Pairs are tried of up to so many weights: those of a depthwise channel. */
const mostPairedWidth = 25

const pairs = [
  [1, 1],
  [1, -1],
  [-1, 1],
  [-1, -1],
] as const

/** Entries beside the diagonal made smaller. */
function shrunk(gram: Float64Array, width: number, shrinkage: number): Float64Array {
  if (shrinkage === 0) return gram
  return gram.map((entry, at) => (at % (width + 1) === 0 ? entry : (1 - shrinkage) * entry))
}
