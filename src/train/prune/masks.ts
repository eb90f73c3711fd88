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

/** The share of all weights that is smallest in magnitude, over the layers together (Han et al. 2015). Ties go in order. */
export function magnitudeMasks(weights: readonly MaskedWeights[], sparsity: number): Masks {
  const total = weights.reduce((sum, { values }) => sum + values.length, 0)
  const zeros = Math.floor(sparsity * total)
  const magnitudes = new Float32Array(total)
  let at = 0
  for (const { values } of weights) for (const value of values) magnitudes[at++] = Math.abs(value)
  const threshold = zeros === 0 ? -1 : magnitudes.toSorted()[zeros - 1]!
  let below = magnitudes.reduce((count, value) => count + (value < threshold ? 1 : 0), 0)
  return new Map(
    weights.map(({ name, values }) => [
      name,
      values.map((value) => {
        const magnitude = Math.abs(value)
        if (magnitude < threshold) return 0
        // as many of the equal ones as are still wanted
        if (magnitude === threshold && below < zeros) {
          below++
          return 0
        }
        return 1
      }),
    ]),
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

/** Share of zeros over all weights that are masked. */
export function sparsityOf(masks: Masks): number {
  let [zeros, total] = [0, 0]
  for (const mask of masks.values()) {
    total += mask.length
    for (const one of mask) if (one === 0) zeros++
  }
  return total === 0 ? 0 : zeros / total
}
