import type { GraphBuilder } from '../builder.ts'

/** An element that a result is made of, and its weight. */
export type Tap = readonly [source: number, weight: number]

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
  const rank = b.shape(gradient).length
  if (axis === rank - 2) {
    const matrix = new Float32Array(size * made)
    each(taps, (source, y, weight) => {
      matrix[source * made + y]! += weight
    })
    return b.matMul(b.floats(matrix, [size, made]), gradient)
  }
  const matrix = new Float32Array(made * size)
  each(taps, (source, y, weight) => {
    matrix[y * size + source]! += weight
  })
  const axes = Array.from({ length: rank }, (_, at) => at)
  const perm = [...axes.filter((at) => at !== axis), axis]
  const product = b.matMul(b.transpose(gradient, perm), b.floats(matrix, [made, size]))
  return b.transpose(
    product,
    axes.map((at) => perm.indexOf(at)),
  )
}

function each(
  taps: readonly (readonly Tap[])[],
  take: (source: number, made: number, weight: number) => void,
): void {
  taps.forEach((sources, made) => {
    for (const [source, weight] of sources) take(source, made, weight)
  })
}
