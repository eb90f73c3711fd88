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
  speedup: 'ratio',
} as const
export type BudgetMetric = keyof typeof budgetMetrics

const units: Record<string, Record<string, number>> = {
  time: { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9 },
  fraction: { '%': 0.01, '': 1 },
  bytes: { B: 1, '': 1, kB: 1e3, MB: 1e6, GB: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 },
  ratio: { x: 1, '×': 1, '': 1 },
}

export function parseBudget(written: string): Budget {
  const match = /^\s*([a-z0-9.]+)\s*(>=|<=|>|<)\s*([+-]?\d+(?:\.\d+)?)\s*([^\s\d]*)\s*$/u.exec(written)
  const metric = match?.[1] as BudgetMetric | undefined
  if (!match || !metric || !(metric in budgetMetrics))
    throw new EdgewrightError('USAGE', `Not a budget: ${JSON.stringify(written)}.`, {
      where: '--fail-if',
      saw: match ? `metric ${match[1]}` : 'no METRIC > NUMBER UNIT',
      hint: `Write e.g. 'latency.p99 > 33ms' or 'accuracy.drop > 1%'. Metrics: ${Object.keys(budgetMetrics).join(', ')}.`,
    })
  if (/^[+-]/.test(match[3]!))
    throw new EdgewrightError(
      'USAGE',
      `A budget of run is absolute, ${JSON.stringify(written)} is relative.`,
      {
        where: '--fail-if',
        hint: "Write the limit itself, e.g. 'latency.p50 > 12ms'.",
      },
    )
  const table = units[budgetMetrics[metric]]!
  const unit = table[match[4]!]
  if (unit === undefined)
    throw new EdgewrightError(
      'USAGE',
      `${metric} takes one of the units ${Object.keys(table).filter(Boolean).join(', ')}.`,
      {
        where: `--fail-if '${written}'`,
        saw: match[4] || 'no unit',
        hint: `Write e.g. '${metric} > 10${Object.keys(table)[0]}'.`,
      },
    )
  return {
    written: written.trim(),
    metric,
    comparison: match[2] as Budget['comparison'],
    limit: Number(match[3]) * unit,
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
