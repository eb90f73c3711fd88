import { EdgewrightError } from '../error.ts'

/**
 * An absolute limit a result must keep, as written in `--fail-if 'latency.p99 > 33ms'`.
 * It names what must not be; the unit is taken off: nanoseconds, bytes or a fraction.
 */
export interface Budget {
  readonly written: string
  readonly metric: BudgetMetric
  readonly comparison: '>' | '>=' | '<' | '<='
  readonly limit: number
}

export const budgetMetrics = {
  'latency.p50': 'time',
  'latency.p90': 'time',
  'latency.p99': 'time',
  'latency.mean': 'time',
  'latency.min': 'time',
  'latency.first': 'time',
  'accuracy.drop': 'fraction',
  'accuracy.int8': 'fraction',
  'accuracy.float': 'fraction',
  'accuracy.agreement': 'fraction',
  'memory.peak': 'bytes',
  'artifact.bytes': 'bytes',
  energy: 'energy',
  speedup: 'ratio',
} as const
export type BudgetMetric = keyof typeof budgetMetrics

const units: Record<string, Record<string, number>> = {
  time: { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 },
  fraction: { '%': 0.01, '': 1 },
  bytes: { B: 1, '': 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
  energy: { uJ: 1, µJ: 1, mJ: 1e3, J: 1e6 },
  ratio: { x: 1, '×': 1, '': 1 },
}

/** A limit to how B may stand to A: `latency.p50 > +3%`. */
export interface RelativeBudget {
  readonly written: string
  readonly metric: RelativeMetric
  readonly comparison: Budget['comparison']
  /** A share: 0.03 is 3 % more; of accuracy in points: −0.01 is one point less. */
  readonly change: number
}

export const relativeMetrics = [
  'latency.p50',
  'latency.p90',
  'latency.p99',
  'latency.mean',
  'energy',
  'accuracy',
  'memory.peak',
  'artifact.bytes',
] as const
export type RelativeMetric = (typeof relativeMetrics)[number]

/** Shorter names that comparisons know too. */
const aliases: Readonly<Record<string, string>> = { size: 'artifact.bytes', memory: 'memory.peak' }
const absoluteAliases: Readonly<Record<string, string>> = { ...aliases, accuracy: 'accuracy.int8' }

export type ComparisonLimit =
  | ({ readonly kind: 'absolute' } & Budget)
  | ({ readonly kind: 'relative' } & RelativeBudget)

/** A limit of `run`: absolute. */
export function parseBudget(written: string): Budget {
  const parts = partsOf(written, Object.keys(budgetMetrics))
  if (isRelative(parts))
    throw new EdgewrightError(
      'USAGE',
      `A budget of run is absolute, ${JSON.stringify(written)} is relative.`,
      {
        where: '--fail-if',
        hint: "Write the limit itself, e.g. 'latency.p50 > 12ms', or hold two networks against each other: edgewright compare A B --fail-if 'latency.p50 > +3%'.",
      },
    )
  return absolute(written, parts)
}

/** A limit of `compare`: relative where its number has a sign, else absolute, of B. */
export function parseLimit(written: string): ComparisonLimit {
  const metrics = [...Object.keys(budgetMetrics), ...relativeMetrics, ...Object.keys(aliases)]
  const parts = partsOf(written, [...new Set(metrics)])
  if (!isRelative(parts))
    return {
      kind: 'absolute',
      ...absolute(written, { ...parts, metric: absoluteAliases[parts.metric] ?? parts.metric }),
    }
  const metric = (aliases[parts.metric] ?? parts.metric) as RelativeMetric
  if (!relativeMetrics.includes(metric))
    throw new EdgewrightError('USAGE', `${parts.metric} has no relative limit.`, {
      where: `--fail-if '${written}'`,
      hint: `Relative limits are of ${relativeMetrics.join(', ')}.`,
    })
  const points = metric === 'accuracy' && /^(points?|pp)$/.test(parts.unit)
  if (parts.unit !== '%' && !points)
    throw new EdgewrightError('USAGE', 'A relative limit is in percent.', {
      where: `--fail-if '${written}'`,
      saw: parts.unit || 'no unit',
      hint: `Write e.g. '${metric} ${parts.comparison} ${parts.number}%'.`,
    })
  return {
    kind: 'relative',
    written: written.trim(),
    metric,
    comparison: parts.comparison,
    change: Number(parts.number) / 100,
  }
}

interface Parts {
  readonly metric: string
  readonly comparison: Budget['comparison']
  /** With its sign, where it has one. */
  readonly number: string
  readonly unit: string
}

const isRelative = ({ number }: Parts) => /^[+-]/.test(number)

function partsOf(written: string, metrics: readonly string[]): Parts {
  const match = /^\s*([a-z0-9.]+)\s*(>=|<=|>|<)\s*([+-]?\d+(?:\.\d+)?)\s*([^\s\d]*)\s*$/u.exec(
    written.replaceAll('−', '-'),
  )
  if (match && metrics.includes(match[1]!))
    return {
      metric: match[1]!,
      comparison: match[2] as Budget['comparison'],
      number: match[3]!,
      unit: match[4]!,
    }
  throw new EdgewrightError('USAGE', `Not a budget: ${JSON.stringify(written)}.`, {
    where: '--fail-if',
    saw: match ? `metric ${match[1]}` : 'no METRIC > NUMBER UNIT',
    hint: `Write e.g. 'latency.p99 > 33ms' or 'accuracy.drop > 1%'. Metrics: ${metrics.join(', ')}.`,
  })
}

function absolute(written: string, parts: Parts): Budget {
  const metric = parts.metric as BudgetMetric
  const table = units[budgetMetrics[metric]]!
  const unit = table[parts.unit]
  if (unit === undefined)
    throw new EdgewrightError(
      'USAGE',
      `${metric} takes one of the units ${Object.keys(table).filter(Boolean).join(', ')}.`,
      {
        where: `--fail-if '${written}'`,
        saw: parts.unit || 'no unit',
        hint: `Write e.g. '${metric} > 10${Object.keys(table)[0]}'.`,
      },
    )
  return {
    written: written.trim(),
    metric,
    comparison: parts.comparison,
    limit: Number(parts.number) * unit,
  }
}

export type BudgetOutcome =
  | { readonly status: 'kept' | 'broken'; readonly budget: Budget; readonly value: number }
  /** The run holds no such figure: neither kept nor broken. */
  | { readonly status: 'unknown'; readonly budget: Budget }

/** Holds a figure against its budget; the budget says what must not be. */
export function checkBudget(budget: Budget, value: number | null | undefined): BudgetOutcome {
  if (value === null || value === undefined || !Number.isFinite(value)) return { status: 'unknown', budget }
  const broken = {
    '>': value > budget.limit,
    '>=': value >= budget.limit,
    '<': value < budget.limit,
    '<=': value <= budget.limit,
  }[budget.comparison]
  return { status: broken ? 'broken' : 'kept', budget, value }
}
