import { rangeChoices } from '../range-choices.ts'
import type { Improvement } from './improvement.ts'

/** The first choice was made on another network, where it may have been noise among bad ones. */
export const rangesAgain: Improvement = {
  name: 'ranges of the rewritten network',
  presets: ['balanced', 'best'],
  marginDb: 0,
  async propose({ trial }, { recipe, tailored }) {
    if (trial.graph === tailored) return { declined: 'no rewrite of the float network was kept' }
    const others = rangeChoices(recipe).filter(
      ({ activation, weight }) =>
        weight !== trial.weight || JSON.stringify(activation) !== JSON.stringify(trial.activation),
    )
    if (others.length === 0) return { declined: 'the recipe names the way' }
    return {
      trials: others.map(({ name, activation, weight }) => ({
        name: `${name} after all`,
        trial: { ...trial, activation, weight },
      })),
    }
  },
}
