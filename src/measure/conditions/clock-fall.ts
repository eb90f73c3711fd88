import { median } from '../statistics.ts'
import type { SensorSeries } from './sensors.ts'

/** A clock that did not hold while the board was measured. */
export interface ClockFall {
  /** `policy0`. */
  readonly name: string
  readonly fromKHz: number
  readonly toKHz: number
  readonly atNs: number
  /** `limit`: what the CPUs may do fell, whatever they did; `clock`: what they did fell under load. */
  readonly what: 'limit' | 'clock'
}

/** When latency was taken; on the runner's clock. */
export interface Window {
  readonly startNs: number
  readonly endNs: number
}

/** A fall that is no wobble. */
const fall = 0.05
/** One reading below may be between two inferences. */
const leastReadings = 2
/** Share of the readings, from the start on, that say what the clock was before it got hot. */
const startShare = 0.2

/**
 * The first fall of a limit, or else of the clock under load, below what it was when measuring began; null where there was
 * none. A governor that raises the clock as load comes does not fall, and of several groups of CPUs the fastest counts at
 * any time: the load is there, while the others rest.
 *
 * @param fixedRate The board rests between inferences, and its clock may: only limits are looked at.
 */
export function clockFall(
  series: readonly SensorSeries[],
  windows: readonly Window[],
  fixedRate: boolean,
): ClockFall | null {
  for (const one of series.filter(({ name }) => name.startsWith('clock-limit:'))) {
    const first = one.values[0]
    const at = one.values.findIndex((kHz) => kHz < first! * (1 - fall))
    if (first === undefined || at < 0) continue
    return {
      name: nameOf(one),
      fromKHz: first,
      toKHz: Math.min(...one.values),
      atNs: one.tNs[at]!,
      what: 'limit',
    }
  }
  if (fixedRate) return null
  const fastest = fastestOf(series, windows)
  const start = fastest.slice(0, Math.max(leastReadings, Math.ceil(fastest.length * startShare)))
  if (start.length < leastReadings || fastest.length <= start.length) return null
  const fromKHz = median(start.map(({ kHz }) => kHz))
  const below = fastest.map(({ kHz }) => kHz < fromKHz * (1 - fall))
  const at = below.findIndex(
    (_, i) => below.slice(i, i + leastReadings).filter(Boolean).length === leastReadings,
  )
  if (at < 0) return null
  const fallen = fastest.filter((_, i) => below[i])
  return {
    name: fastest[at]!.name,
    fromKHz,
    toKHz: median(fallen.map(({ kHz }) => kHz)),
    atNs: fastest[at]!.tNs,
    what: 'clock',
  }
}

/** The fastest clock at each reading; readings of one round are told apart by their order, one per sensor. */
export function fastestOf(
  series: readonly SensorSeries[],
  windows: readonly Window[] | null,
): { readonly tNs: number; readonly kHz: number; readonly name: string }[] {
  const clocks = series.filter(({ name, values }) => name.startsWith('clock:') && values.length > 0)
  const rounds = Math.min(...clocks.map(({ values }) => values.length))
  if (clocks.length === 0) return []
  return Array.from({ length: rounds }, (_, i) => {
    const fastest = clocks.reduce((a, b) => (b.values[i]! > a.values[i]! ? b : a))
    return { tNs: fastest.tNs[i]!, kHz: fastest.values[i]!, name: nameOf(fastest) }
  }).filter(
    ({ tNs }) => windows === null || windows.some(({ startNs, endNs }) => tNs >= startNs && tNs <= endNs),
  )
}

function nameOf({ name }: SensorSeries): string {
  return name.slice(name.indexOf(':') + 1)
}
