import type { MeterSample } from '../collect.ts'
import type { PlanMeter } from '../plan.ts'
import { railAccuracy, type SensorAccuracy, sumAccuracy, unknownAccuracy } from './accuracy.ts'
import { chipFacts } from './chips.ts'
import { pmicPower } from './pmic.ts'
import type { Rail } from './rail.ts'
import type { PowerSource } from './source.ts'

/** Power over time as one source gives it, on the board's clock. */
export interface PowerSeries {
  /** Middle of the reading. */
  readonly tNs: Float64Array
  /** NaN where a reading failed. */
  readonly milliW: Float64Array
  /** What the sensor's registers held for it: a sensor that works does not give the same for long. */
  readonly raw: Float64Array
  /** Readings of a current without a voltage. */
  readonly voltless: number
  readonly accuracy: SensorAccuracy
  /** A value tells of so much time before it was read. */
  readonly lagNs: number
  /** Values do not change more often. */
  readonly cycleNs: number
  /** Share of all time that the sensor looks at the current; 1: it integrates without a gap. */
  readonly seenShare: number
}

/** Files of one meter of a plan. */
const maxPaths = 8
/** A process on the board and a call of its firmware for each: more often would heat what it measures. */
const pmicPeriodMs = 200
/** The firmware's converter goes through its channels at a rate that nobody documents. */
const pmicLagMs = 100

/** A source gives nothing new more often than this. */
export function leastPeriodMs(source: PowerSource): number {
  return source.kind === 'pmic' ? pmicPeriodMs : Math.max(...source.rails.map(({ cycleMs }) => cycleMs))
}

/** The meters of a plan that read a source; rails beyond what one meter can hold go into the next. */
export function metersOf(source: PowerSource, periodMs: number): PlanMeter[] {
  if (source.kind === 'pmic')
    return [
      {
        name: 'pmic',
        paths: [],
        command: [source.command, 'pmic_read_adc'],
        periodMs: Math.max(periodMs, pmicPeriodMs),
      },
    ]
  return metered(source.rails).map((rails, i) => ({
    name: `rails-${i + 1}`,
    paths: rails.flatMap(filesOf).map(({ path }) => path),
    periodMs: Math.max(periodMs, ...rails.map(({ cycleMs }) => cycleMs)),
  }))
}

/** Volts and amperes where there are both: their steps are finer than those of the chip's product. */
function filesOf({ milliV, milliA, milliW }: Rail) {
  return milliV && milliA ? [milliV, milliA] : milliW ? [milliW] : []
}

function metered(rails: readonly Rail[]): Rail[][] {
  const groups: Rail[][] = [[]]
  let paths = 0
  for (const rail of rails) {
    const more = filesOf(rail).length
    if (paths + more > maxPaths) {
      groups.push([])
      paths = 0
    }
    groups.at(-1)!.push(rail)
    paths += more
  }
  return groups
}

/** Joins the samples of a source's meters into one series. */
export function powerSeries(samples: readonly MeterSample[], source: PowerSource): PowerSeries {
  return source.kind === 'pmic' ? pmicSeries(samples) : railSeries(samples, source.rails)
}

function pmicSeries(all: readonly MeterSample[]): PowerSeries {
  const samples = all.filter(({ name }) => name === 'pmic')
  const milliW = Float64Array.from(samples, ({ text }) => (text === null ? NaN : (pmicPower(text) ?? NaN)))
  return {
    tNs: middles(samples),
    milliW,
    raw: milliW,
    voltless: 0,
    accuracy: unknownAccuracy,
    lagNs: pmicLagMs * 1e6,
    cycleNs: 0,
    seenShare: 0,
  }
}

function railSeries(all: readonly MeterSample[], rails: readonly Rail[]): PowerSeries {
  const parts = metered(rails).map((group, i) =>
    groupSeries(
      all.filter(({ name }) => name === `rails-${i + 1}`),
      group,
    ),
  )
  const [first, ...rest] = parts as [GroupSeries, ...GroupSeries[]]
  const facts = rails.map(({ chip }) => chipFacts(chip))
  const cycleMs = Math.max(...rails.map((rail) => rail.cycleMs))
  return {
    tNs: first.tNs,
    milliW: rest.reduce((sum, part) => added(sum, interpolated(part, first.tNs)), first.milliW),
    raw: rest.reduce(
      (sum, part) => added(sum, interpolated({ ...part, milliW: part.raw }, first.tNs)),
      first.raw,
    ),
    voltless: parts.reduce((sum, part) => sum + part.voltless, 0),
    accuracy: sumAccuracy(parts.flatMap(({ accuracies }) => accuracies)),
    lagNs: cycleMs * 1e6,
    cycleNs: cycleMs * 1e6,
    seenShare: Math.min(...facts.map((fact) => fact?.currentShare ?? 0)),
  }
}

interface GroupSeries {
  readonly tNs: Float64Array
  readonly milliW: Float64Array
  readonly raw: Float64Array
  readonly voltless: number
  readonly accuracies: readonly SensorAccuracy[]
}

function groupSeries(samples: readonly MeterSample[], rails: readonly Rail[]): GroupSeries {
  const milliW = new Float64Array(samples.length)
  const raw = new Float64Array(samples.length)
  const volts = rails.map(() => ({ sum: 0, count: 0 }))
  let voltless = 0
  for (const [i, { values }] of samples.entries()) {
    let at = 0
    for (const [r, rail] of rails.entries()) {
      const files = filesOf(rail)
      const [a, b] = files.map((file, f) => {
        const value = values[at + f] ?? null
        return value === null ? NaN : value * file.unit
      })
      raw[i]! += values[at + files.length - 1] ?? NaN
      at += files.length
      if (b === undefined) milliW[i]! += a ?? NaN
      else {
        milliW[i]! += (a! * b) / 1000
        if (a === 0 && b > 0) voltless++
        if (a! > 0) {
          volts[r]!.sum += a!
          volts[r]!.count++
        }
      }
    }
  }
  return {
    tNs: middles(samples),
    milliW,
    raw,
    voltless,
    accuracies: rails.map((rail, r) =>
      railAccuracy(rail, volts[r]!.count === 0 ? null : volts[r]!.sum / volts[r]!.count),
    ),
  }
}

function middles(samples: readonly MeterSample[]): Float64Array {
  return Float64Array.from(samples, ({ atNs, spentNs }) => atNs + spentNs / 2)
}

/** Linear between neighbours, NaN outside. */
function interpolated({ tNs, milliW }: Pick<GroupSeries, 'tNs' | 'milliW'>, at: Float64Array): Float64Array {
  let i = 0
  return at.map((time) => {
    while (i + 1 < tNs.length && tNs[i + 1]! < time) i++
    const [a, b] = [tNs[i], tNs[i + 1]]
    if (a === undefined) return NaN
    if (b === undefined || time < a) return Math.abs(time - a) < 1e9 ? milliW[i]! : NaN
    return milliW[i]! + ((milliW[i + 1]! - milliW[i]!) * (time - a)) / (b - a)
  })
}

function added(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!)
}
