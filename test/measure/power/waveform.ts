import type { EnergyInput, LoadWindow } from '../../../src/measure/energy.ts'
import { railAccuracy } from '../../../src/measure/power/accuracy.ts'
import { chipFacts } from '../../../src/measure/power/chips.ts'
import type { Rail } from '../../../src/measure/power/rail.ts'
import type { PowerSeries } from '../../../src/measure/power/series.ts'

/** Milliwatts at a time in nanoseconds. */
export type Waveform = (tNs: number) => number

export const second = 1e9

/** mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
}

export function rail(chip: 'ina3221' | 'ina226', microOhm = 10_000): Rail {
  return {
    id: `${chip}@1-0040:1`,
    label: 'VDD_IN',
    chip,
    milliV: { path: '/sys/a', unit: 1, live: 5000 },
    milliA: { path: '/sys/b', unit: 1, live: 200 },
    milliW: null,
    shunt: { microOhm, basis: 'sysfs' },
    cycleMs: chipFacts(chip)!.cycleMs,
    criticalMilliA: null,
  }
}

export interface Sampling {
  readonly periodNs: number
  /** Each sample's time is off the schedule by up to this, either way. */
  readonly jitterNs?: number
  /** A sensor's register: steps of current at 5 V, and its true gain and offset. */
  readonly sensor?: { readonly rail: Rail; readonly gain: number; readonly offsetMilliW: number }
}

/** What a sensor shows of a waveform between two times. */
export function sampled(
  wave: Waveform,
  fromNs: number,
  toNs: number,
  { periodNs, jitterNs = 0, sensor }: Sampling,
  random: () => number,
): PowerSeries {
  const tNs: number[] = []
  for (let t = fromNs + random() * periodNs; t < toNs; t += periodNs)
    tNs.push(t + (random() * 2 - 1) * jitterNs)
  const accuracy = sensor
    ? railAccuracy(sensor.rail, 5000)
    : { shares: [], offsetMilliW: 0, stepMilliW: 0, basis: 'datasheet' as const, fullScaleMilliW: null }
  const milliW = Float64Array.from(tNs, (t) => {
    if (!sensor) return wave(t)
    const shown = wave(t) * sensor.gain + sensor.offsetMilliW
    return Math.round(shown / accuracy.stepMilliW) * accuracy.stepMilliW
  })
  return {
    tNs: Float64Array.from(tNs),
    milliW,
    raw: milliW,
    voltless: 0,
    accuracy,
    lagNs: 1e6,
    cycleNs: 1e6,
    seenShare: 0,
  }
}

/** Energy of a stretch, by steps of 0.25 ms. */
export function energyOf(wave: Waveform, fromNs: number, toNs: number): number {
  const steps = Math.round((toNs - fromNs) / 250_000)
  const width = (toNs - fromNs) / steps
  let sum = 0
  for (let i = 0; i < steps; i++) sum += wave(fromNs + (i + 0.5) * width) * width
  return sum
}

/** Idle, two windows of load, idle; inferences of one length back to back. */
export function phases(inferenceNs: number, loadNs = 5 * second, idleNs = 4 * second) {
  const inferences = Math.round(loadNs / inferenceNs)
  const long = inferences * inferenceNs
  const load = [0, 1].map((half): LoadWindow => {
    const fromNs = idleNs + second + half * (long + second)
    return {
      fromNs,
      toNs: fromNs + long,
      inferences,
      startsNs: Float64Array.from({ length: inferences + 1 }, (_, i) => fromNs + i * inferenceNs),
    }
  })
  const end = load[1]!.toNs
  return {
    load,
    idle: {
      before: { fromNs: 0, toNs: idleNs },
      after: { fromNs: end + second, toNs: end + second + idleNs },
    },
    endNs: end + second + idleNs,
  }
}

/** `idle` outside the windows of load, `busy` inside; busy also while a model is warmed up before them. */
export function loaded(plan: ReturnType<typeof phases>, idle: Waveform, busy: Waveform): Waveform {
  const from = plan.load[0]!.fromNs - 0.5 * second
  const to = plan.load.at(-1)!.toNs
  return (t) => (t >= from && t < to ? busy(t) : idle(t))
}

export function inputOf(
  plan: ReturnType<typeof phases>,
  series: PowerSeries,
  more: Partial<EnergyInput> = {},
): EnergyInput {
  return {
    series,
    sync: { kind: 'same-clock', boundNs: 0 },
    idle: plan.idle,
    load: plan.load,
    duty: 1,
    limitMilliW: null,
    ...more,
  }
}
