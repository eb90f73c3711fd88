import type { Graph } from '../graph/types.ts'
import type { ActivationRangeMethod, Ranges, WeightRangeMethod } from '../quantize/ranges.ts'
import type { LayerTunings } from '../quantize/weighted-layer.ts'
import type { Emitted, Prepared as Typed, TargetOptions } from '../../targets/target.ts'
import type { Board } from './board.ts'
import { withHeadroom } from './headroom.ts'
import { peakActivationBytes } from './memory.ts'

/** All that is decided of one compile before it is written. An improvement takes one and gives another. */
export interface Trial {
  /** As the target tailored it, with the float rewrites that were kept. */
  readonly graph: Graph
  /** Of `graph`. */
  readonly ranges: Ranges
  readonly activation: ActivationRangeMethod
  readonly weight: WeightRangeMethod
  /** Take back in biases what rounding weights shifts on average. */
  readonly correctBias: boolean
  /** Let outputs end beyond what calibration saw. */
  readonly headroom: boolean
  /** A scale for each row of fully connected layers, whatever it adds to the file. */
  readonly rowScales: boolean
  /** Nodes or values in float, those of the recipe included. */
  readonly keepFloat: readonly string[]
  readonly layers: LayerTunings
  readonly valueRanges: ReadonlyMap<string, ActivationRangeMethod>
}

/** What a trial comes to. */
export interface Made {
  readonly trial: Trial
  readonly typed: Typed
  readonly emitted: Emitted
  /** Of the weight tensors, biases and scales aside. */
  readonly weightBytes: number
  /** That live at once. */
  readonly activationBytes: number
}

export function makeTrial(trial: Trial, board: Board): Made {
  const options = trialOptions(trial, board)
  const ranges = trial.headroom ? withHeadroom(trial.graph, trial.ranges) : trial.ranges
  const typed = board.target.prepare(trial.graph, ranges, options)
  return {
    trial,
    typed,
    emitted: board.target.emit(typed.graph, options),
    weightBytes: weightBytesOf(typed.graph),
    activationBytes: peakActivationBytes(typed.graph),
  }
}

/** What the target is told. */
export function trialOptions(trial: Trial, board: Board): TargetOptions {
  return {
    ...board.options,
    activationRange: trial.activation,
    weightRange: trial.weight,
    correctBias: trial.correctBias,
    rowScales: trial.rowScales,
    keepFloat: trial.keepFloat,
    layers: trial.layers,
    valueRanges: trial.valueRanges,
  }
}

/** Constants with more than one axis: kernels and matrices. */
export function weightBytesOf(graph: Graph): number {
  return [...graph.values.values()].reduce(
    (sum, { constant }) => sum + (constant && constant.shape.length > 1 ? constant.byteLength : 0),
    0,
  )
}
