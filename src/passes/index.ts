import type { Evaluator } from '../execute/evaluator.ts'
import type { Graph } from '../graph/types.ts'
import { canonicalActivations } from './canonical-activations.ts'
import { canonicalArithmetic } from './canonical-arithmetic.ts'
import { eliminateDead } from './eliminate-dead.ts'
import { foldConstants } from './fold-constants.ts'
import { foldPad } from './fold-pad.ts'
import { foldScaleAndShift } from './fold-scale-and-shift.ts'
import { fuseMatMulAdd } from './fuse-matmul-add.ts'
import { mergeMovements } from './merge-movements.ts'
import type { Pass } from './pass.ts'
import { removeNoOps } from './remove-no-ops.ts'

export { foldPreprocessing } from './fold-preprocessing.ts'
export { convertLayout, type LayoutOptions, layoutPass } from './layout.ts'
export { type Pass, type PassNote, runPasses } from './pass.ts'

/**
 * The float rewrites that every target starts from, in order: constants first, because folding weights needs them;
 * what only canonicalizes last, because it hides patterns.
 */
export function floatPasses(makeEvaluator: (graph: Graph) => Promise<Evaluator>): Pass[] {
  return [
    foldConstants(makeEvaluator),
    removeNoOps,
    canonicalActivations,
    fuseMatMulAdd,
    foldPad,
    foldScaleAndShift,
    removeNoOps,
    mergeMovements,
    removeNoOps,
    canonicalArithmetic,
    eliminateDead,
  ]
}
