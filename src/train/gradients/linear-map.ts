import type { GraphBuilder } from '../builder.ts'

/** An element that a result is made of, and its weight. */
export type Tap = readonly [source: number, weight: number]

/** A larger matrix takes more time and memory than adding element by element: long signals. */
const largestMatrix = 2 ** 20

/**
 * The gradient by x of y = x mapped linearly along one axis: the transposed map.
 * @param size of the axis of x
 * @param taps what each element of y along the axis is the weighted sum of
 */
export function mappedBack(
  b: GraphBuilder,
  gradient: string,
  axis: number,
  size: number,
  taps: readonly (readonly Tap[])[],
): string {
  const made = taps.length
  if (made * size > largestMatrix) return addedBack(b, gradient, axis, size, taps)
  const rank = b.shape(gradient).length
  if (axis === rank - 2) {
    const matrix = new Float32Array(size * made)
    for (const { source, at, weight } of entries(taps)) matrix[source * made + at]! += weight
    return b.matMul(b.floats(matrix, [size, made]), gradient)
  }
  const matrix = new Float32Array(made * size)
  for (const { source, at, weight } of entries(taps)) matrix[at * size + source]! += weight
  const axes = Array.from({ length: rank }, (_, index) => index)
  const perm = [...axes.filter((index) => index !== axis), axis]
  const product = b.matMul(b.transpose(gradient, perm), b.floats(matrix, [made, size]))
  return b.transpose(
    product,
    axes.map((index) => perm.indexOf(index)),
  )
}

/** The same, element by element. */
function addedBack(
  b: GraphBuilder,
  gradient: string,
  axis: number,
  size: number,
  taps: readonly (readonly Tap[])[],
): string {
  const all = entries(taps)
  const along = b.shape(gradient).map((_, index) => (index === axis ? all.length : 1))
  const taken = b.op({ kind: 'Gather', axis }, [gradient, b.integers(all.map(({ at }) => at))])
  const weights = all.map(({ weight }) => weight)
  const updates = weights.every((weight) => weight === 1) ? taken : b.mul(taken, b.floats(weights, along))
  const sources = b.integers(
    all.map(({ source }) => source),
    along,
  )
  return scatterAdded(b, updates, sources, axis, size)
}

/**
 * Zeros of `size` along the axis, to which each element of the updates is added at its index along the axis. By
 * ScatterElements, which is slower than ScatterND and right: ONNX Runtime's ScatterND adds from several threads at once
 * and loses summands of equal indices (microsoft/onnxruntime#23396).
 * @param indices int64, broadcast to the updates
 */
export function scatterAdded(
  b: GraphBuilder,
  updates: string,
  indices: string,
  axis: number,
  size: number,
): string {
  const shape = b.shape(updates).with(axis, size)
  const [sums] = b.stock(
    'ScatterElements',
    [b.expand(b.scalar(0), shape), b.expand(indices, b.shape(updates)), updates],
    [{ shape }],
    { axis: { int: axis }, reduction: { text: 'add' } },
    16,
  )
  return sums!
}

interface Entry {
  readonly source: number
  readonly at: number
  readonly weight: number
}

function entries(taps: readonly (readonly Tap[])[]): Entry[] {
  return taps.flatMap((sources, at) => sources.map(([source, weight]) => ({ source, at, weight })))
}
