import type { Board } from '../compile/board.ts'
import type { Prepared } from '../compile/compile.ts'
import type { Samples } from '../compile/samples.ts'
import type { Source } from '../compile/source.ts'
import type { Dataset } from '../data/types.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress, Warning } from '../progress.ts'
import type { SampleCache } from '../train/sample-cache.ts'
import type { EpochReport } from '../train/train.ts'
import type { Emitted } from '../../targets/target.ts'
import type { TuneRequest } from './request.ts'

/** What all steps of one tuning share. */
export interface TuneContext {
  readonly request: TuneRequest
  readonly board: Board
  /** The network as given: what everything is held against. */
  readonly original: Prepared
  readonly samples: Samples
  /** To learn from, and which of its samples. */
  readonly training: {
    readonly dataset: Dataset
    readonly indices: readonly number[]
    /** Decoded samples, for all trainings of the tuning. */
    readonly cache: SampleCache
  }
  /** Another network to learn from; the original where null. */
  readonly teacher: Source | null
  readonly folder: string
  readonly progress: Progress & { readonly warnings: readonly Warning[] }
}

/** One layer that a step changed. */
export interface LayerChange {
  readonly layer: string
  readonly what: string
  readonly weightsBefore: number
  readonly weightsAfter: number
  readonly macsBefore: number
  readonly macsAfter: number
  /** Of the layer's output, relative; null where it was not measured. */
  readonly error: number | null
}

/** What a step gives to the next one. */
export interface Stage {
  /** The step that made it: `float` for the network as given. */
  readonly name: string
  /** In float, as the file's own network was: names, layout and batch of its inputs and outputs. */
  readonly graph: Graph
  /** In integers as training saw it, where the step makes that. */
  readonly quantized: Emitted | null
  /** What training computed in place of `quantized`: float32 in and out, batch 1. */
  readonly seen?: () => Graph
  /** Forms that no artifact has, judged by what training computes. */
  readonly simulated?: readonly Simulated[]
  readonly epochs: readonly EpochReport[]
  readonly layers: readonly LayerChange[]
  readonly notes: readonly string[]
  readonly options: Readonly<Record<string, unknown>>
}

/** A network that only training can compute: float32 in and out, under the names of the original. */
export interface Simulated {
  readonly form: string
  readonly graph: Graph
}

export type Method = (stage: Stage, context: TuneContext) => Promise<Stage>
