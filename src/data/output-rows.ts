import type { Tensor } from '../tensor.ts'
import { floatsOf } from './elements.ts'

/** A matrix of boxes by attributes, whichever axis came first and however many outputs it was in. */
export interface Rows {
  readonly count: number
  readonly columns: readonly Column[]
}

/** One attribute of all boxes: that of a row is `values[start + row · stride]`. */
export interface Column {
  readonly values: Float32Array
  readonly start: number
  readonly stride: number
}

/** Rows of tensors that speak of the same boxes, those whose counts agree, side by side. */
export function alignedRows(tensors: readonly Tensor[]): Rows | null {
  const [first, ...others] = tensors
  if (!first) return null
  for (const rows of [rowsOf(first, 4), turned(first)]) {
    const parts = others.map((tensor) =>
      [rowsOf(tensor, null), turned(tensor)].find((one) => one?.count === rows?.count),
    )
    if (rows && parts.every((part) => part))
      return { count: rows.count, columns: [rows, ...parts].flatMap((part) => part!.columns) }
  }
  return null
}

/** A matrix with its attributes on the axis that has so many; where that is not known, on the shorter one. */
export function rowsOf(tensor: Tensor, attributes: number | null): Rows | null {
  const [first, second] = squeezed(tensor.shape)
  if (first === undefined || second === undefined) return null
  const told = attributes !== null && (first === attributes) !== (second === attributes)
  const across = told ? second === attributes : second <= first
  return across ? rowsAcross(tensor, first, second) : rowsDown(tensor, first, second)
}

/** The other way than `rowsOf` guesses. */
export function turned(tensor: Tensor): Rows | null {
  const [first, second] = squeezed(tensor.shape)
  if (first === undefined || second === undefined) return null
  return second <= first ? rowsDown(tensor, first, second) : rowsAcross(tensor, first, second)
}

/** [boxes, attributes]. */
export function rowsAcross({ dtype, data }: Tensor, count: number, attributes: number): Rows {
  const values = floatsOf(dtype, data)
  return {
    count,
    columns: Array.from({ length: attributes }, (_, start) => ({ values, start, stride: attributes })),
  }
}

/** [attributes, boxes]. */
function rowsDown({ dtype, data }: Tensor, attributes: number, count: number): Rows {
  const values = floatsOf(dtype, data)
  return {
    count,
    columns: Array.from({ length: attributes }, (_, index) => ({ values, start: index * count, stride: 1 })),
  }
}

/** Without the axes of 1 in front. */
export function squeezed(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((dimension) => dimension !== 1)
  return shape.slice(Math.min(first === -1 ? shape.length : first, Math.max(0, shape.length - 2)))
}

export function read({ values, start, stride }: Column, row: number): number {
  return values[start + row * stride]!
}
