import { EdgewrightError } from '../../error.ts'
import type { Candidate, Option } from './candidates.ts'

export interface RankBudget {
  /** Share of the multiply-adds that the layers in question may keep. */
  readonly macs?: number | undefined
  /** Share of the weights that the layers in question may keep. */
  readonly weights?: number | undefined
}

/** By node name; layers that stay whole are not in it. */
export type ChosenRanks = ReadonlyMap<string, { readonly candidate: Candidate; readonly option: Option }>

/**
 * For each layer the factors with the least sum of squared relative errors under the budget, by Lagrangian relaxation
 * (Everett 1963): one price for what is kept, the same in all layers, as low as the budget allows.
 *
 * @throws CONFIG_INVALID where the budget cannot be reached
 */
export function chooseRanks(candidates: readonly Candidate[], budget: RankBudget): ChosenRanks {
  const whole = { macs: 0, weights: 0 }
  for (const { layer } of candidates) {
    whole.macs += layer.macs
    whole.weights += layer.weights
  }
  const pick = (price: number) =>
    candidates.map((candidate) => {
      const { layer } = candidate
      const cost = ({ weights, macs }: { weights: number; macs: number }) =>
        price *
        ((budget.weights === undefined ? 0 : weights / whole.weights) +
          (budget.macs === undefined ? 0 : macs / whole.macs))
      let best: { option: Option | null; value: number } = { option: null, value: cost(layer) }
      for (const option of candidate.options) {
        const value = option.error ** 2 + cost(option)
        if (value < best.value) best = { option, value }
      }
      return { candidate, option: best.option }
    })
  const holds = (picked: ReturnType<typeof pick>) => {
    const left = { macs: 0, weights: 0 }
    for (const { candidate, option } of picked) {
      left.macs += option?.macs ?? candidate.layer.macs
      left.weights += option?.weights ?? candidate.layer.weights
    }
    return (
      left.macs <= (budget.macs ?? Number.POSITIVE_INFINITY) * whole.macs &&
      left.weights <= (budget.weights ?? Number.POSITIVE_INFINITY) * whole.weights
    )
  }
  let [low, high] = [0, 1]
  while (!holds(pick(high)) && high < 1e12) high *= 4
  if (!holds(pick(high)))
    throw new EdgewrightError('CONFIG_INVALID', 'The budget is less than what can be left of the layers.', {
      where: '--budget',
      saw: Object.entries(budget)
        .map(([name, value]) => `${name}=${value}`)
        .join(', '),
      hint: 'Ask for more, or prune channels too.',
    })
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2
    if (holds(pick(middle))) high = middle
    else low = middle
  }
  return new Map(
    pick(high).flatMap(({ candidate, option }) =>
      option ? [[candidate.layer.node.name, { candidate, option }] as const] : [],
    ),
  )
}
