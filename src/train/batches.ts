import type { Tensor } from '../tensor.ts'

/** What one step of training is fed: by name of a data input of the program. */
export interface Batch {
  readonly feeds: ReadonlyMap<string, Tensor>
  /** Rows that are samples; the rest repeats others and must not count where it matters. */
  readonly samples: number
}

/** Samples in batches, in an order and with changes that only the seed decides. Nothing holds all of them. */
export interface BatchSource {
  /** Samples of an epoch. */
  readonly length: number
  readonly batchSize: number
  /** Steps of an epoch: a rest smaller than a batch is left out, another one each epoch. */
  readonly steps: number
  /** The batches of one epoch, from a step on: the same for the same seed, epoch and step, whatever came before. */
  epoch(epoch: number, fromStep?: number, signal?: AbortSignal): AsyncGenerator<Batch, void, undefined>
}
