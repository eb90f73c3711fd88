import type { ThrottleGauge, ThrottleKind } from './types.ts'

/** Bits of `vcgencmd get_throttled`, from 0 on (Raspberry Pi documentation); the same from 16 on since boot. */
export const throttledBits: readonly ThrottleKind[] = [
  'underVoltage',
  'frequencyCapped',
  'throttled',
  'softTemperatureLimit',
]

/** What held the board back while it was measured. */
export type Throttle = Readonly<Record<ThrottleKind, boolean>> & { readonly source: string }

/**
 * What was raised, from the gauges before and after and what the runner read of them meanwhile (by path). A counter has
 * to rise; a state counts whenever it was seen. Null where the board has no gauges.
 */
export function throttleOf(
  before: readonly ThrottleGauge[],
  after: readonly ThrottleGauge[],
  sampled: ReadonlyMap<string, readonly number[]> = new Map(),
): Throttle | null {
  if (before.length === 0 && after.length === 0) return null
  const raised = new Map<ThrottleKind, Set<string>>()
  const raise = ({ kind, source }: Pick<ThrottleGauge, 'kind' | 'source'>) =>
    raised.set(kind, (raised.get(kind) ?? new Set()).add(source))
  const earlier = new Map(before.map((gauge) => [key(gauge), gauge.value]))
  for (const gauge of after)
    if (gauge.counts ? gauge.value > (earlier.get(key(gauge)) ?? Infinity) : gauge.value > 0) raise(gauge)
  for (const gauge of before) {
    if (!gauge.counts && gauge.value > 0) raise(gauge)
    if (gauge.path === null) continue
    for (const value of sampled.get(gauge.path) ?? [])
      if (gauge.source === 'get_throttled')
        for (const kind of kindsInSample(value)) raise({ kind, source: gauge.source })
      else if (gauge.counts ? value > gauge.value : value > 0) raise(gauge)
  }
  const sources = new Set([...raised.values()].flatMap((names) => [...names]))
  const all = new Set([...before, ...after].map(({ source }) => source))
  return {
    underVoltage: raised.has('underVoltage'),
    frequencyCapped: raised.has('frequencyCapped'),
    throttled: raised.has('throttled'),
    softTemperatureLimit: raised.has('softTemperatureLimit'),
    source: [...(sources.size > 0 ? sources : all)].slice(0, 4).join(', '),
  }
}

function key({ source, kind, counts, path }: ThrottleGauge): string {
  return `${source} ${kind} ${counts} ${path ?? ''}`
}

/**
 * The runner reads numbers in decimal and stops at the first letter; the kernel prints this file in hexadecimal. A letter
 * as the last digit has bit 3, the soft temperature limit. One that begins with a letter (two flags or more since boot) is
 * no number and gives no sample: what was raised then shows in the survey afterwards.
 */
function kindsInSample(value: number): ThrottleKind[] {
  const bits = parseInt(String(value), 16)
  if (!(bits >= 0)) return []
  const cut = (bits & ~0xf000f) !== 0
  const now = cut ? 0b1000 : bits & 0xf
  return throttledBits.filter((_, bit) => (now >>> bit) & 1)
}
