import type { FactorLayer } from './layers.ts'
import type { OutputMoments } from './moments.ts'
import { errorsOf, outerGram, projected, type Subspace, subspaceOf, traceOf } from './subspace.ts'

/**
 * Ways to write a layer as a product of smaller ones:
 * `output`: the layer to `rank` outputs, then 1×1 (a matrix) to all of them: for matrices and 1×1 kernels the SVD, for
 * others the output subspace of Zhang et al. 2015;
 * `spatial`: k×1 to `rank` channels, then 1×k (Jaderberg et al. 2014);
 * `tucker`: 1×1, k×k between `ranks` channels, 1×1 (Kim et al. 2016).
 */
export type Factors =
  | { readonly method: 'output'; readonly rank: number }
  | { readonly method: 'spatial'; readonly rank: number }
  | { readonly method: 'tucker'; readonly rank: number; readonly inputRank: number }

export interface Option {
  readonly factors: Factors
  readonly weights: number
  readonly macs: number
  /** Of the layer's output (with moments) or of its weights, relative. */
  readonly error: number
}

export interface Candidate {
  readonly layer: FactorLayer
  /** Directions of the outputs, by what samples gave or by the weights alone. */
  readonly outputSpace: Subspace
  /** Of the inputs, by the weights; null for matrices and 1×1 kernels. */
  readonly inputSpace: Subspace | null
  /** Of the rows of k×1 kernels; null where there are none. */
  readonly spatialSpace: Subspace | null
  /** Those that save something. */
  readonly options: readonly Option[]
}

/** Symmetric matrices whose strongest directions are to be found. */
export interface Grams {
  readonly output: Gram
  readonly input: Gram | null
  readonly spatial: Gram | null
}

export interface Gram {
  readonly matrix: Float64Array
  readonly size: number
  /** Directions beyond these would save nothing. */
  readonly useful: number
  /** What the values of the directions are of, where the matrix holds more than that. */
  readonly seen: Float64Array | null
}

/** @param moments of the layer's output; without them its weights stand for the output */
export function gramsOf(layer: FactorLayer, moments: OutputMoments | null): Grams {
  const { outputs, inputs, kernel } = layer
  const columns = layer.weights / outputs
  const useful = Math.min(outputs, columns, Math.ceil((outputs * columns) / (outputs + columns)))
  const gram = (rows: Float64Array, size: number, most: number): Gram => ({
    matrix: outerGram(rows, size),
    size,
    useful: Math.min(size, most),
    seen: null,
  })
  const [height, width] = kernel
  const spatial = kernel.length === 2 && height! > 1 && width! > 1
  return {
    output: { ...outputGram(layer, moments), size: outputs, useful },
    input: kernel.some((size) => size > 1) ? gram(byInput(layer), inputs, inputs) : null,
    spatial: spatial
      ? gram(
          byRows(layer),
          inputs * height!,
          Math.ceil(layer.weights / (inputs * height! + width! * outputs)),
        )
      : null,
  }
}

export interface Spaces {
  readonly output: Subspace
  readonly input: Subspace | null
  readonly spatial: Subspace | null
}

/** All directions of each, exactly. */
export function spacesOf({ output, input, spatial }: Grams): Spaces {
  return { output: spaceOf(output), input: input && spaceOf(input), spatial: spatial && spaceOf(spatial) }
}

/** All directions of one. */
export function spaceOf({ matrix, size, seen }: Gram): Subspace {
  const space = subspaceOf(matrix, size)
  return seen ? valuesOf(space, seen, projected(space, size, seen)) : space
}

/** The same directions with what they hold of another matrix. @param turned directions · matrix */
export function valuesOf(space: Subspace, matrix: Float64Array, turned: Float64Array): Subspace {
  const { size, directions } = space
  const values = Float64Array.from(space.values, (_, r) => {
    let sum = 0
    for (let i = r * size; i < (r + 1) * size; i++) sum += turned[i]! * directions[i]!
    return Math.max(0, sum)
  })
  return { ...space, values, total: traceOf(matrix, size) }
}

/** @param spaces of `gramsOf`; without them all directions are found here, which takes seconds from some 500 outputs on */
export function candidateOf(
  layer: FactorLayer,
  moments: OutputMoments | null,
  spaces: Spaces = spacesOf(gramsOf(layer, moments)),
): Candidate {
  const { outputs, inputs, kernel, weights, positions } = layer
  const taps = kernel.reduce((product, size) => product * size, 1)
  const outputSpace = spaces.output
  const options: Option[] = []
  const add = (factors: Factors, cost: number, macs: number, error: number) => {
    if (cost < weights) options.push({ factors, weights: cost, macs, error })
  }
  const outputErrors = errorsOf(outputSpace)
  for (const rank of widthsBelow(Math.min(outputs, outputErrors.length), layer)) {
    const cost = rank * (inputs * taps + outputs)
    add({ method: 'output', rank }, cost, cost * positions, outputErrors[rank]!)
  }
  const { input: inputSpace, spatial: spatialSpace } = spaces
  if (inputSpace) {
    const inputErrors = errorsOf(inputSpace)
    // the first stands before stride and padding
    const readPositions = layer.extent!.read.reduce((product, size) => product * size, batchOf(layer))
    for (const inputRank of ranks(Math.min(inputs, inputErrors.length)))
      for (const rank of ranks(Math.min(outputs, outputErrors.length))) {
        const cost = inputs * inputRank + inputRank * taps * rank + rank * outputs
        const macs =
          inputs * inputRank * readPositions + (inputRank * taps * rank + rank * outputs) * positions
        const error = Math.hypot(inputErrors[inputRank]!, outputErrors[rank]!)
        add({ method: 'tucker', rank, inputRank }, cost, macs, error)
      }
  }
  if (spatialSpace) {
    const [height, width] = kernel as [number, number]
    const size = inputs * height
    const errors = errorsOf(spatialSpace)
    // rows as the layer makes them, columns as it reads them
    const between = batchOf(layer) * layer.extent!.made[0]! * layer.extent!.read[1]!
    for (const rank of widthsBelow(Math.min(size, errors.length), layer)) {
      const [first, second] = [rank * size, rank * width * outputs]
      add({ method: 'spatial', rank }, first + second, first * between + second * positions, errors[rank]!)
    }
  }
  return { layer, outputSpace, inputSpace, spatialSpace, options }
}

/** Share of what the weights alone say, at as many samples as outputs; less with more of them. */
const weightsShare = 1e-3
/** Samples for each output that need no help from the weights. */
const manySamples = 16

/**
 * Around the mean where a bias can add that back. Where samples are few, a little of what the weights would do to inputs
 * without a preferred direction is added: fewer samples than outputs leave directions out that others will have. The
 * values of the directions stay those of the samples.
 */
function outputGram(
  { matrix, outputs, takesBias }: FactorLayer,
  moments: OutputMoments | null,
): Pick<Gram, 'matrix' | 'seen'> {
  if (!moments?.covariance.every(Number.isFinite)) return { matrix: outerGram(matrix, outputs), seen: null }
  const { covariance, mean, count } = moments
  const seen = takesBias
    ? covariance
    : covariance.map((value, i) => value + mean[Math.floor(i / outputs)]! * mean[i % outputs]!)
  if (count >= manySamples * outputs) return { matrix: seen, seen: null }
  const weights = outerGram(matrix, outputs)
  const size = traceOf(weights, outputs)
  if (size === 0) return { matrix: seen, seen: null }
  const share = weightsShare * Math.min(1, outputs / Math.max(1, count))
  const factor = (share * traceOf(seen, outputs)) / size
  return { matrix: seen.map((value, i) => (1 - share) * value + factor * weights[i]!), seen }
}

/** Ranks of a matrix may be any; those of convolutions become channels, which kernels compute in vectors. */
function widthsBelow(most: number, { kernel }: FactorLayer): number[] {
  const all = Array.from({ length: Math.max(0, most - 1) }, (_, index) => index + 1)
  return kernel.length === 0 ? all : all.filter(isWidth)
}

function isWidth(rank: number): boolean {
  return rank < 8 || rank % 8 === 0
}

/** Not each of them: a layer would have thousands of pairs. */
function ranks(most: number): number[] {
  const step = Math.max(1, Math.round(most / 16))
  const all: number[] = []
  for (let rank = step; rank < most; rank += step) if (isWidth(rank)) all.push(rank)
  return all
}

function batchOf({ positions, extent }: FactorLayer): number {
  return positions / extent!.made.reduce((product, size) => product * size, 1)
}

/** inputs × (outputs · kernel). */
export function byInput({ matrix, outputs, inputs, kernel }: FactorLayer): Float64Array {
  const taps = kernel.reduce((product, size) => product * size, 1)
  const made = new Float64Array(matrix.length)
  let at = 0
  for (let input = 0; input < inputs; input++)
    for (let output = 0; output < outputs; output++)
      for (let tap = 0; tap < taps; tap++) made[at++] = matrix[(output * inputs + input) * taps + tap]!
  return made
}

/** (inputs · height) × (outputs · width). */
export function byRows({ matrix, outputs, inputs, kernel }: FactorLayer): Float64Array {
  const [height, width] = kernel as [number, number]
  const made = new Float64Array(matrix.length)
  let at = 0
  for (let input = 0; input < inputs; input++)
    for (let row = 0; row < height; row++)
      for (let output = 0; output < outputs; output++)
        for (let column = 0; column < width; column++)
          made[at++] = matrix[((output * inputs + input) * height + row) * width + column]!
  return made
}
