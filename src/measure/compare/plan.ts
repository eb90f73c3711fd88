import type { Bounds, Plan, PlanStep } from '../plan.ts'
import { artifactId, planArtifact, settleSeconds, type Subject } from '../standard-plan.ts'
import { shuffled, turnOrders } from './order.ts'

export interface ComparisonPlanRequest {
  /** Loaded once each, also where two are the same network; at least two. */
  readonly arms: readonly Subject[]
  readonly threads: number
  readonly blocks: number
  /** Inferences in a turn. */
  readonly turn: number
  /** What each arm gets of a block at least. */
  readonly blockSeconds: number
  readonly warmup: Bounds
  readonly affinity?: readonly number[]
  readonly sensors?: Plan['sensors']
  readonly before?: readonly PlanStep[]
  /** Uniform in [0, 1): draws the order of turns and of loading. */
  readonly random: () => number
}

export interface ComparisonPlan {
  readonly plan: Plan
  /** The steps of each block. */
  readonly blocks: readonly (readonly number[])[]
  /** The order of the arms in each block, there and back. */
  readonly orders: readonly (readonly string[])[]
}

/** A block may run long on a slow board; what ends it is its minimum. */
const unbounded = { maxCount: 10_000_000, maxSeconds: 3600 }

/** Fewer inferences of an arm in a block give no median to rest on. */
const leastInferences = 6

/**
 * Blocks of turns in drawn orders, all within one process. One thread: a block is one interleaved step of many short
 * turns. Several threads, or an accelerator: each turn is a step of its own behind a pause, since the workers of a session
 * go on turning for a while and an accelerator changes networks slowly.
 */
export function comparisonPlan(request: ComparisonPlanRequest): ComparisonPlan {
  const { arms, threads, random } = request
  const steps: PlanStep[] = [...(request.before ?? [])]
  // where a network lies in memory depends on what was loaded before it
  for (const { id } of shuffled(arms, random))
    steps.push({ do: 'warmup', artifact: artifactId(id, threads), ...request.warmup })
  const orders = turnOrders(
    arms.map(({ id }) => id),
    request.blocks,
    random,
  )
  const coarse = threads > 1 || arms.some(({ delegate }) => delegate !== undefined)
  const blocks = orders.map((order) => {
    const first = steps.length
    const turns = order.map((id) => artifactId(id, threads))
    steps.push(...(coarse ? longTurns(turns, request) : [shortTurns(turns, request)]))
    return Array.from({ length: steps.length - first }, (_, index) => first + index)
  })
  return {
    plan: {
      schema: 1,
      artifacts: arms.map((arm) => planArtifact({ affinity: request.affinity ?? [] }, arm, threads, false)),
      steps,
      sensors: request.sensors ?? [],
      sensorPeriodMs: 1000,
    },
    blocks,
    orders,
  }
}

function shortTurns(turns: readonly string[], { turn, blockSeconds }: ComparisonPlanRequest): PlanStep {
  return {
    do: 'interleave',
    artifacts: turns,
    block: turn,
    minCount: Math.max(leastInferences, 2 * turn),
    minSeconds: blockSeconds,
    ...unbounded,
  }
}

function longTurns(turns: readonly string[], { turn, blockSeconds }: ComparisonPlanRequest): PlanStep[] {
  return turns.flatMap((artifact): PlanStep[] => [
    { do: 'idle', seconds: settleSeconds },
    {
      do: 'measure',
      artifact,
      rateHz: 0,
      minCount: Math.max(leastInferences / 2, turn),
      minSeconds: blockSeconds / 2,
      ...unbounded,
    },
  ])
}

/** So long a turn lasts: long beside the first inference after a change of networks, short beside a drift. */
const turnNs = 20e6
const mostInTurn = 500

/** Inferences of a turn, from what one takes about. */
export function turnLength(inferenceNs: number): number {
  return Math.min(mostInTurn, Math.max(3, Math.round(turnNs / Math.max(1, inferenceNs))))
}
