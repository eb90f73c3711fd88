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

/** Squared relative error that is none: float32 is no nearer. */
const noError = 1e-12

interface Picked {
  readonly candidate: Candidate
  readonly option: Option | null
}

/**
 * For each layer the factors with the least sum of squared relative errors under the budget: by Lagrangian relaxation
 * (Everett 1963), one price for what is kept, the same in all layers, as low as the budget allows; then what the price
 * leaves over is spent where it saves most error.
 *
 * @throws CONFIG_INVALID where the budget cannot be reached, or is no share
 */
export function chooseRanks(candidates: readonly Candidate[], budget: RankBudget): ChosenRanks {
  requireShares(budget)
  const whole = { macs: 0, weights: 0 }
  for (const { layer } of candidates) {
    whole.macs += layer.macs
    whole.weights += layer.weights
  }
  const share = ({ weights, macs }: { readonly weights: number; readonly macs: number }) =>
    (budget.weights === undefined ? 0 : weights / whole.weights) +
    (budget.macs === undefined ? 0 : macs / whole.macs)
  const pick = (price: number): Picked[] =>
    candidates.map((candidate) => {
      let best: { option: Option | null; value: number } = {
        option: null,
        value: price * share(candidate.layer),
      }
      for (const option of candidate.options) {
        const value = option.error ** 2 + price * share(option)
        if (value < best.value) best = { option, value }
      }
      return { candidate, option: best.option }
    })
  const holds = (picked: readonly Picked[]) => {
    const left = leftOf(picked)
    return (
      left.macs <= (budget.macs ?? Number.POSITIVE_INFINITY) * whole.macs &&
      left.weights <= (budget.weights ?? Number.POSITIVE_INFINITY) * whole.weights
    )
  }
  let [low, high] = [noError, 1]
  while (!holds(pick(high)) && high < 1e12) high *= 4
  if (!holds(pick(high))) throw outOfReach(budget, leftOf(pick(high)), whole)
  // what costs error only in rounding goes even where the budget allows all
  if (holds(pick(low))) high = low
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2
    if (holds(pick(middle))) high = middle
    else low = middle
  }
  const picked = pick(high)
  spendRest(picked, holds, share)
  return new Map(
    picked.flatMap(({ candidate, option }) =>
      option ? [[candidate.layer.node.name, { candidate, option }] as const] : [],
    ),
  )
}

/** One layer after the other takes the next better option that saves most error for its cost, while the budget holds. */
function spendRest(
  picked: Picked[],
  holds: (picked: readonly Picked[]) => boolean,
  share: (cost: { readonly weights: number; readonly macs: number }) => number,
): void {
  for (;;) {
    let best: { readonly index: number; readonly option: Option | null; readonly gain: number } | null = null
    for (const [index, { candidate, option: now }] of picked.entries()) {
      if (!now) continue
      for (const option of [...candidate.options, null]) {
        const saved = now.error ** 2 - (option?.error ?? 0) ** 2
        const cost = share(option ?? candidate.layer) - share(now)
        if (!(saved > noError)) continue
        const gain = saved / Math.max(cost, 1e-12)
        if (best && gain <= best.gain) continue
        if (holds(picked.with(index, { candidate, option }))) best = { index, option, gain }
      }
    }
    if (!best) return
    picked[best.index] = { candidate: picked[best.index]!.candidate, option: best.option }
  }
}

function leftOf(picked: readonly Picked[]): { macs: number; weights: number } {
  const left = { macs: 0, weights: 0 }
  for (const { candidate, option } of picked) {
    left.macs += option?.macs ?? candidate.layer.macs
    left.weights += option?.weights ?? candidate.layer.weights
  }
  return left
}

function requireShares(budget: RankBudget): void {
  const given = Object.entries(budget).filter(([, share]) => share !== undefined)
  if (given.length > 0 && given.every(([, share]) => share > 0 && Number.isFinite(share))) return
  throw new EdgewrightError('CONFIG_INVALID', 'A budget is a share that may be left, above 0.', {
    where: '--budget',
    saw: given.map(([name, share]) => `${name}=${share}`).join(', ') || 'neither macs nor weights',
    hint: 'Write --budget macs=0.5 or --budget weights=50%.',
  })
}

function outOfReach(
  budget: RankBudget,
  left: { readonly macs: number; readonly weights: number },
  whole: { readonly macs: number; readonly weights: number },
): EdgewrightError {
  const least = (name: 'macs' | 'weights') =>
    `${name}=${budget[name]} (at rank 1 everywhere ${(left[name] / whole[name]).toPrecision(2)})`
  return new EdgewrightError('CONFIG_INVALID', 'The budget is less than what can be left of the layers.', {
    where: '--budget',
    saw: (['macs', 'weights'] as const)
      .filter((name) => budget[name] !== undefined)
      .map(least)
      .join(', '),
    hint: 'Ask for more, or prune channels too.',
  })
}
