import { EdgewrightError } from '../../error.ts'
import type { ChannelMap } from './channel-map.ts'
import { type ChannelBudget, type ChannelChoice, chooseChannels as choose } from './channels/choose.ts'
import type { ChannelCost } from './channels/cost.ts'
import type { Importance } from './importance.ts'

export type { ChannelBudget } from './channels/choose.ts'

export interface ChannelChoices {
  /**
   * Channels of a group stay a multiple of this where they can. By default the largest of 8, 4, 2 and 1 that meets the
   * budget without taking much more: kernels compute channels in vectors, and a layer of 52 may take longer than one of 64.
   */
  readonly multiple?: number | undefined
  /** Share of each layer's channels that stays whatever its worth; 0.1 by default. */
  readonly leastShare?: number | undefined
  /** False where importance is chance: each channel is then as likely to go as any other. True by default. */
  readonly bySavings?: boolean | undefined
}

const coarseSteps = [8, 4, 2]
/** What a choice in coarse steps leaves of a budget at least. */
const leastOfBudget = 0.85

/**
 * Channels to be removed until a budget holds: again and again those that lose least for what they save, both counted
 * anew as the layers around them shrink.
 *
 * @throws CONFIG_INVALID where the budget cannot be reached
 */
export function chooseChannels(
  { graph }: ChannelMap,
  importance: Importance,
  budget: ChannelBudget,
  { multiple, leastShare = 0.1, bySavings = true }: ChannelChoices = {},
): ChannelChoice {
  const chooseBy = (step: number) =>
    choose(graph, importance, budget, { multiple: step, maxPerLayer: 1 - leastShare, bySavings })
  if (multiple === undefined)
    for (const step of coarseSteps) {
      const choice = chooseBy(step)
      if (choice.met && spends(choice, budget)) return choice
    }
  const choice = chooseBy(multiple ?? 1)
  if (!choice.met) throw unreachable(choice, budget)
  return choice
}

/** It takes not much more than was asked for. */
function spends({ before, after }: ChannelChoice, budget: ChannelBudget): boolean {
  return (['macs', 'weights'] as const).some(
    (of) => budget[of] !== undefined && after[of] >= leastOfBudget * budget[of] * before[of],
  )
}

function unreachable({ before, after }: ChannelChoice, budget: ChannelBudget): EdgewrightError {
  const share = (of: keyof ChannelCost) => `${((100 * after[of]) / before[of]).toFixed(0)} %`
  const asked = Object.entries(budget).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  )
  return new EdgewrightError('CONFIG_INVALID', 'The budget is less than what can be left of the network.', {
    where: '--budget',
    saw: `${share('macs')} of multiply-adds and ${share('weights')} of weights with the fewest channels in every layer`,
    hint: `Ask for more than ${asked.join(', ')}.`,
  })
}
