import type { Layout } from '../../graph/ops.ts'
import type { TensorType } from '../../graph/types.ts'

/** How a tensor is stored: stored axis i is axis `perm[i]` of the tensor as its graph speaks of it. */
export type Permutation = readonly number[]

export function identity(rank: number): Permutation {
  return Array.from({ length: rank }, (_, axis) => axis)
}

export function isIdentity(perm: Permutation): boolean {
  return perm.every((axis, i) => axis === i)
}

export function samePermutation(p: Permutation, q: Permutation): boolean {
  return p.length === q.length && p.every((axis, i) => axis === q[i])
}

export function invert(perm: Permutation): Permutation {
  const inverse = new Array<number>(perm.length)
  perm.forEach((axis, i) => {
    inverse[axis] = i
  })
  return inverse
}

/** Axis i of the result is axis `p[q[i]]`. */
export function compose(p: Permutation, q: Permutation): Permutation {
  return q.map((axis) => p[axis]!)
}

export function permute<T>(list: readonly T[], perm: Permutation): T[] {
  return perm.map((axis) => list[axis]!)
}

export function permuteType({ dtype, shape, quantization }: TensorType, perm: Permutation): TensorType {
  const axis = quantization?.axis ?? null
  return {
    dtype,
    shape: permute(shape, perm),
    quantization:
      quantization && axis !== null ? { ...quantization, axis: perm.indexOf(axis) } : quantization,
  }
}

/** How activations of the other layout are stored once they are in layout `to`. */
export function towards(to: Layout, rank: number): Permutation {
  if (rank < 3) return identity(rank)
  const spatial = rank - 2
  return to === 'channels-last'
    ? [0, ...Array.from({ length: spatial }, (_, i) => i + 2), 1]
    : [0, rank - 1, ...Array.from({ length: spatial }, (_, i) => i + 1)]
}

/** The axes that elements move along, in stored order: where two agree, a Reshape leads from one to the other. */
export function movingAxes(shape: readonly number[], perm: Permutation): number[] {
  return perm.filter((axis) => shape[axis] !== 1)
}

export function sameElementOrder(shape: readonly number[], p: Permutation, q: Permutation): boolean {
  return samePermutation(movingAxes(shape, p), movingAxes(shape, q))
}

/** What is left of a permutation when axes disappear. */
export function withoutAxes(perm: Permutation, axes: readonly number[]): Permutation {
  return perm
    .filter((axis) => !axes.includes(axis))
    .map((axis) => axis - axes.filter((gone) => gone < axis).length)
}
