import { elementCount } from '../tensor.ts'
import type { Slice } from './ops.ts'
import { sliceExtent } from './table/movement.ts'

/**
 * Index arithmetic of row-major tensors. Offsets say, for each axis of a result and each position along it, how far
 * into the source that position reaches; the source of an element is the sum over the axes.
 */
export type Offsets = readonly (readonly number[])[]

/** Elements between neighbours along each axis. */
export function strides(shape: readonly number[]): number[] {
  return shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
}

/** The flat source index of every element of a result. */
export function sourceIndices(offsets: Offsets): Uint32Array {
  let indices = Uint32Array.of(0)
  for (const along of offsets) {
    const wider = new Uint32Array(indices.length * along.length)
    let i = 0
    for (const base of indices) for (const offset of along) wider[i++] = base + offset
    indices = wider
  }
  return indices
}

export function broadcastOffsets(from: readonly number[], to: readonly number[]): Offsets {
  const steps = strides(from)
  return to.map((size, axis) => {
    const source = axis - (to.length - from.length)
    const step = source < 0 || from[source] === 1 ? 0 : steps[source]!
    return positions(size, (i) => i * step)
  })
}

export function tileOffsets(shape: readonly number[], repeats: readonly number[]): Offsets {
  const steps = strides(shape)
  return shape.map((size, axis) => positions(size * repeats[axis]!, (i) => (i % size) * steps[axis]!))
}

export function sliceOffsets(
  shape: readonly number[],
  { axes, starts, ends, steps }: Pick<Slice, 'axes' | 'starts' | 'ends' | 'steps'>,
): Offsets {
  return strides(shape).map((stride, axis) => {
    const k = axes.indexOf(axis)
    if (k < 0) return positions(shape[axis]!, (i) => i * stride)
    const { start, count } = sliceExtent(shape[axis]!, starts[k]!, ends[k]!, steps[k]!)
    return positions(count, (i) => (start + i * steps[k]!) * stride)
  })
}

/** Sources of a gather along one axis; null where an index lies outside it. */
export function gatherIndices(
  shape: readonly number[],
  axis: number,
  indices: readonly number[],
): Uint32Array | null {
  const size = shape[axis]!
  const inside = indices.map((index) => (index < 0 ? index + size : index))
  if (!inside.every((index) => index >= 0 && index < size)) return null
  const inner = elementCount(shape.slice(axis + 1))
  return sourceIndices([
    positions(elementCount(shape.slice(0, axis)), (i) => i * size * inner),
    inside.map((index) => index * inner),
    positions(inner, (i) => i),
  ])
}

/** For each element of a reduction, the source indices that it takes together. */
export function reduceGroups(
  shape: readonly number[],
  axes: readonly number[],
): (element: number) => Uint32Array {
  const steps = strides(shape)
  const along = (reduced: boolean) =>
    shape.flatMap((size, axis) =>
      axes.includes(axis) === reduced ? [positions(size, (i) => i * steps[axis]!)] : [],
    )
  const bases = sourceIndices(along(false))
  const within = sourceIndices(along(true))
  return (element) => within.map((offset) => offset + bases[element]!)
}

function positions(count: number, at: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => at(i))
}
