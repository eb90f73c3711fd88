import { printable } from '../../report/format.ts'

/** One thing that a board needs or would profit from, as it was found. */
export interface Finding {
  /** A stable word: `glibc`, `hard-links`. */
  readonly check: string
  /** `missing`: nothing can be measured until it is mended. `warning`: it works, with what the sentence says. */
  readonly state: 'ok' | 'warning' | 'missing'
  /** What was found, or what is the matter, in one sentence. */
  readonly message: string
  /** What mends it: a command where there is one. Null where nothing has to be done. */
  readonly fix: string | null
}

export function ok(check: string, message: string): Finding {
  return { check, state: 'ok', message, fix: null }
}

export function warning(check: string, message: string, fix: string): Finding {
  return { check, state: 'warning', message, fix }
}

export function missing(check: string, message: string, fix: string): Finding {
  return { check, state: 'missing', message, fix }
}

const marks = { ok: 'ok     ', warning: 'warning', missing: 'MISSING' } as const

/** What a person sees: a line a check, its remedy below. */
export function describeFindings(device: string, findings: readonly Finding[]): string {
  const width = Math.max(0, ...findings.map(({ check }) => check.length))
  const lines = findings.flatMap(({ check, state, message, fix }) => [
    `  ${marks[state]}  ${check.padEnd(width)}  ${printable(message)}`,
    ...(fix === null ? [] : [`${' '.repeat(width + 13)}→ ${printable(fix)}`]),
  ])
  const bad = findings.filter(({ state }) => state === 'missing').length
  const weak = findings.filter(({ state }) => state === 'warning').length
  const verdict =
    bad > 0
      ? `${count(bad, 'thing is', 'things are')} missing: mend ${bad === 1 ? 'it' : 'them'} and run this again.`
      : weak > 0
        ? `Ready; ${count(weak, 'thing', 'things')} to know of.`
        : 'Ready.'
  return [printable(device), ...lines, verdict].join('\n')
}

function count(n: number, one: string, many: string): string {
  return `${n} ${n === 1 ? one : many}`
}
