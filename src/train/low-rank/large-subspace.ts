import { seededGenerator } from '../../data/generator.ts'
import { createOnnxEvaluator } from '../../execute/onnxruntime.ts'
import type { Evaluator } from '../../execute/evaluator.ts'
import { writeOnnx } from '../../formats/onnx/write.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { TensorType } from '../../graph/types.ts'
import { type Gram, type Grams, spaceOf, type Spaces, valuesOf } from './candidates.ts'
import { type Subspace, subspaceOf, traceOf } from './subspace.ts'

/** Products of float64 matrices by ONNX Runtime, some twenty times as fast as loops in JavaScript. */
export interface Products {
  /** a · b, or a · bᵀ where b is given as columns × inner. */
  multiply(
    a: Float64Array,
    rows: number,
    b: Float64Array,
    columns: number,
    turned?: boolean,
  ): Promise<Float64Array>
  close(): Promise<void>
}

export function openProducts(): Products {
  const sessions = new Map<string, Promise<Evaluator>>()
  return {
    async multiply(a, rows, b, columns, turned = false) {
      const inner = a.length / rows
      const shapes = { a: [rows, inner], b: turned ? [columns, inner] : [inner, columns] }
      const key = `${rows} ${inner} ${columns} ${turned}`
      const session = sessions.get(key) ?? createOnnxEvaluator(productGraph(shapes, turned))
      sessions.set(key, session)
      const results = await (await session).run(
        new Map([
          ['a', { dtype: 'float64', shape: shapes.a, data: a }],
          ['b', { dtype: 'float64', shape: shapes.b, data: b }],
        ]),
      )
      return results.get('product')!.data as Float64Array
    },
    async close() {
      for (const session of sessions.values()) await (await session).close()
      sessions.clear()
    },
  }
}

function productGraph(shapes: { readonly a: number[]; readonly b: number[] }, turned: boolean): Uint8Array {
  const typeOf = (shape: readonly number[]): TensorType => ({ dtype: 'float64', shape, quantization: null })
  const editor = GraphEditor.empty('product')
  const a = editor.addInput('a', typeOf(shapes.a))
  const b = editor.addInput('b', typeOf(shapes.b))
  const columns = shapes.b[turned ? 0 : 1]!
  editor.addNode({
    name: 'product',
    op: { kind: 'Gemm', alpha: 1, beta: 0, transA: false, transB: turned },
    inputs: [a, b],
    outputs: [{ name: 'product', type: typeOf([shapes.a[0]!, columns]) }],
  })
  editor.outputs = ['product']
  return writeOnnx(editor.finish())
}

/** Side from which on not all directions are found: those of 512 take a second, of 2048 a minute and a half. */
const large = 384
/** Of a large matrix; higher ranks of it are not tried. */
const mostDirections = 512

/** All directions of small matrices, the strongest that can save something of large ones. */
export async function leadingSpaces(grams: Grams, products: Products): Promise<Spaces> {
  const of = async (gram: Gram): Promise<Subspace> => {
    const { matrix, size, useful, seen } = gram
    if (size <= large) return spaceOf(gram)
    const space = await leadingSubspace(matrix, size, Math.min(useful, mostDirections), products)
    if (!seen) return space
    const turned = await products.multiply(space.directions, space.values.length, seen, size)
    return valuesOf(space, seen, turned)
  }
  return {
    output: await of(grams.output),
    input: grams.input && (await of(grams.input)),
    spatial: grams.spatial && (await of(grams.spatial)),
  }
}

/** Times that the start is multiplied: each takes the ratio of two eigenvalues to one higher power. */
const rounds = 4
/** Directions beside those that are asked for. */
const spare = 8

/**
 * The strongest directions of a large symmetric positive matrix by randomized subspace iteration (Halko, Martinsson and
 * Tropp 2011, algorithm 4.4), with the same seed the same. What the others hold is known from the trace.
 *
 * @param matrix size × size
 */
export async function leadingSubspace(
  matrix: Float64Array,
  size: number,
  wanted: number,
  products: Products,
): Promise<Subspace> {
  const { multiply } = products
  const count = Math.min(size, wanted + spare)
  const total = traceOf(matrix, size)
  const random = seededGenerator(1)
  let rows: Float64Array = Float64Array.from({ length: count * size }, () => random.normal())
  // of directions that hold shares of the whole
  const scaled = total > 0 ? matrix.map((value) => value / total) : matrix
  for (let round = 0; round < rounds; round++) {
    rows = await multiply(rows, count, scaled, size)
    rows = await orthonormal(rows, count, size, products)
  }
  const turned = await multiply(rows, count, scaled, size)
  const small = subspaceOf(await multiply(turned, count, rows, count, true), count)
  const directions = (await multiply(small.directions, count, rows, size)).slice(0, wanted * size)
  const values = small.values.slice(0, wanted).map((value) => value * total)
  return { size, values, total, directions }
}

/** Rows made orthonormal by the inverse root of their products, twice; what is dependent is left as zeros. */
async function orthonormal(
  rows: Float64Array,
  count: number,
  size: number,
  { multiply }: Products,
): Promise<Float64Array> {
  let made = rows
  for (let pass = 0; pass < 2; pass++) {
    const products = await multiply(made, count, made, count, true)
    made = await multiply(inverseOfCholesky(products, count), count, made, size)
  }
  return made
}

/** Below this share of a row's length nothing of it is new. */
const dependent = 1e-20

/** The inverse of the lower Cholesky factor; rows that depend on earlier ones come out as zeros. */
function inverseOfCholesky(matrix: Float64Array, size: number): Float64Array {
  const factor = new Float64Array(size * size)
  const inverse = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    const row = factor.subarray(i * size, (i + 1) * size)
    let rest = matrix[i * size + i]!
    for (let j = 0; j < i; j++) {
      const other = j * size
      const pivot = factor[other + j]!
      if (pivot === 0) continue
      let sum = matrix[i * size + j]!
      for (let k = 0; k < j; k++) sum -= row[k]! * factor[other + k]!
      row[j] = sum / pivot
      rest -= row[j]! ** 2
    }
    if (!(rest > dependent + 1e-14 * matrix[i * size + i]!)) {
      row.fill(0)
      continue
    }
    const pivot = Math.sqrt(rest)
    row[i] = pivot
    // forward substitution: rows of the inverse from those before
    const made = inverse.subarray(i * size, (i + 1) * size)
    for (let j = 0; j < i; j++) {
      const share = row[j]!
      if (share === 0) continue
      const from = j * size
      for (let k = 0; k <= j; k++) made[k]! -= share * inverse[from + k]!
    }
    for (let k = 0; k < i; k++) made[k]! /= pivot
    made[i] = 1 / pivot
  }
  return inverse
}
