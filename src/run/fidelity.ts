import type { Board } from '../compile/board.ts'
import { isQuantized } from '../compile/candidates.ts'
import type { Compiled, Prepared } from '../compile/compile.ts'
import { diagnose, fewSamples } from '../compile/diagnose/diagnose.ts'
import { toEdgewrightError } from '../error.ts'
import type { Progress } from '../progress.ts'
import type { RunResult } from '../store/document.ts'

/** Boards that compute alike share one artifact: it is diagnosed once. */
const known = new WeakMap<Compiled, RunResult['fidelity']>()

/** Where an artifact differs from float, over a few samples; what cannot be diagnosed costs a warning, not the run. */
export async function fidelityOf(
  compiled: Compiled,
  prepared: Prepared,
  board: Board,
  progress: Progress,
): Promise<RunResult['fidelity']> {
  // nothing was quantized here: there is no float tensor to compare with
  if (prepared.recipe.scheme === 'float' || isQuantized(prepared.source.original)) return undefined
  if (known.has(compiled)) return known.get(compiled)
  const fidelity = await diagnose(
    prepared,
    board,
    compiled.made,
    { limit: fewSamples, tries: 0 },
    progress,
  ).catch((thrown: unknown) => {
    const error = toEdgewrightError(thrown)
    if (progress.signal.aborted || error.code === 'INTERRUPTED') throw error
    progress.warn({
      code: 'NOT_DIAGNOSED',
      message: `The report has no table of tensors: ${error.message}`,
      hint: error.hint ?? 'edgewright diagnose says more.',
    })
    return undefined
  })
  known.set(compiled, fidelity)
  return fidelity
}
