import type { Improvement } from './improvement.ts'
import { sameFile } from './leave-out.ts'

/**
 * Twelve bytes a row are up to a fifth of a small fully connected layer, so its target gives it one scale unless rows
 * differ much; here it is seen whether the outputs want more. The Edge TPU's compiler is not known to take them.
 */
export const rowScales: Improvement = {
  name: 'a scale for each row',
  presets: ['balanced', 'best'],
  marginDb: 0.1,
  async propose(made, { board, make }) {
    if (board.target.name !== 'litert' || !board.options.perChannel)
      return { declined: 'the target decides by operator, or takes one scale only' }
    const trial = { ...made.trial, rowScales: true }
    return sameFile(made, make(trial))
      ? { declined: 'no fully connected layer has one scale for all rows' }
      : { trials: [{ name: 'a scale for each row of fully connected layers', trial }] }
  },
}
