import { sourceIndices, strides } from '../../graph/fold-index.ts'
import { elementCount } from '../../tensor.ts'
import { identity, movingAxes, type Permutation, sameElementOrder, samePermutation } from './permutation.ts'

/** Axes of the input that a Reshape makes into axes of the output; axes of size 1 belong to no group. */
export interface Group {
  readonly from: readonly number[]
  readonly to: readonly number[]
}

/** Cuts a Reshape into the smallest groups of neighbouring axes with equal products; null for empty tensors. */
export function groupAxes(from: readonly number[], to: readonly number[]): Group[] | null {
  if (elementCount(from) === 0) return null
  const left = from.map((_, axis) => axis).filter((axis) => from[axis] !== 1)
  const right = to.map((_, axis) => axis).filter((axis) => to[axis] !== 1)
  const groups: Group[] = []
  for (let i = 0, k = 0; i < left.length && k < right.length; ) {
    const group = { from: [left[i]!], to: [right[k]!] }
    let [a, b] = [from[left[i++]!]!, to[right[k++]!]!]
    while (a !== b) {
      if (a < b) {
        a *= from[left[i]!]!
        group.from.push(left[i++]!)
      } else {
        b *= to[right[k]!]!
        group.to.push(right[k++]!)
      }
    }
    groups.push(group)
  }
  return groups
}

/** Groups in the order in which they are stored, each with its axes as they stand there. */
export interface StoredGroup extends Group {
  readonly stored: readonly number[]
}

/** Null where the axes of a group do not stand together. */
export function storedGroups(
  groups: readonly Group[],
  shape: readonly number[],
  perm: Permutation,
): StoredGroup[] | null {
  const moving = movingAxes(shape, perm)
  const found: StoredGroup[] = []
  for (let at = 0; at < moving.length; ) {
    const group = groups.find(({ from }) => from.includes(moving[at]!))!
    const stored = moving.slice(at, at + group.from.length)
    if (!stored.every((axis) => group.from.includes(axis))) return null
    found.push({ ...group, stored })
    at += stored.length
  }
  return found
}

export function inOrder({ from, stored }: StoredGroup): boolean {
  return from.every((axis, i) => axis === stored[i])
}

/**
 * How to store the input so that every group stands together and in order: the groups as the output should have them
 * where one of the wanted permutations allows it, else as the source has them.
 */
export function gatherGroups(
  groups: readonly Group[],
  from: readonly number[],
  to: readonly number[],
  wanted: readonly (Permutation | null)[],
): Permutation {
  const unit = from.map((_, axis) => axis).filter((axis) => from[axis] === 1)
  for (const perm of wanted) {
    const moving = perm?.length === to.length ? movingAxes(to, perm) : []
    const sorted = groups.toSorted((a, b) => moving.indexOf(a.to[0]!) - moving.indexOf(b.to[0]!))
    if (
      samePermutation(
        sorted.flatMap((group) => group.to),
        moving,
      )
    )
      return [...unit, ...sorted.flatMap((group) => group.from)]
  }
  return identity(from.length)
}

/**
 * How the output is stored when its moving axes stand in the given order: axes of size 1 can stand anywhere, so that
 * the first wanted permutation that agrees is taken, else each stands behind its neighbour.
 */
export function placeUnitAxes(
  shape: readonly number[],
  moving: readonly number[],
  wanted: readonly (Permutation | null)[],
): Permutation {
  for (const perm of wanted)
    if (perm && perm.length === shape.length && sameElementOrder(shape, perm, moving)) return perm
  const order = [...moving]
  shape.forEach((size, axis) => {
    if (size === 1) order.splice(axis === 0 ? 0 : order.indexOf(axis - 1) + 1, 0, axis)
  })
  return order
}

/** For each stored element of some axes flattened into one, its index where they are flattened in order. */
export function flattenedOrder(shape: readonly number[], stored: readonly number[]): Uint32Array {
  const inOrder = stored.toSorted((a, b) => a - b)
  const steps = strides(inOrder.map((axis) => shape[axis]!))
  return sourceIndices(
    stored.map((axis) => Array.from({ length: shape[axis]! }, (_, i) => i * steps[inOrder.indexOf(axis)]!)),
  )
}
