import { EdgewrightError } from '../../error.ts'
import { printable } from '../../deploy/printable.ts'

export type ColumnRole = 'time' | 'current' | 'voltage' | 'power' | 'edge'

/** A column that is read: where it stands and what its values are multiplied by (to s, A, V, W). */
export interface CsvColumn {
  readonly role: ColumnRole
  readonly index: number
  readonly scale: number
}

const roleWords: readonly (readonly [ColumnRole, RegExp])[] = [
  ['time', /time|^t\b|seconds/i],
  ['current', /curr|amp|^i\b/i],
  ['voltage', /volt|^v\b/i],
  ['power', /power|watt|^w\b|^p\b/i],
]

const units: Readonly<Record<string, number>> = {
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
  a: 1,
  ma: 1e-3,
  ua: 1e-6,
  µa: 1e-6,
  na: 1e-9,
  v: 1,
  mv: 1e-3,
  w: 1,
  mw: 1e-3,
  uw: 1e-6,
  µw: 1e-6,
}

/**
 * Finds the columns in a heading. `asked`: names as they stand there, or `role=name`; absent: by their names.
 *
 * @throws EdgewrightError METER_FAILED where one is not there, or the rest is not enough for power
 */
export function chooseColumns(
  heading: readonly string[],
  asked: readonly string[] | undefined,
  edge: string | null,
  where: string,
): CsvColumn[] {
  const columns = new Map<ColumnRole, CsvColumn>()
  const put = (role: ColumnRole, index: number) => {
    if (!columns.has(role))
      columns.set(role, { role, index, scale: role === 'edge' ? 1 : unitOf(heading[index]!) })
  }
  for (const name of asked ?? []) {
    const explicit = /^(time|current|voltage|power|edge)=(.+)$/.exec(name)
    const index = indexOf(heading, explicit?.[2] ?? name)
    const role = (explicit?.[1] as ColumnRole | undefined) ?? roleOf(name)
    if (index < 0 || role === undefined) throw missing(heading, name, where)
    put(role, index)
  }
  if (asked === undefined)
    for (const [index, name] of heading.entries()) {
      const role = roleOf(name)
      if (role !== undefined) put(role, index)
    }
  if (edge !== null && !columns.has('edge')) {
    const index = indexOf(heading, edge)
    if (index < 0) throw missing(heading, edge, where)
    put('edge', index)
  }
  if (!columns.has('time')) throw missing(heading, 'time', where)
  if (!columns.has('power') && !columns.has('current')) throw missing(heading, 'power or current', where)
  return [...columns.values()]
}

/** By name, or the name without its unit. */
function indexOf(heading: readonly string[], name: string): number {
  const plain = (text: string) =>
    text
      .replace(/[([].*$/, '')
      .trim()
      .toLowerCase()
  const exact = heading.findIndex((each) => each.trim() === name.trim())
  return exact >= 0 ? exact : heading.findIndex((each) => plain(each) === plain(name))
}

function roleOf(name: string): ColumnRole | undefined {
  return roleWords.find(([, words]) => words.test(name.trim()))?.[0]
}

/** `Current(uA)`, `current [mA]`, `time_ms`; base units where none is said. */
function unitOf(name: string): number {
  const written =
    /[([]\s*([^)\]]+?)\s*[)\]]\s*$/.exec(name)?.[1] ?? /[_ ]([a-zµμ]{1,2})$/i.exec(name.trim())?.[1]
  return units[(written ?? '').replace('μ', 'µ').toLowerCase()] ?? 1
}

function missing(heading: readonly string[], name: string, where: string): EdgewrightError {
  return new EdgewrightError(
    'METER_FAILED',
    `The recording has no column ${JSON.stringify(printable(name, 60))}.`,
    {
      where,
      saw: printable(heading.join(', ')),
      hint: 'Name its columns: --meter-columns time,current,voltage (or role=name: docs/meters.md).',
    },
  )
}
