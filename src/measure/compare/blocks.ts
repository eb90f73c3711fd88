import type { CollectedStep } from '../collect.ts'
import { nearestRank, supports } from '../statistics.ts'

export const latencyMetrics = ['p50', 'mean', 'p90', 'p99'] as const
export type LatencyMetric = (typeof latencyMetrics)[number]

/** One figure a block, nanoseconds; a percentile is null where some block has too few inferences for it. */
export type BlockFigures = Readonly<Record<LatencyMetric, readonly number[] | null>>

/** Figures of one arm, block by block. @param blocks the latencies of each, not empty */
export function blockFigures(blocks: readonly Float64Array[]): BlockFigures {
  const sorted = blocks.map((latencyNs) => Float64Array.from(latencyNs).sort())
  const percentile = (p: number) =>
    sorted.every(({ length }) => supports(length, p)) ? sorted.map((block) => nearestRank(block, p)) : null
  return {
    p50: sorted.map((block) => nearestRank(block, 0.5)),
    mean: blocks.map((block) => block.reduce((sum, ns) => sum + ns, 0) / block.length),
    p90: percentile(0.9),
    p99: percentile(0.99),
  }
}

/** An arm's latencies by block; steps that stand beside each other in `blocks` are one. Null where a block has none of it, or an inference that took no time at all. */
export function blockLatencies(
  steps: readonly CollectedStep[],
  blocks: readonly (readonly number[])[],
  artifact: string,
): Float64Array[] | null {
  const byIndex = new Map(steps.map((step) => [step.index, step]))
  const found = blocks.map((indexes) =>
    joined(indexes.flatMap((index) => byIndex.get(index)?.latencyNs.get(artifact) ?? [])),
  )
  return found.every((block) => block.length > 0 && block.every((ns) => ns > 0)) ? found : null
}

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
