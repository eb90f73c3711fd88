import type { Sample } from '../../data/types.ts'
import type { Graph } from '../../graph/types.ts'
import type { Progress } from '../../progress.ts'
import type { CalibrateOptions } from '../../quantize/calibrate.ts'
import type { Ranges } from '../../quantize/ranges.ts'
import type { AccuracyLimit } from '../accuracy-limit.ts'
import type { Board } from '../board.ts'
import type { Quality } from '../quality.ts'
import type { Preset, Recipe } from '../recipe.ts'
import type { Made, Trial } from '../trial.ts'

/** Something that may bring a compile nearer to float. It is tried on held-out samples and kept only where it helps. */
export interface Improvement {
  /** As the report names it: `cross-layer equalization`. */
  readonly name: string
  readonly presets: readonly Preset[]
  /** What it must gain to be kept. */
  readonly marginDb: number
  /** Must not change the trial. */
  propose(made: Made, context: ImprovementContext): Promise<Proposal>
}

export type Proposal =
  /** Alternatives, of which the best is taken. */
  | { readonly trials: readonly ProposedTrial[] }
  /** Why it has nothing to do here, in words: `no convolution reads another without a branch between them`. */
  | { readonly declined: string }

export interface ProposedTrial {
  /** What was done, in words: `cross-layer equalization of 12 pairs`. */
  readonly name: string
  readonly trial: Trial
}

/** What an improvement may ask for. */
export interface ImprovementContext {
  readonly board: Board
  readonly recipe: Recipe
  readonly progress: Progress
  /** The float network as the target tailored it, before any improvement. */
  readonly tailored: Graph
  /** Null where the recipe sets none. */
  readonly limit: AccuracyLimit | null
  /** A part of the calibration samples, always the same: never those that decide. */
  readonly calibration: AsyncIterable<Sample> & { readonly length: number }
  /** Ranges of another form of the float network, over all calibration samples. */
  calibrate(graph: Graph, options?: Pick<CalibrateOptions, 'channelStatistics'>): Promise<Ranges>
  make(trial: Trial): Made
  /** Beside float on the held-out samples. */
  score(made: Made): Promise<Quality>
}
