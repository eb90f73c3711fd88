import { EigenvalueDecomposition, Matrix } from 'ml-matrix'

/** Orthonormal directions, strongest first. */
export interface Subspace {
  /** Side of the matrix. */
  readonly size: number
  /** What each holds of the whole; not negative. */
  readonly values: Float64Array
  /** What all hold, also those that are not known. */
  readonly total: number
  /** Row i is the direction of `values[i]`: as many as values × size, row by row. */
  readonly directions: Float64Array
}

/** Eigenvectors. @param matrix symmetric and positive, size × size, row by row */
export function subspaceOf(matrix: ArrayLike<number>, size: number): Subspace {
  const symmetric = Matrix.from1DArray(size, size, Array.from(matrix))
  const found = new EigenvalueDecomposition(symmetric, { assumeSymmetric: true })
  const vectors = found.eigenvectorMatrix
  const order = Array.from({ length: size }, (_, index) => index).sort(
    (a, b) => found.realEigenvalues[b]! - found.realEigenvalues[a]!,
  )
  const values = Float64Array.from(order, (index) => Math.max(0, found.realEigenvalues[index]!))
  const directions = new Float64Array(size * size)
  order.forEach((index, row) => {
    for (let i = 0; i < size; i++) directions[row * size + i] = vectors.get(i, index)
  })
  return { size, values, total: values.reduce((sum, value) => sum + value, 0), directions }
}

/** What is lost of the whole where only the strongest directions stay: by rank from 0 on, relative, as a norm. */
export function errorsOf({ values, total }: Subspace): Float64Array {
  const errors = new Float64Array(values.length + 1)
  let rest = Math.max(
    0,
    values.reduce((left, value) => left - value, total),
  )
  // all directions leave nothing: what is left then is rounding
  if (rest < 1e-12 * total) rest = 0
  for (let rank = values.length; rank >= 0; rank--) {
    errors[rank] = total === 0 ? 0 : Math.sqrt(rest / total)
    rest += values[rank - 1] ?? 0
  }
  return errors
}

export function traceOf(matrix: Float64Array, size: number): number {
  let sum = 0
  for (let i = 0; i < size; i++) sum += matrix[i * size + i]!
  return sum
}

/** A · Aᵀ of a matrix of `rows` rows, row by row. */
export function outerGram(matrix: ArrayLike<number>, rows: number): Float64Array {
  const columns = matrix.length / rows
  const gram = new Float64Array(rows * rows)
  for (let i = 0; i < rows; i++)
    for (let j = i; j < rows; j++) {
      let sum = 0
      for (let k = 0; k < columns; k++) sum += matrix[i * columns + k]! * matrix[j * columns + k]!
      gram[i * rows + j] = gram[j * rows + i] = sum
    }
  return gram
}

/** The first `rank` directions times a matrix: rank × columns. */
export function projected(
  { directions, size }: Subspace,
  rank: number,
  matrix: ArrayLike<number>,
): Float64Array {
  const columns = matrix.length / size
  const made = new Float64Array(rank * columns)
  for (let r = 0; r < rank; r++)
    for (let i = 0; i < size; i++) {
      const factor = directions[r * size + i]!
      if (factor === 0) continue
      for (let k = 0; k < columns; k++) made[r * columns + k]! += factor * matrix[i * columns + k]!
    }
  return made
}

/** The first `rank` directions as columns: size × rank. */
export function basis({ directions, size }: Subspace, rank: number): Float64Array {
  const made = new Float64Array(size * rank)
  for (let r = 0; r < rank; r++) for (let i = 0; i < size; i++) made[i * rank + r] = directions[r * size + i]!
  return made
}
