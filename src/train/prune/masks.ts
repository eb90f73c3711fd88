import type { Parameter } from '../network.ts'

/** 1 where a weight stays, 0 where it is held at zero, by name of a parameter. */
export type Masks = ReadonlyMap<string, Float32Array>

/** Weights of which some may be zero. */
export interface MaskedWeights {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array
}

/** Kernels and matrices: biases, normalizations and what has few elements stay whole. */
export function maskable(
  parameters: readonly Parameter[],
  values: ReadonlyMap<string, Float32Array>,
): MaskedWeights[] {
  return parameters
    .filter(({ decay, shape, trainable }) => decay && trainable && shape.length > 1)
    .map(({ name, shape }) => ({ name, shape, values: values.get(name)! }))
}

/** Zhu and Gupta 2017, equation 1: most is taken away early. @param done from 0 to 1 */
export function sparsityAt(done: number, target: number): number {
  return target * (1 - (1 - Math.min(1, Math.max(0, done))) ** 3)
}

export interface MagnitudeOptions {
  /** `global` compares weights of all layers, `layer` takes the same share of each. `global` by default. */
  readonly scope?: 'global' | 'layer'
  /**
   * Share of each layer's weights that stays however small they are; 0.02 by default. Without any a layer of small weights
   * would go as a whole, and the network with it (layer collapse: Tanaka et al. 2020).
   */
  readonly leastPerLayer?: number
}

/**
 * The share of all weights that is smallest in magnitude is held at zero (Han et al. 2015). Ties go in order, and a weight
 * that is zero already stays so: masks of growing sparsity are nested as long as training holds to them.
 */
export function magnitudeMasks(
  weights: readonly MaskedWeights[],
  sparsity: number,
  { scope = 'global', leastPerLayer = 0.02 }: MagnitudeOptions = {},
): Masks {
  const mostOf = ({ values }: MaskedWeights) => Math.floor((1 - leastPerLayer) * values.length)
  if (scope === 'layer')
    return new Map(
      weights.flatMap((layer) => [
        ...smallest([layer], Math.min(Math.round(sparsity * layer.values.length), mostOf(layer))),
      ]),
    )
  const masks = new Map<string, Float32Array>()
  let left = weights
  let zeros = Math.round(sparsity * sizeOf(weights))
  for (;;) {
    const tried = smallest(left, Math.min(zeros, sizeOf(left)))
    const full = left.filter((layer) => zerosIn(tried.get(layer.name)!) > mostOf(layer))
    for (const layer of full) {
      masks.set(layer.name, smallest([layer], mostOf(layer)).get(layer.name)!)
      zeros -= mostOf(layer)
    }
    if (full.length === 0) {
      for (const [name, mask] of tried) masks.set(name, mask)
      // in the order of the layers
      return new Map(weights.map(({ name }) => [name, masks.get(name)!]))
    }
    left = left.filter((layer) => !full.includes(layer))
  }
}

/** Masks that hold exactly so many weights at zero: the smallest of all layers together. */
function smallest(weights: readonly MaskedWeights[], zeros: number): Map<string, Float32Array> {
  const magnitudes = new Float32Array(sizeOf(weights))
  let at = 0
  for (const { values } of weights) for (const value of values) magnitudes[at++] = Math.abs(value)
  const threshold = zeros === 0 ? -1 : magnitudes.toSorted()[zeros - 1]!
  let taken = magnitudes.reduce((count, value) => count + (value < threshold ? 1 : 0), 0)
  return new Map(
    weights.map(({ name, values }) => [
      name,
      values.map((value) => {
        const magnitude = Math.abs(value)
        if (magnitude < threshold) return 0
        // as many of the equal ones as are still wanted
        if (magnitude === threshold && taken < zeros) {
          taken++
          return 0
        }
        return 1
      }),
    ]),
  )
}

/** Values with zeros where masks hold them; those without a mask are the same arrays. */
export function applyMasks(
  values: ReadonlyMap<string, Float32Array>,
  masks: Masks,
): ReadonlyMap<string, Float32Array> {
  return new Map(
    [...values].map(([name, numbers]) => {
      const mask = masks.get(name)
      return [name, mask ? numbers.map((value, index) => (mask[index] === 0 ? 0 : value)) : numbers]
    }),
  )
}

/**
 * Of each group of `of` weights that are neighbours along the inputs of a layer, the `keep` largest stay: 2 of 4 is what
 * NVIDIA's sparse tensor cores take (Mishra et al. 2021). Layers whose inputs are no multiple of the group stay whole.
 *
 * @param inputAxis of each layer's weights, by name of the parameter
 */
export function structuredMasks(
  weights: readonly MaskedWeights[],
  inputAxis: (name: string) => number,
  keep = 2,
  of = 4,
): Masks {
  return new Map(
    weights.flatMap(({ name, shape, values }) => {
      const axis = inputAxis(name)
      const size = shape[axis]!
      if (size % of !== 0) return []
      const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1)
      const mask = new Float32Array(values.length)
      for (let start = 0; start < values.length; start++) {
        if (Math.floor(start / inner) % of !== 0) continue
        const members = Array.from({ length: of }, (_, index) => start + index * inner)
        members
          .toSorted((a, b) => Math.abs(values[b]!) - Math.abs(values[a]!) || a - b)
          .slice(0, keep)
          .forEach((index) => {
            mask[index] = 1
          })
      }
      return [[name, mask] as const]
    }),
  )
}

/**
 * Holds the zeros that pruning left: of kernels with a share of exact zeros that training alone does not make. A kernel
 * that is all zeros was begun so, and trains.
 */
export function zeroMasks(weights: readonly MaskedWeights[]): Masks {
  return new Map(
    weights.flatMap(({ name, values }) => {
      const mask = values.map((value) => (value === 0 ? 0 : 1))
      const share = zerosIn(mask) / mask.length
      return share >= leastHeld && share < 1 ? [[name, mask] as const] : []
    }),
  )
}

/** Below it zeros may be chance: of few weights, or of float16. */
const leastHeld = 0.01

/** Share of zeros over all weights that are masked. */
export function sparsityOf(masks: Masks): number {
  const all = [...masks.values()]
  const total = all.reduce((sum, mask) => sum + mask.length, 0)
  return total === 0 ? 0 : all.reduce((sum, mask) => sum + zerosIn(mask), 0) / total
}

function zerosIn(mask: Float32Array): number {
  return mask.reduce((count, one) => count + (one === 0 ? 1 : 0), 0)
}

function sizeOf(weights: readonly MaskedWeights[]): number {
  return weights.reduce((sum, { values }) => sum + values.length, 0)
}
