import type { Graph } from '../graph/types.ts'
import type { CustomGradient } from './builder.ts'

/** A tensor that training changes by its gradient, or that stands still and may be changed by others. float32. */
export interface Parameter {
  /** Input of the network's graph. */
  readonly name: string
  readonly shape: readonly number[]
  readonly initial: Float32Array
  readonly trainable: boolean
  /** Takes part in weight decay: kernels and matrices; not biases, normalizations and scales. */
  readonly decay: boolean
  /** Factor on the learning rate; 1 where absent. Learned scales want their own. */
  readonly rateFactor?: number
}

/** A tensor that each step replaces by a value that the forward pass computes: a running mean. float32. */
export interface Statistic {
  /** Input of the network's graph. */
  readonly name: string
  /** Output of the network's graph that is its next value. */
  readonly next: string
  readonly shape: readonly number[]
  readonly initial: Float32Array
}

/**
 * A network opened for training: channels first, a fixed batch, its weights inputs of the graph instead of constants.
 */
export interface Network {
  /** Inputs: `inputs`, then parameters and statistics. Outputs: `outputs`, then what statistics become. */
  readonly graph: Graph
  readonly batchSize: number
  /** Data inputs, under the names and (but for the batch) shapes of the file. */
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly parameters: readonly Parameter[]
  readonly statistics: readonly Statistic[]
  /** Straight-through estimators and the like, by the value that they make. */
  readonly customGradients: ReadonlyMap<string, CustomGradient>
}

/** Values of parameters and statistics by name. */
export type NetworkValues = ReadonlyMap<string, Float32Array>

export function initialValues({ parameters, statistics }: Network): NetworkValues {
  return new Map([...parameters, ...statistics].map(({ name, initial }) => [name, initial]))
}
