import { scaleFloor } from '../../quantize/affine.ts'
import type { GraphBuilder } from '../builder.ts'
import { bounded, detached } from './bounded.ts'
import type { LayerNumerics } from './layers.ts'

/** How scales of weights come about in training. */
export type WeightScales =
  /** Of the largest weight as it is in each step: what the target will compute of the trained weights. */
  | 'min-max'
  /** As they were at the start, or smaller where the largest weight has become so. */
  | 'frozen'
  /** By gradient (LSQ), from the start of the least squared error; never beyond the largest weight. */
  | 'learned'

export interface FakeLayer {
  readonly numerics: LayerNumerics
  readonly weights: string
  readonly bias: string | null
  /** Of the activation that the layer reads: a scalar of the program. */
  readonly inputScale: string
  /** In the shape of `scaleShape`: largest scales of frozen or learned ones; null with `min-max`. */
  readonly limitScale: string | null
  readonly learned: boolean
}

export interface FakeOperands {
  readonly weights: string
  readonly bias: string | null
}

/** One scale for each index of the axis, in the rank of the weights. */
export function scaleShape(shape: readonly number[], axis: number | null): number[] {
  return shape.map((size, at) => (at === axis ? size : 1))
}

/**
 * Weights and bias of a layer rounded to what a target stores: symmetric integers up to ± limit with scales of max |w| /
 * limit, wide enough for the bias; the bias at s_in · s_w. Computed in the program from the weights as they are, so that
 * each step sees what a compile of its weights would give. Gradients go straight through, but not to weights that
 * saturate under a frozen or learned scale.
 */
export function fakeLayer(b: GraphBuilder, layer: FakeLayer): FakeOperands {
  const { numerics, weights, bias, inputScale, limitScale } = layer
  const scale = weightScale(b, layer)
  const limit = b.scalar(numerics.limit)
  const steps = b.unary('Round', b.div(weights, scale))
  const rounded = b.mul(limitScale === null ? steps : b.clip(steps, -numerics.limit, numerics.limit), scale)
  const made =
    limitScale === null
      ? b.customGradient(rounded, [weights], ({ gradients }) => [gradients[0]!])
      : b.customGradient(rounded, layer.learned ? [weights, scale] : [weights], (backward) => {
          const { gradients, wants } = backward
          const inner = backward.b
          const inside = inner.mask('LessOrEqual', inner.unary('Abs', weights), inner.mul(scale, limit))
          const dw = inner.mul(gradients[0]!, inside)
          if (!layer.learned) return [dw]
          const count = inner.shape(weights).reduce((product, size) => product * size, 1)
          const scales = inner.shape(scale).reduce((product, size) => product * size, 1)
          const share = 1 / Math.sqrt((count / scales) * numerics.limit)
          const sum = inner.sub(inner.mul(gradients[0]!, rounded), inner.mul(dw, weights))
          const ds = inner.mul(
            inner.div(inner.unbroadcast(sum, inner.shape(scale)), scale),
            inner.scalar(share),
          )
          return [dw, wants(1) ? ds : null]
        })
  if (bias === null || numerics.bias !== 'integer') return { weights: made, bias }
  const flat = b.reshape(scale, numerics.axis === null ? [] : [b.shape(scale)[numerics.axis]!])
  const biasScale = b.mul(inputScale, flat)
  const stored = b.mul(b.unary('Round', b.div(bias, biasScale)), biasScale)
  // a scalar bias that was widened to all channels gets the sum of their gradients
  const straight = b.customGradient(stored, [bias], ({ b: inner, gradients }) => [
    inner.unbroadcast(gradients[0]!, inner.shape(bias)),
  ])
  return { weights: made, bias: straight }
}

/** What rounds to the largest integer: a frozen scale stays while its largest weight is no lower, and is stored as its end. */
export function leastOfLimit(limit: number): number {
  return limit - 0.499
}

function weightScale(
  b: GraphBuilder,
  { numerics, weights, bias, inputScale, limitScale, learned }: FakeLayer,
): string {
  const shape = b.shape(weights)
  const axes = shape.map((_, axis) => axis).filter((axis) => axis !== numerics.axis)
  const largest = b.reduce('Max', b.unary('Abs', weights), axes, true)
  const zero = b.compare('Equal', largest, b.scalar(0))
  const end = limitScale === null || learned ? numerics.limit : leastOfLimit(numerics.limit)
  const free = b.where(zero, b.scalar(1), b.div(largest, b.scalar(end)))
  const fits =
    bias !== null && numerics.biasFits32 ? biasFloor(b, bias, inputScale, shape, numerics.axis) : null
  const floor = b.scalar(scaleFloor)
  const least = fits === null ? floor : detached(b, b.binary('Max', fits, floor))
  const onGrid = (scale: string) => (numerics.scaleGrid === 'float16' ? roundedUpToFloat16(b, scale) : scale)
  const most = detached(b, onGrid(b.binary('Max', free, least)))
  if (limitScale === null) return most
  const smaller = bounded(b, limitScale, least, most)
  const limit = b.scalar(numerics.limit)
  // only a scale that some largest weight gives can be asked of the target
  const reachable = b.div(b.mul(smaller, limit), limit)
  return b.customGradient(onGrid(reachable), [smaller], ({ gradients }) => [gradients[0]!])
}

/** The scale below which |b| / (s_in · s_w) would leave 2^30. */
function biasFloor(
  b: GraphBuilder,
  bias: string,
  inputScale: string,
  shape: readonly number[],
  axis: number | null,
): string {
  const magnitude = b.unary('Abs', bias)
  const single = axis === null || b.shape(bias).every((size) => size === 1)
  const most = single ? b.reduceAll('Max', magnitude) : magnitude
  const floor = b.div(most, b.mul(inputScale, b.scalar(2 ** 30)))
  return single ? floor : b.reshape(floor, scaleShape(shape, axis))
}

/** The least number of float16 that is not below x. */
export function roundedUpToFloat16(b: GraphBuilder, x: string): string {
  const half = (value: string) => b.cast(b.cast(value, 'float16'), 'float32')
  const wide = b.binary('Max', x, b.scalar(2 ** -18))
  const nearest = half(wide)
  // three quarters of a step up to one and a half: rounds to the next
  const step = b.binary('Max', b.mul(nearest, b.scalar(0.75 * 2 ** -10)), b.scalar(0.75 * 2 ** -24))
  const next = half(b.add(nearest, step))
  return b.where(b.compare('Less', nearest, wide), next, nearest)
}
