import type { Quantization } from '../graph/types.ts'
import { roundHalfToEven, scaleFloor } from './affine.ts'
import { float16Scale } from './float16-grid.ts'
import { minMaxScale, mseScale } from './mse-scale.ts'
import type { WeightRangeMethod } from './ranges.ts'

export interface WeightOptions {
  readonly method: WeightRangeMethod
  /** Axis with a scale for each index; null for one scale. */
  readonly axis: number | null
  /** Largest stored magnitude: 127, or 63 where 16-bit sums of products must not saturate. */
  readonly limit: number
  /** Scales are numbers of float16, rounded up. */
  readonly scaleGrid?: 'float16'
}

export interface QuantizedWeights {
  readonly data: Int8Array
  readonly quantization: Quantization
}

/** Symmetric int8 weights in [−limit, limit], zero point 0. */
export function quantizeWeights(
  weights: ArrayLike<number>,
  shape: readonly number[],
  { method, axis, limit, scaleGrid }: WeightOptions,
  scaleFloors?: readonly number[],
): QuantizedWeights {
  const slices = sliceAlong(shape, axis)
  const data = new Int8Array(weights.length)
  const scales: number[] = []
  for (let channel = 0; channel < slices.channels; channel++) {
    const channelWeights = slices.take(weights, channel)
    const best = method === 'mse' ? mseScale(channelWeights, limit) : minMaxScale(channelWeights, limit)
    const free = Math.max(best, scaleFloors?.[channel] ?? 0, scaleFloor)
    const scale = scaleGrid === 'float16' ? float16Scale(free) : Math.fround(free)
    scales.push(scale)
    slices.put(data, channel, channelWeights, (w) =>
      Math.min(limit, Math.max(-limit, roundHalfToEven(w / scale))),
    )
  }
  return { data, quantization: { scales, zeroPoints: scales.map(() => 0), axis } }
}

/** Elements of a tensor by their index along an axis; all as one channel where the axis is null. */
function sliceAlong(shape: readonly number[], axis: number | null) {
  const channels = axis === null ? 1 : shape[axis]!
  const inner =
    axis === null ? shape.reduce((a, b) => a * b, 1) : shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const outer = axis === null ? 1 : shape.slice(0, axis).reduce((a, b) => a * b, 1)
  return {
    channels,
    take(from: ArrayLike<number>, channel: number): Float64Array {
      const taken = new Float64Array(outer * inner)
      for (let o = 0, at = 0; o < outer; o++) {
        const start = (o * channels + channel) * inner
        for (let i = 0; i < inner; i++) taken[at++] = from[start + i]!
      }
      return taken
    },
    put(into: Int8Array, channel: number, values: Float64Array, map: (value: number) => number): void {
      for (let o = 0, at = 0; o < outer; o++) {
        const start = (o * channels + channel) * inner
        for (let i = 0; i < inner; i++) into[start + i] = map(values[at++]!)
      }
    },
  }
}

const int32Limit = 2 ** 31 - 1

/** Weight scales below which a bias would leave int32: |b| / (s_in · s_w) must stay under 2^30. */
export function biasScaleFloors(
  bias: ArrayLike<number> | null,
  inputScale: number,
  channels: number,
): number[] {
  return Array.from({ length: channels }, (_, channel) =>
    bias ? Math.abs(bias[channel]!) / (inputScale * 2 ** 30) : 0,
  )
}

export interface QuantizedBias {
  readonly data: Int32Array
  readonly quantization: Quantization
}

/** Bias in int32 at s_in · s_w for each output channel. */
export function quantizeBias(
  bias: ArrayLike<number>,
  inputScale: number,
  weightScales: readonly number[],
): QuantizedBias {
  const scales = weightScales.map((scale) => Math.fround(inputScale * scale))
  const data = new Int32Array(bias.length)
  for (let i = 0; i < bias.length; i++) {
    const scale = scales.length === 1 ? scales[0]! : scales[i]!
    data[i] = Math.min(int32Limit, Math.max(-int32Limit, roundHalfToEven(bias[i]! / scale)))
  }
  return {
    data,
    quantization: { scales, zeroPoints: scales.map(() => 0), axis: scales.length === 1 ? null : 0 },
  }
}
