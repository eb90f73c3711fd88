import { type BlockFigures, type LatencyMetric, latencyMetrics } from './blocks.ts'
import {
  type Change,
  compareLatency,
  defaultBand,
  judge,
  levelOf,
  type LatencyComparison,
} from './verdict.ts'

/** The level of one figure on another day, nanoseconds. */
export interface BaselineLevel {
  readonly estimate: number
  readonly interval: { readonly low: number; readonly high: number } | null
}

export type BaselineLevels = Readonly<Record<LatencyMetric, BaselineLevel | null>>

/**
 * What two runs of the same network on the same board on two days may differ by, where nothing else is known: another
 * temperature, another place in memory. Nothing in a file of figures tells how much it was.
 */
export const baselineBand = 0.03

/**
 * Judges B against figures of another day. No block of them met the noise of one of B's, so the two levels are held apart
 * with their intervals added: wide, and blind to what changed between the days. B loaded a second time is the control.
 */
export function compareWithBaseline(
  baseline: BaselineLevels,
  b: BlockFigures,
  control: BlockFigures,
  band = defaultBand,
): LatencyComparison {
  const alike = compareLatency({ a: b, b: control, control }, band)
  const changes = Object.fromEntries(
    latencyMetrics.map((metric) => [metric, changeOf(baseline[metric], b[metric])]),
  ) as Record<LatencyMetric, Change | null>
  const floor = Math.max(band, baselineBand, 2 * Math.abs(alike.changes.p50!.estimate))
  return {
    ...judge(changes.p50!, alike.changes.p50!, alike.blocks, band, floor),
    blocks: alike.blocks,
    band,
    floor,
    changes,
    control: alike.changes,
  }
}

/** Levels of figures by block. */
export function baselineLevels(figures: BlockFigures): BaselineLevels {
  return Object.fromEntries(
    latencyMetrics.map((metric) => [metric, figures[metric] && levelOf(figures[metric])]),
  ) as Record<LatencyMetric, BaselineLevel | null>
}

/** The interval of a quotient whose parts lie in theirs. */
function changeOf(baseline: BaselineLevel | null, figures: readonly number[] | null): Change | null {
  if (!baseline || !figures) return null
  const now = levelOf(figures)
  return {
    estimate: now.estimate / baseline.estimate - 1,
    interval:
      now.interval && baseline.interval
        ? {
            low: now.interval.low / baseline.interval.high - 1,
            high: now.interval.high / baseline.interval.low - 1,
          }
        : null,
    pValue: null,
  }
}
