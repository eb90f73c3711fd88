import { EdgewrightError } from '../error.ts'
import { constantOf, numbersOf, tensorOf } from '../graph/constant.ts'
import type { Constant, Quantization } from '../graph/types.ts'
import { quantizeWeights, type WeightOptions } from './weights.ts'

export interface ConstantWeights {
  readonly constant: Constant
  readonly quantization: Quantization
}

export interface ConstantWeightOptions extends WeightOptions {
  /** Multiplies every weight first, e.g. alpha of a Gemm. */
  readonly factor: number
  /** Smallest scale for each channel, so that the bias fits int32. */
  readonly floors: readonly number[]
}

/** A search over the same weights is made once, however many candidates share it. */
const searched = new WeakMap<Constant, Map<string, ConstantWeights>>()

/**
 * Symmetric int8 form of a float constant.
 * @param where the operator, for errors
 * @throws MODEL_NAN_WEIGHTS where a weight is not finite
 */
export function quantizeConstant(
  weights: Constant,
  { floors, factor, ...options }: ConstantWeightOptions,
  where: string,
): ConstantWeights {
  const { method, axis, limit, scaleGrid } = options
  const known = searched.get(weights) ?? new Map<string, ConstantWeights>()
  searched.set(weights, known)
  const key = `${method} ${axis} ${limit} ${factor} ${scaleGrid ?? ''}`
  const free = known.get(key) ?? quantized(weights, { ...options, factor, floors: [] }, where)
  known.set(key, free)
  const raised = floors.some((floor, channel) => floor > free.quantization.scales[channel]!)
  return raised ? quantized(weights, { ...options, factor, floors }, where) : free
}

function quantized(
  weights: Constant,
  { factor, floors, ...options }: ConstantWeightOptions,
  where: string,
): ConstantWeights {
  const reals = realsOf(weights)
  for (let i = 0; i < reals.length; i++)
    if (!Number.isFinite(reals[i]!))
      throw new EdgewrightError('MODEL_NAN_WEIGHTS', 'A weight of the network is not finite.', {
        where,
        saw: `${reals[i]} at element ${i}`,
        hint: 'The training diverged or the file is damaged: a NaN or an infinity has no int8 form.',
      })
  const scaled = factor === 1 ? reals : Float64Array.from(reals, (w) => w * factor)
  const { data, quantization } = quantizeWeights(scaled, weights.shape, options, floors)
  return { constant: constantOf('int8', weights.shape, data), quantization }
}

/** Without a copy where they are float32 already. */
function realsOf(weights: Constant): ArrayLike<number> {
  return weights.dtype === 'float32' ? (tensorOf(weights).data as Float32Array) : numbersOf(weights)
}
