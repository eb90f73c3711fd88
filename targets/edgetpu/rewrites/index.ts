import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { requiresFloat, rewriteAll } from '../../../src/passes/match.ts'
import type { Pass, PassResult } from '../../../src/passes/pass.ts'
import { decomposeHardSwish, leakyReluToPrelu, replaceByRelu6 } from './activations.ts'
import { plainArithmetic } from './arithmetic.ts'
import { repeatByConcatenation, repeatOnePlace } from './copies.ts'
import { splitMean } from './mean.ts'
import type { Rewrite } from './rewrite.ts'
import { splitToSlices, stridedSliceToPool } from './slices.ts'
import { mergeTransposedAxes } from './transposes.ts'

/** In the order they are tried: what the user allows comes before what keeps the function. */
export const rewrites: readonly Rewrite[] = [
  replaceByRelu6,
  decomposeHardSwish,
  leakyReluToPrelu,
  plainArithmetic,
  splitMean,
  repeatOnePlace,
  repeatByConcatenation,
  splitToSlices,
  stridedSliceToPool,
  mergeTransposedAxes,
]

/** A pass that needs no evaluator. */
export interface SyncPass extends Pass {
  run(graph: Graph): PassResult
}

/**
 * The rewrites as passes over a channels-last float graph: those that keep the function, and those that `allow` names.
 */
export function edgeTpuPasses(allow: readonly string[]): SyncPass[] {
  return rewrites
    .filter(({ needs }) => needs === null || allow.includes(needs))
    .map((rewrite) => ({
      name: rewrite.name,
      requires: requiresFloat,
      run: (graph) => runRewrite(rewrite, graph),
    }))
}

function runRewrite(rewrite: Rewrite, graph: Graph): PassResult {
  const editor = new GraphEditor(graph)
  const notes: { where: string; reason: string }[] = []
  const changed = rewriteAll(editor, (node) => {
    const outcome = rewrite.apply(editor, node)
    if (outcome === null) return false
    if ('changed' in outcome) {
      notes.push({ where: node.name, reason: rewrite.sentence })
      return true
    }
    if (!notes.some((note) => note.where === node.name))
      notes.push({ where: node.name, reason: `left: ${outcome.declined}` })
    return false
  })
  return { graph: changed === 0 ? graph : editor.finish(), changed, notes }
}
