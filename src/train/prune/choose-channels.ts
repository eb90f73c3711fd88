import { EdgewrightError } from '../../error.ts'
import type { ChannelMap } from './channel-map.ts'
import { type ChannelBudget, type ChannelChoice, chooseChannels as choose } from './channels/choose.ts'
import type { ChannelCost } from './channels/cost.ts'
import type { Importance } from './importance.ts'

export type { ChannelBudget } from './channels/choose.ts'

export interface ChannelChoices {
  /** Channels of a group stay a multiple of this where they can; 1 by default. */
  readonly multiple?: number | undefined
  /** Share of each layer's channels that stays whatever its worth; 0.1 by default. */
  readonly leastShare?: number | undefined
}

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
  { multiple = 1, leastShare = 0.1 }: ChannelChoices = {},
): ChannelChoice {
  const choice = choose(graph, importance, budget, { multiple, maxPerLayer: 1 - leastShare })
  if (!choice.met) throw unreachable(choice, budget)
  return choice
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
