import type { LayerRows } from './gram-rows.ts'

/** aᵀ·a of a row-major matrix [count, width]: [width, width]. */
export type GramProduct = (rows: Float32Array, count: number, width: number) => Promise<Float32Array>

/**
 * Second moments E[x·xᵀ] of the rows that a layer reads, a matrix [width, width] for each group; about the means where
 * a bias takes these back. The squared error of outputs whose weights are off by Δ is ΔᵀHΔ.
 */
export interface GramMatrices {
  /** That were seen. */
  readonly rows: number
  readonly groups: readonly Float64Array[]
  /** Mean row of each group. */
  readonly means: readonly Float64Array[]
}

/** Rows are multiplied so many at a time: few enough that float32 sums of them stay exact to six digits. */
const blockRows = 512

/** Below this width plain loops in float64 are faster than to hand the rows out. */
const leastProductWidth = 48

/** Gathers the Gram matrices of one layer over samples, in memory that does not grow with them. */
export class GramSums {
  readonly #layer: LayerRows
  readonly #product: GramProduct
  /** [groups, blockRows, width]. */
  readonly #block: Float32Array
  readonly #sums: readonly Float64Array[]
  readonly #squares: readonly Float64Array[]
  #filled = 0
  #rows = 0

  constructor(layer: LayerRows, product: GramProduct) {
    const { groups, width } = layer
    this.#layer = layer
    this.#product = product
    this.#block = new Float32Array(groups * blockRows * width)
    this.#sums = Array.from({ length: groups }, () => new Float64Array(width))
    this.#squares = Array.from({ length: groups }, () => new Float64Array(width * width))
  }

  /** @param x an input of the layer, in its own layout; `positions`: output positions whose rows are taken */
  async add(x: ArrayLike<number>, positions: Iterable<number>): Promise<void> {
    const { width } = this.#layer
    for (const position of positions) {
      this.#layer.read(x, position, this.#block, this.#filled * width, blockRows * width)
      if (++this.#filled === blockRows) await this.#flush()
    }
  }

  async matrices(centred: boolean): Promise<GramMatrices> {
    await this.#flush()
    const rows = this.#rows
    const means = this.#sums.map((sums) => sums.map((sum) => sum / rows))
    const groups = this.#squares.map((squares, group) =>
      symmetric(squares, rows, centred ? means[group]! : new Float64Array(this.#layer.width)),
    )
    return { rows, groups, means }
  }

  async #flush(): Promise<void> {
    const { width } = this.#layer
    const used = this.#filled * width
    for (const [group, squares] of this.#squares.entries()) {
      const first = group * blockRows * width
      const block = this.#block.subarray(first, first + blockRows * width)
      // rows of zeros add nothing, and blocks of one size need one program
      block.fill(0, used)
      addColumns(this.#sums[group]!, block, used)
      if (width < leastProductWidth) addOuterProducts(squares, block, used, width)
      else if (used > 0) addTo(squares, await this.#product(block, blockRows, width))
    }
    this.#rows += this.#filled
    this.#filled = 0
  }
}

function addColumns(sums: Float64Array, block: Float32Array, used: number): void {
  for (let at = 0; at < used; at += sums.length)
    for (let i = 0; i < sums.length; i++) sums[i]! += block[at + i]!
}

/** The upper triangle. */
function addOuterProducts(squares: Float64Array, block: Float32Array, used: number, width: number): void {
  for (let start = 0; start < used; start += width)
    for (let i = 0, at = 0; i < width; i++) {
      const x = block[start + i]!
      at += i
      for (let j = i; j < width; j++) squares[at++]! += x * block[start + j]!
    }
}

/** Σxxᵀ / rows − mean·meanᵀ, whole, of the upper triangle of Σxxᵀ. */
function symmetric(squares: Float64Array, rows: number, means: Float64Array): Float64Array {
  const width = means.length
  const whole = new Float64Array(squares.length)
  for (let i = 0; i < width; i++)
    for (let j = i; j < width; j++) {
      const moment = squares[i * width + j]! / rows - means[i]! * means[j]!
      whole[i * width + j] = moment
      whole[j * width + i] = moment
    }
  return whole
}

function addTo(sums: Float64Array, terms: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += terms[i]!
}

/**
 * So many of a layer's output positions, spread evenly whatever the width of its rows: steps of the golden section.
 * @param sample its number: each sample is looked at elsewhere
 */
export function spreadPositions(positions: number, count: number, sample: number): number[] {
  if (count >= positions) return Array.from({ length: positions }, (_, position) => position)
  let step = Math.max(1, Math.round(positions * (Math.sqrt(1.25) - 0.5)))
  while (commonDivisor(step, positions) > 1) step++
  return Array.from({ length: count }, (_, i) => ((sample * count + i) * step) % positions)
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}
