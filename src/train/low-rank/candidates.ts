import type { FactorLayer } from './layers.ts'
import type { OutputMoments } from './moments.ts'
import { errorsOf, outerGram, projected, type Subspace, subspaceOf } from './subspace.ts'

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

/** @param moments of the layer's output; without them its weights stand for the output */
export function candidateOf(layer: FactorLayer, moments: OutputMoments | null): Candidate {
  const { outputs, inputs, kernel, weights, positions } = layer
  const taps = kernel.reduce((product, size) => product * size, 1)
  const outputSpace = outputSpaceOf(layer, moments)
  const options: Option[] = []
  const add = (factors: Factors, cost: number, macs: number, error: number) => {
    if (cost < weights) options.push({ factors, weights: cost, macs, error })
  }
  const outputErrors = errorsOf(outputSpace)
  for (let rank = 1; rank < outputs; rank++) {
    const cost = rank * (inputs * taps + outputs)
    add({ method: 'output', rank }, cost, cost * positions, outputErrors[rank]!)
  }
  let inputSpace: Subspace | null = null
  let spatialSpace: Subspace | null = null
  if (taps > 1) {
    inputSpace = subspaceOf(outerGram(byInput(layer), inputs), inputs)
    const inputErrors = errorsOf(inputSpace)
    // the first stands before stride and padding
    const readPositions = layer.extent!.read.reduce((product, size) => product * size, batchOf(layer))
    for (const inputRank of ranks(inputs))
      for (const rank of ranks(outputs)) {
        const cost = inputs * inputRank + inputRank * taps * rank + rank * outputs
        const macs =
          inputs * inputRank * readPositions + (inputRank * taps * rank + rank * outputs) * positions
        const error = Math.hypot(inputErrors[inputRank]!, outputErrors[rank]!)
        add({ method: 'tucker', rank, inputRank }, cost, macs, error)
      }
  }
  if (kernel.length === 2 && kernel[0]! > 1 && kernel[1]! > 1) {
    const [height, width] = kernel as [number, number]
    const size = inputs * height
    spatialSpace = subspaceOf(outerGram(byRows(layer), size), size)
    const errors = errorsOf(spatialSpace)
    // rows as the layer makes them, columns as it reads them
    const between = batchOf(layer) * layer.extent!.made[0]! * layer.extent!.read[1]!
    for (let rank = 1; rank < size; rank++) {
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
function outputSpaceOf({ matrix, outputs, takesBias }: FactorLayer, moments: OutputMoments | null): Subspace {
  if (!moments?.covariance.every(Number.isFinite)) return subspaceOf(outerGram(matrix, outputs), outputs)
  const { covariance, mean, count } = moments
  const seen = takesBias
    ? covariance
    : covariance.map((value, i) => value + mean[Math.floor(i / outputs)]! * mean[i % outputs]!)
  if (count >= manySamples * outputs) return subspaceOf(seen, outputs)
  const weights = outerGram(matrix, outputs)
  const size = trace(weights, outputs)
  if (size === 0) return subspaceOf(seen, outputs)
  const share = weightsShare * Math.min(1, outputs / Math.max(1, count))
  const factor = (share * trace(seen, outputs)) / size
  const space = subspaceOf(
    seen.map((value, i) => (1 - share) * value + factor * weights[i]!),
    outputs,
  )
  return { ...space, values: variancesAlong(space, seen) }
}

function variancesAlong(space: Subspace, covariance: Float64Array): Float64Array {
  const { size, directions } = space
  const turned = projected(space, size, covariance)
  return Float64Array.from({ length: size }, (_, r) => {
    let sum = 0
    for (let i = r * size; i < (r + 1) * size; i++) sum += turned[i]! * directions[i]!
    return Math.max(0, sum)
  })
}

function trace(matrix: Float64Array, size: number): number {
  let sum = 0
  for (let i = 0; i < size; i++) sum += matrix[i * size + i]!
  return sum
}

/** Not each of them: a layer would have thousands of pairs. */
function ranks(most: number): number[] {
  const step = Math.max(1, Math.round(most / 16))
  const all: number[] = []
  for (let rank = step; rank < most; rank += step) all.push(rank)
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
