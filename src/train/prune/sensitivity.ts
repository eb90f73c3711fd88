import { type Progress, throwIfAborted } from '../../progress.ts'
import type { Graph } from '../../graph/types.ts'
import type { ChannelMap } from './channel-map.ts'
import { type ChannelCost, RunningCost } from './channels/cost.ts'
import type { Importance } from './importance.ts'
import { type MaskedWeights, magnitudeMasks, type Masks } from './masks.ts'
import { removeChannels } from './remove-channels.ts'

/** One layer pruned alone, by so much: what the network loses there is how sensitive it is to it (Li et al. 2017). */
export interface SensitivityTrial {
  readonly layers: readonly string[]
  /** Share of its channels or weights that goes: what was asked for, in whole ones. */
  readonly fraction: number
  readonly pruned:
    | {
        readonly kind: 'channels'
        readonly removed: ReadonlySet<number>
        readonly saved: ChannelCost
        graph(): Graph
      }
    | { readonly kind: 'weights'; readonly masks: Masks }
}

export interface SensitivityPlanOptions {
  /** Shares to try of each layer; a quarter, a half and three quarters by default. */
  readonly fractions?: readonly number[]
}

const usualFractions = [0.25, 0.5, 0.75]

/** Every layer alone without its least important channels. Shares that come to no or to all channels are left out. */
export function channelSensitivityPlan(
  map: ChannelMap,
  importance: Importance,
  { fractions = usualFractions }: SensitivityPlanOptions = {},
): SensitivityTrial[] {
  const cost = new RunningCost(map.graph, map.structure)
  return map.groups.flatMap(({ layers, channels }) => {
    const worth = (id: number) => importance.get(id) ?? 0
    const order = channels.toSorted((a, b) => worth(a) - worth(b) || a - b)
    const counts = new Set(fractions.map((fraction) => Math.round(fraction * order.length)))
    return [...counts].flatMap((count): SensitivityTrial[] => {
      const removed = order.slice(0, count)
      if (count === 0 || !cost.canLose(removed)) return []
      const gone = new Set(removed)
      return [
        {
          layers,
          fraction: count / order.length,
          pruned: {
            kind: 'channels',
            removed: gone,
            saved: cost.savedBy(removed),
            graph: () => removeChannels(map, gone),
          },
        },
      ]
    })
  })
}

/** Every layer alone without its smallest weights. */
export function weightSensitivityPlan(
  weights: readonly MaskedWeights[],
  { fractions = usualFractions }: SensitivityPlanOptions = {},
): SensitivityTrial[] {
  return weights.flatMap((layer) =>
    fractions.map((fraction) => ({
      layers: [layer.name],
      fraction,
      pruned: { kind: 'weights', masks: magnitudeMasks([layer], fraction, { leastPerLayer: 0 }) },
    })),
  )
}

export interface Sensitivity {
  readonly trial: SensitivityTrial
  /** As `evaluate` gives it. */
  readonly result: number
}

/**
 * Tries all of a plan, one after the other.
 * @param evaluate says how good the network is that a trial leaves
 */
export async function measureSensitivity(
  plan: readonly SensitivityTrial[],
  evaluate: (trial: SensitivityTrial) => Promise<number>,
  progress: Pick<Progress, 'tick' | 'signal'>,
): Promise<Sensitivity[]> {
  const measured: Sensitivity[] = []
  for (const trial of plan) {
    throwIfAborted(progress.signal)
    measured.push({ trial, result: await evaluate(trial) })
    progress.tick(measured.length, plan.length, 'layers')
  }
  return measured
}
