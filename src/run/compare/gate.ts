import type { LatencyMetric } from '../../measure/compare/blocks.ts'
import { type Change, differs, type LatencyComparison } from '../../measure/compare/verdict.ts'
import type { ComparedOutputs, ComparisonSide, GateOutcome } from '../../store/comparison.ts'
import { budgetMetrics, checkBudget, type ComparisonLimit, type RelativeBudget } from '../budget.ts'
import { formatFigure } from '../figures.ts'

/** What a limit is held against; the second pass is there once a limit seemed broken in the first. */
export interface GateEvidence {
  readonly passes: readonly {
    readonly latency: LatencyComparison
    readonly peakRssBytes: { readonly a: number | null; readonly b: number | null }
    readonly energy: { readonly a: ComparisonSide['energy']; readonly b: ComparisonSide['energy'] }
  }[]
  readonly a: ComparisonSide
  readonly b: ComparisonSide
  readonly accuracy: { readonly change: number; readonly pValue: number | null } | null
  readonly outputs: ComparedOutputs
  /** Absolute times and energies are then the emulator's. */
  readonly emulated: boolean
}

/** How one pass stands to a limit. */
type Finding =
  | { readonly state: 'within' | 'beyond' | 'unclear'; readonly text: string }
  | { readonly state: 'unknown'; readonly text: string }

/** True where a second pass decides: something that varies from run to run seems broken. */
export function needsRepeat(limits: readonly ComparisonLimit[], evidence: GateEvidence): boolean {
  return limits.some(
    (limit) =>
      limit.kind === 'relative' &&
      varies(limit) &&
      find(limit, evidence, evidence.passes[0]!).state === 'beyond',
  )
}

/**
 * A relative limit is broken where the change lies beyond it, is a proved one, and a second pass says the same; it is
 * inconclusive where one of the three is missing. An absolute limit is of B's figure alone.
 */
export function judgeLimit(limit: ComparisonLimit, evidence: GateEvidence): GateOutcome {
  const { written } = limit
  if (limit.kind === 'absolute') return { written, ...absolute(limit, evidence) }
  const [first, second] = evidence.passes.map((pass) => find(limit, evidence, pass))
  if (first!.state === 'within') return { written, status: 'kept', reason: first!.text }
  if (first!.state !== 'beyond') return { written, status: 'inconclusive', reason: first!.text }
  if (!varies(limit)) return { written, status: 'broken', reason: first!.text }
  if (!second)
    return { written, status: 'inconclusive', reason: `${first!.text} It was not measured a second time.` }
  return second.state === 'beyond'
    ? { written, status: 'broken', reason: `${first!.text} A second run agrees: ${second.text}` }
    : {
        written,
        status: 'inconclusive',
        reason: `${first!.text} A second run does not confirm it: ${second.text}`,
      }
}

/** Of a file and of fixed data a second look gives the same. */
function varies({ metric }: RelativeBudget): boolean {
  return metric !== 'artifact.bytes' && metric !== 'accuracy'
}

function find(limit: RelativeBudget, evidence: GateEvidence, pass: GateEvidence['passes'][number]): Finding {
  const { metric } = limit
  switch (metric) {
    case 'artifact.bytes':
      return plain(limit, evidence.b.bytes / evidence.a.bytes - 1)
    case 'memory.peak': {
      const { a, b } = pass.peakRssBytes
      return a === null || b === null
        ? { state: 'unknown', text: 'The memory of both is not known.' }
        : plain(limit, b / a - 1)
    }
    case 'accuracy':
      return accuracy(limit, evidence.accuracy)
    case 'energy':
      return energy(limit, pass.energy)
    default:
      return latency(limit, metric.slice('latency.'.length) as LatencyMetric, pass.latency)
  }
}

function latency(limit: RelativeBudget, metric: LatencyMetric, compared: LatencyComparison): Finding {
  const change = compared.changes[metric]
  if (!change) return { state: 'unknown', text: `Too few inferences for ${metric}.` }
  const seen = `${signed(change.estimate)}${change.interval ? ` (95 %: ${signed(change.interval.low)} to ${signed(change.interval.high)})` : ''}.`
  if (compared.verdict === 'unproven') return { state: 'unclear', text: compared.reason }
  const control = compared.control[metric]
  if (control && differs(control) && Math.abs(control.estimate) > compared.band)
    return {
      state: 'unclear',
      text: `The same network loaded a second time differs by ${signed(control.estimate)} in ${metric}.`,
    }
  if (!beyond(limit, change.estimate)) return { state: 'within', text: seen }
  if (!proved(limit, change)) return { state: 'unclear', text: `${seen} That is not proved.` }
  // a limit on a loss; one that asks for a gain is proved by the interval alone
  const floor = Math.max(compared.floor, 2 * Math.abs(control?.estimate ?? 0))
  if (asksForNoLoss(limit) && Math.abs(change.estimate) <= floor)
    return { state: 'within', text: `${seen} No more than ${percent(floor)} counts as no change here.` }
  return { state: 'beyond', text: seen }
}

function accuracy(limit: RelativeBudget, compared: GateEvidence['accuracy']): Finding {
  if (!compared) return { state: 'unknown', text: 'No accuracy of both: give --data with labels.' }
  const { change, pValue } = compared
  const seen = `${points(change)}${pValue === null ? ' (this metric has no paired test)' : `, p = ${pValue.toPrecision(2)}`}.`
  if (!beyond(limit, change)) return { state: 'within', text: seen }
  if (pValue !== null && pValue > 0.05)
    return { state: 'unclear', text: `${seen} That is not proved: more samples tell.` }
  return { state: 'beyond', text: seen }
}

function energy(limit: RelativeBudget, { a, b }: GateEvidence['passes'][number]['energy']): Finding {
  if (a.value === null || b.value === null)
    return { state: 'unknown', text: a.reason ?? b.reason ?? 'Energy was not measured.' }
  const change = b.value / a.value - 1
  // of a quotient: A's doubt counts as often as B is larger than A
  const doubt = Math.hypot(((a.uncertainty ?? 0) * b.value) / a.value, b.uncertainty ?? 0) / a.value
  const seen = `${signed(change)} ± ${percent(doubt)}.`
  if (!beyond(limit, change)) return { state: 'within', text: seen }
  const interval = { low: change - doubt, high: change + doubt }
  return proved(limit, { estimate: change, interval, pValue: null })
    ? { state: 'beyond', text: seen }
    : { state: 'unclear', text: `${seen} That is within the uncertainty.` }
}

/** What has no noise to speak of. */
function plain(limit: RelativeBudget, change: number): Finding {
  return { state: beyond(limit, change) ? 'beyond' : 'within', text: `${signed(change)}.` }
}

function beyond({ comparison, change }: RelativeBudget, seen: number): boolean {
  return { '>': seen > change, '>=': seen >= change, '<': seen < change, '<=': seen <= change }[comparison]
}

/** `> +3%` and `< -3%` allow some loss; `> -5%` asks that there be a gain. */
function asksForNoLoss({ comparison, change }: RelativeBudget): boolean {
  return comparison.startsWith('>') ? change >= 0 : change <= 0
}

/** Beside no change, or, where a gain is asked for, beside the limit itself. */
function proved(limit: RelativeBudget, change: Change): boolean {
  const { interval } = change
  if (asksForNoLoss(limit)) return differs(change)
  if (interval === null) return false
  return limit.comparison.startsWith('>') ? interval.low > limit.change : interval.high < limit.change
}

function absolute(
  limit: ComparisonLimit & { readonly kind: 'absolute' },
  evidence: GateEvidence,
): Omit<GateOutcome, 'written'> {
  const unit = budgetMetrics[limit.metric]
  if (evidence.emulated && (unit === 'time' || unit === 'energy'))
    return {
      status: 'inconclusive',
      reason: 'The board is emulated: its times and energies are not a board’s.',
    }
  const outcome = checkBudget(limit, figure(limit, evidence))
  if (outcome.status === 'unknown')
    return { status: 'inconclusive', reason: 'This comparison has no such figure.' }
  return {
    status: outcome.status,
    reason: `It is ${formatFigure(outcome.value, unit)}.`,
  }
}

function figure(
  { metric }: ComparisonLimit & { readonly kind: 'absolute' },
  evidence: GateEvidence,
): number | null {
  const { a, b, outputs } = evidence
  const latency = b.latency
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
    case 'accuracy.int8':
      return b.accuracy?.value ?? null
    case 'accuracy.float':
      return a.accuracy?.value ?? null
    case 'accuracy.drop':
      return a.accuracy && b.accuracy ? a.accuracy.value - b.accuracy.value : null
    case 'accuracy.agreement':
      return outputs.comparable ? outputs.agreement : null
    case 'memory.peak':
      return b.peakRssBytes
    case 'artifact.bytes':
      return b.bytes
    case 'energy':
      return b.energy.value
    case 'speedup': {
      const change = evidence.passes[0]!.latency.changes.p50
      return change ? 1 / (1 + change.estimate) : null
    }
  }
}

function signed(share: number): string {
  return `${share < 0 ? '−' : '+'}${percent(Math.abs(share))}`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`
}

function points(change: number): string {
  return `${change < 0 ? '−' : '+'}${(Math.abs(change) * 100).toFixed(2)} points`
}
