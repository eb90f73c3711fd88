import { floatOrder, PlacementCost } from '../../quantize/float-placement.ts'
import { floatCost } from '../../quantize/precision-groups.ts'
import type { AccuracyLimit } from '../accuracy-limit.ts'
import type { Quality } from '../quality.ts'
import { hasIntegers, inFloat, type Sensitivity, sensitivities, withRanges } from '../sensitivity.ts'
import type { Made, Trial } from '../trial.ts'
import type { Improvement, ImprovementContext, Proposal } from './improvement.ts'

/** Of the multiply-accumulates: where float needs more than that, a scheme that has float everywhere is the answer. */
const mostFloatShare = 0.5
/** Groups that are tried in integers again, the least sensitive first: each costs a look at the held-out samples. */
const mostTakenBack = 12

/**
 * Keeps in float what the accuracy limit needs, and no more: groups by what they add to the noise for what float costs
 * there, as many as it takes on the held-out samples. Declines where that is most of the network.
 */
export const mixedPrecision: Improvement = {
  name: 'mixed precision',
  presets: ['fast', 'balanced', 'best'],
  marginDb: Number.NEGATIVE_INFINITY,
  async propose(made, context) {
    const { limit } = context
    if (!limit) return { declined: 'no accuracy limit is given' }
    const quality = await context.score(made)
    if (limit.holds(quality)) return { declined: `within the limit: it ${limit.describe(quality)}` }
    if (isAccelerated(made, context))
      return {
        declined:
          'the accelerator computes on integers only: all behind the first float operator would leave it',
      }
    const found = await sensitivities(made, context)
    if (found.length === 0) return { declined: 'no operator computes on integers' }
    return place(made, found, limit, context)
  },
}

function isAccelerated({ trial }: Made, { board }: ImprovementContext): boolean {
  return (
    !board.target.acceleratesFloat &&
    board.target.inspect(trial.graph, board.options).some(({ placement }) => placement === 'accelerator')
  )
}

async function place(
  made: Made,
  found: readonly Sensitivity[],
  limit: AccuracyLimit,
  context: ImprovementContext,
): Promise<Proposal> {
  const { graph } = made.trial
  const ranged = await withRanges(made.trial, found, context)
  const options = { realBoundary: context.board.options.io === 'float' }
  const noise = found.map((one) => one.noise)
  const placements = new Placements(ranged, found, limit, context)
  const order = upToMost(floatOrder(graph, found, noise, options), found)
  const reached = await shortest(order, placements)
  if (!reached) return { declined: placements.describeBest() }
  const cost = new PlacementCost(graph, found, options)
  const chosen = await takeBack(reached, noise, cost, placements)
  return { trials: [{ name: describe(made, chosen, found), trial: chosen.made.trial }] }
}

/** Without the groups that would make more than the most in float. */
function upToMost(order: readonly number[], found: readonly Sensitivity[]): number[] {
  const most = mostFloatShare * found.reduce((sum, { macs }) => sum + macs, 0)
  let macs = 0
  return order.filter((index) => {
    const fits = macs + found[index]!.macs <= most
    if (fits) macs += found[index]!.macs
    return fits
  })
}

interface Placement {
  /** Indices of groups. */
  readonly float: readonly number[]
  readonly made: Made
  readonly quality: Quality
  readonly holds: boolean
}

/** Networks with some groups in float, beside float on the held-out samples. */
class Placements {
  readonly #trial: Trial
  readonly #found: readonly Sensitivity[]
  readonly #limit: AccuracyLimit
  readonly #context: ImprovementContext
  #looked = 0
  #best: Placement | null = null

  constructor(
    trial: Trial,
    found: readonly Sensitivity[],
    limit: AccuracyLimit,
    context: ImprovementContext,
  ) {
    this.#trial = trial
    this.#found = found
    this.#limit = limit
    this.#context = context
  }

  /** Null where no integer is left. */
  async try(float: readonly number[]): Promise<Placement | null> {
    const values = float.flatMap((index) => this.#found[index]!.values)
    const made = this.#context.make(inFloat(this.#trial, values))
    if (!hasIntegers(made)) return null
    const quality = await this.#context.score(made)
    this.#context.progress.tick(++this.#looked, 0, 'placements')
    const placement = { float, made, quality, holds: this.#limit.holds(quality) }
    const drop = (one: Placement) => this.#limit.dropOf(one.quality) ?? Number.POSITIVE_INFINITY
    if (!this.#best || drop(placement) < drop(this.#best)) this.#best = placement
    return placement
  }

  describeBest(): string {
    if (!this.#best) return 'no group of operators is a small enough part of the network to leave it in float'
    const { float, made, quality } = this.#best
    const share = percent(floatCost(made.typed.graph).macShare)
    return `with ${float.length} of ${this.#found.length} groups and ${share} of the multiply-accumulates in float it still ${this.#limit.describe(quality)}`
  }
}

/** The fewest groups, in their order, with which the limit holds: doubled until it does, then halved between. */
async function shortest(order: readonly number[], placements: Placements): Promise<Placement | null> {
  let below = 0
  let above = order.length + 1
  let holding: Placement | null = null
  for (let count = 1; above - below > 1; ) {
    const placement = await placements.try(order.slice(0, count))
    if (placement && !placement.holds) below = count
    else above = count
    if (placement?.holds) holding = placement
    count = above > order.length ? Math.min(2 * count, order.length) : (above + below) >> 1
  }
  return holding
}

/** Without the groups that turn out not to be needed, where integers are cheaper there. */
async function takeBack(
  reached: Placement,
  noise: readonly number[],
  cost: PlacementCost,
  placements: Placements,
): Promise<Placement> {
  let best = reached
  const quietest = [...reached.float].sort((a, b) => noise[a]! - noise[b]!).slice(0, mostTakenBack)
  for (const group of quietest) {
    const others = best.float.filter((other) => other !== group)
    if (others.length === 0 || cost.of(group, others) < 0) continue
    const placement = await placements.try(others)
    if (placement?.holds) best = placement
  }
  return best
}

/** What is in float, and what that costs: `2 of 58 operators in float (dw1, dw2), 1.4 % of the multiply-accumulates, …`. */
function describe(before: Made, { float, made }: Placement, found: readonly Sensitivity[]): string {
  const groups = [...float].sort((a, b) => a - b).map((index) => found[index]!.nodes)
  const names = groups.map(([first]) => first!.name || first!.outputs[0]!)
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} more`] : names
  const [cost, old] = [floatCost(made.typed.graph), floatCost(before.typed.graph)]
  return [
    `mixed precision: ${groups.flat().length} of ${made.trial.graph.nodes.length} operators in float (${shown.join(', ')})`,
    `${percent(cost.macShare)} of the multiply-accumulates`,
    `${signed((bytesOf(made) - bytesOf(before)) / 1000, 1)} kB`,
    `${signed(cost.conversions - old.conversions, 0)} conversions of ${signed(cost.convertedElements - old.convertedElements, 0)} elements`,
  ].join(', ')
}

function bytesOf({ emitted }: Made): number {
  return emitted.files.get(emitted.model)!.byteLength
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`
}

function signed(value: number, digits: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`
}
