import { tensorOf } from '../../graph/constant.ts'
import type { Constant } from '../../graph/types.ts'
import { roundHalfToEven, scaleFloor } from '../../quantize/affine.ts'
import { elementCount } from '../../tensor.ts'
import { leastOfLimit } from './fake-weights.ts'
import type { LayerNumerics } from './layers.ts'
import { onScaleGrid } from './scale-parameters.ts'

/** A layer as training rounds it, with numbers from which a target stores the very same integers. */
export interface StoredLayer {
  /** For each index of the axis. */
  readonly scales: Float32Array
  readonly integers: Int8Array
  /** Numbers of the grid: as a constant they give these scales and integers by min-max. */
  readonly weights: Float32Array
  readonly bias: Float32Array | null
}

/**
 * What `fakeLayer` computes, in the same steps of float32.
 * @param limits largest scales of frozen or learned ones, or null
 * @param learned the limits are learned
 */
export function storedLayer(
  weights: Constant,
  bias: Constant | null,
  numerics: LayerNumerics,
  inputScale: number,
  limits: ArrayLike<number> | null,
  learned = false,
): StoredLayer {
  const { axis, limit } = numerics
  const reals = float32Of(weights)
  const offsets = bias && float32Of(bias)
  const inner = axis === null ? reals.length : elementCount(weights.shape.slice(axis + 1))
  const count = axis === null ? 1 : weights.shape[axis]!
  const channelOf = (index: number) => Math.floor(index / inner) % count
  const largest = new Float32Array(count)
  reals.forEach((w, i) => {
    const channel = channelOf(i)
    largest[channel] = Math.max(largest[channel]!, Math.abs(w))
  })
  // a scale that a floor decides, not a weight, comes again of the weights as they are
  const floored = new Uint8Array(count)
  const scales = largest.map((magnitude, channel) => {
    const free =
      magnitude === 0
        ? 1
        : Math.fround(magnitude / Math.fround(limits && !learned ? leastOfLimit(limit) : limit))
    const least = Math.max(scaleFloor, biasFloor(offsets, numerics, inputScale, channel))
    const most = onScaleGrid(Math.max(free, least), numerics.scaleGrid)
    if (free < least) floored[channel] = 1
    if (!limits) return most
    const end = Math.fround(Math.min(Math.max(limits[channel]!, least), most) * limit)
    return onScaleGrid(Math.fround(end / limit), numerics.scaleGrid)
  })
  const integers = Int8Array.from(reals, (w, i) =>
    Math.max(-limit, Math.min(limit, roundHalfToEven(Math.fround(w / scales[channelOf(i)]!)))),
  )
  const ends = scales.map((scale) => endOf(scale, numerics))
  return {
    scales,
    integers,
    weights: Float32Array.from(integers, (q, i) => {
      const channel = channelOf(i)
      if (floored[channel]) return reals[i]!
      return Math.abs(q) === limit ? Math.sign(q) * ends[channel]! : q * scales[channel]!
    }),
    bias:
      offsets &&
      (numerics.bias === 'integer'
        ? offsets.map((b, channel) => {
            if (floored[count === 1 ? 0 : channel]) return b
            const scale = Math.fround(inputScale * scales[count === 1 ? 0 : channel]!)
            return roundHalfToEven(Math.fround(b / scale)) * scale
          })
        : offsets),
  }
}

function biasFloor(
  bias: Float32Array | null,
  numerics: LayerNumerics,
  inputScale: number,
  channel: number,
): number {
  if (!bias || !numerics.biasFits32) return 0
  const whole = numerics.axis === null || bias.length === 1
  const most = whole ? bias.reduce((a, b) => Math.max(a, Math.abs(b)), 0) : Math.abs(bias[channel]!)
  return Math.fround(most / Math.fround(inputScale * 2 ** 30))
}

/** A largest weight that gives the scale back: `limit · scale`, or a neighbour where that division rounds elsewhere. */
function endOf(scale: number, { limit, scaleGrid }: LayerNumerics): number {
  const end = Float32Array.of(limit * scale)
  const bits = new Int32Array(end.buffer)
  const middle = bits[0]!
  for (const step of [0, -1, 1, -2, 2]) {
    bits[0] = middle + step
    if (onScaleGrid(end[0]! / limit, scaleGrid) === scale) return end[0]!
  }
  return limit * scale
}

function float32Of(constant: Constant): Float32Array {
  return tensorOf(constant).data as Float32Array
}
