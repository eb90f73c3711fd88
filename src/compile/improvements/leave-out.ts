import type { Made } from '../trial.ts'
import type { Improvement } from './improvement.ts'

/** Biases are corrected from the start: ranges are chosen as they will be used. Here it is seen whether that helps. */
export const biasesAsTheyAre: Improvement = leaveOut(
  'correctBias',
  'biases as they are',
  0,
  'no bias changes by it',
)

/** What clips seldom may clip in none of few samples: a gain of about what headroom costs is no proof that it never will. */
export const withoutHeadroom: Improvement = leaveOut(
  'headroom',
  'outputs without headroom',
  1.5,
  'no output is stored in integers',
)

function leaveOut(
  key: 'correctBias' | 'headroom',
  name: string,
  marginDb: number,
  nothing: string,
): Improvement {
  return {
    name,
    presets: ['balanced', 'best'],
    marginDb,
    async propose(made, context) {
      const trial = { ...made.trial, [key]: false }
      return sameFile(made, context.make(trial)) ? { declined: nothing } : { trials: [{ name, trial }] }
    },
  }
}

/** A target may have no use for a change, or a network no place. */
export function sameFile(a: Made, b: Made): boolean {
  const bytesOf = ({ emitted }: Made) => emitted.files.get(emitted.model)!
  return Buffer.compare(bytesOf(a), bytesOf(b)) === 0
}
