import { constantOf, float32Constant, numbersOf } from '../graph/constant.ts'
import type { Op } from '../graph/ops.ts'
import type { Constant, Quantization } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import { correctBias, type LayerShape } from './bias-correction.ts'
import { type ConstantWeights, quantizeConstant } from './constant-weights.ts'
import type { WeightRangeMethod } from './ranges.ts'
import { biasScaleFloors, quantizeBias } from './weights.ts'
import { quantizeWideBias } from './wide-bias.ts'

/** What was learnt of one layer from samples; it takes part when the layer's weights become integers. */
export interface LayerTuning {
  /** Chooses the integers; the nearest where absent. */
  readonly round?: RoundWeights
  /** Added to the bias of each output channel before what rounding shifts is taken back. */
  readonly biasShift?: ArrayLike<number>
}

/** By node name of the graph that a target types. */
export type LayerTunings = ReadonlyMap<string, LayerTuning>

export interface RoundingRequest {
  /** As the layer has them, times alpha of a Gemm; `shape` and `axis` are those of the constant. */
  readonly weights: ArrayLike<number>
  readonly shape: readonly number[]
  /** With a scale for each index; null for one scale. */
  readonly axis: number | null
  readonly scales: readonly number[]
  /** Largest stored magnitude. */
  readonly limit: number
  readonly nearest: Int8Array
}

/** Integers in [−limit, limit] of the same shape. Must not change its request. */
export type RoundWeights = (request: RoundingRequest) => Int8Array

/** A Conv, ConvTranspose, Gemm or MatMul with constant weights, as a target stores it. */
export interface WeightedLayer {
  readonly name: string
  readonly op: Op
  readonly weights: Constant
  /** A value for each output channel; null where the layer has none. */
  readonly bias: readonly number[] | null
  readonly inputScale: number
  /** E[x] of each input channel, where biases are to be corrected by it. */
  readonly inputMeans: ArrayLike<number> | undefined
  /** Spatial sizes, for how often padding stands under a tap. */
  readonly spatial: LayerShape
  readonly tuning: LayerTuning | undefined
}

export interface LayerNumerics {
  readonly method: WeightRangeMethod
  /** Axis of the weights with a scale for each index; null for one scale. */
  readonly axis: number | null
  /** Largest stored weight: 127, or 63 where 16-bit sums of products must not saturate. */
  readonly limit: number
  /** 16-bit activations add to 64 bits; `float32`: the bias stays real. */
  readonly biasType: 'int32' | 'int64' | 'float32'
  /** Scales of weights are numbers of float16, rounded up. */
  readonly scaleGrid?: 'float16'
}

export interface StoredBias {
  readonly constant: Constant
  /** Null where it holds reals. */
  readonly quantization: Quantization | null
}

export interface StoredLayer {
  readonly weights: ConstantWeights
  readonly bias: StoredBias | null
}

/**
 * Weights in symmetric int8, rounded as the tuning says, and the bias at s_in · s_w or real: shifted as the tuning says, then
 * less what rounding the weights shifts on average.
 * @throws MODEL_NAN_WEIGHTS where a weight is not finite
 */
export function quantizeLayer(layer: WeightedLayer, numerics: LayerNumerics): StoredLayer {
  const { op, name, inputScale, tuning } = layer
  const { axis, limit, method, biasType, scaleGrid } = numerics
  const factor = op.kind === 'Gemm' ? op.alpha : 1
  const bias = layer.bias && shifted(layer.bias, tuning?.biasShift)
  const channels = axis === null ? 1 : layer.weights.shape[axis]!
  const floors =
    biasType !== 'int32'
      ? []
      : biasScaleFloors(bias && axis === null ? [largest(bias)] : bias, inputScale, channels)
  const nearest = quantizeConstant(
    layer.weights,
    { method, axis, limit, factor, floors, ...(scaleGrid && { scaleGrid }) },
    name,
  )
  const weights = tuning?.round ? rounded(layer.weights, nearest, tuning.round, { limit, factor }) : nearest
  if (!bias) return { weights, bias: null }
  const corrected = correctedBias(layer, bias, weights, factor)
  if (biasType === 'float32')
    return { weights, bias: { constant: float32Constant([corrected.length], corrected), quantization: null } }
  const stored = (biasType === 'int64' ? quantizeWideBias : quantizeBias)(
    corrected,
    inputScale,
    weights.quantization.scales,
  )
  return {
    weights,
    bias: {
      constant: constantOf(biasType, [corrected.length], stored.data),
      quantization: stored.quantization,
    },
  }
}

function shifted(bias: readonly number[], shift: ArrayLike<number> | undefined): readonly number[] {
  return shift ? bias.map((b, channel) => b + shift[channel]!) : bias
}

function rounded(
  weights: Constant,
  { constant, quantization }: ConstantWeights,
  round: RoundWeights,
  { limit, factor }: { limit: number; factor: number },
): ConstantWeights {
  const data = round({
    weights: scaledNumbers(weights, factor),
    shape: weights.shape,
    axis: quantization.axis,
    scales: quantization.scales,
    limit,
    nearest: Int8Array.from(numbersOf(constant)),
  })
  return { constant: constantOf('int8', weights.shape, data), quantization }
}

function correctedBias(
  { op, inputMeans, spatial, weights }: WeightedLayer,
  bias: readonly number[],
  stored: ConstantWeights,
  factor: number,
): readonly number[] {
  if (!inputMeans || (op.kind !== 'Conv' && op.kind !== 'Gemm')) return bias
  const reals = dequantizedNumbers(stored.constant, stored.quantization)
  return correctBias(op, bias, scaledNumbers(weights, factor), reals, weights.shape, inputMeans, spatial)
}

function scaledNumbers(constant: Constant, factor: number): number[] {
  const numbers = numbersOf(constant)
  return factor === 1 ? numbers : numbers.map((w) => w * factor)
}

/** The reals that stored integers mean, zero points aside: symmetric types only. */
export function dequantizedNumbers(constant: Constant, { scales, axis }: Quantization): number[] {
  const inner = axis === null ? 1 : elementCount(constant.shape.slice(axis + 1))
  return numbersOf(constant).map((q, i) => q * scales[Math.floor(i / inner) % scales.length]!)
}

function largest(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
}
