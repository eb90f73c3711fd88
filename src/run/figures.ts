import { formatBytes, formatMicrojoules, formatNs, formatShare } from '../report/format.ts'
import type { RunResult } from '../store/document.ts'
import { type BudgetMetric, budgetMetrics, type BudgetOutcome } from './budget.ts'

/** The figure of a result that a budget names; null where the run does not hold it. */
export function figureOf(result: RunResult, metric: BudgetMetric): number | null {
  const { latency, accuracy, memory, artifact, speedup } = result
  switch (metric) {
    case 'latency.p50':
      return latency?.p50Ns ?? null
    case 'latency.p90':
      return latency?.p90Ns ?? null
    case 'latency.p99':
      return latency?.p99Ns ?? null
    case 'latency.mean':
      return latency?.meanNs ?? null
    case 'latency.min':
      return latency?.minNs ?? null
    case 'latency.first':
      return latency?.firstNs ?? null
    case 'accuracy.drop':
      return accuracy?.drop ?? null
    case 'accuracy.int8':
      return accuracy?.int8 ?? null
    case 'accuracy.float':
      return accuracy?.float ?? null
    case 'accuracy.agreement':
      return accuracy?.agreement ?? null
    case 'memory.peak':
      return memory?.peakRssBytes ?? null
    case 'artifact.bytes':
      return artifact?.bytes ?? null
    case 'energy':
      return result.energy.value
    case 'speedup':
      return speedup ?? null
  }
}

export function describeBudget(outcome: BudgetOutcome & { readonly device: string }): string {
  const { budget, device } = outcome
  const what = `${budget.written}, ${device}`
  if (outcome.status === 'unknown') return `unknown   ${what}  this run has no such figure`
  const value = formatFigure(outcome.value, budgetMetrics[budget.metric])
  return `${outcome.status === 'broken' ? 'BROKEN' : 'kept  '}    ${what}  it is ${value}`
}

export function formatFigure(
  value: number,
  unit: 'time' | 'fraction' | 'bytes' | 'energy' | 'ratio',
): string {
  return {
    time: formatNs,
    fraction: formatShare,
    bytes: formatBytes,
    energy: formatMicrojoules,
    ratio: (ratio: number) => `${ratio.toFixed(2)}×`,
  }[unit](value)
}
