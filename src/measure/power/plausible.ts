import type { EnergyInput } from '../energy.ts'
import type { EnergyWindow, MeanPower } from './mean-power.ts'
import type { PowerSeries } from './series.ts'

/** Why samples give no figure: one code for each cause, one sentence for people. */
export interface NoFigure {
  readonly code:
    | 'no-samples'
    | 'unreadable'
    | 'stuck'
    | 'flat'
    | 'implausible'
    | 'cut-short'
    | 'window-too-short'
    | 'too-few-samples'
    | 'in-step'
  readonly reason: string
}

/** Fewer samples than this say little on a mean. */
export const minimumSamples = 30
const minimumWindowNs = 1e9
/** Above it a board is no board; where no limit is known. */
const anyBoardMilliW = 250_000
/** Below it no computer runs Linux. */
const leastMilliW = 20
/** From this share of time on the load must show. */
const clearDuty = 0.2
/** More of an inference that no sample met, and there is no telling. */
const mostBlind = 0.2

interface Evidence extends Pick<EnergyInput, 'series' | 'duty' | 'limitMilliW' | 'idle'> {
  readonly load: readonly EnergyWindow[]
  readonly covered: boolean
  readonly means: readonly MeanPower[]
  readonly before: MeanPower
  readonly after: MeanPower
  readonly blindShare: number
}

type Check = (evidence: Evidence) => string | null

/** In this order: what explains most stands first. */
const checks: readonly (readonly [NoFigure['code'], Check])[] = [
  ['no-samples', ({ series }) => (series.tNs.length === 0 ? 'The sensor gave no sample.' : null)],
  ['unreadable', unreadable],
  ['stuck', stuck],
  ['implausible', impossible],
  ['cut-short', ({ covered }) => (covered ? null : 'Samples do not reach over the time of the inferences.')],
  ['window-too-short', tooShort],
  ['too-few-samples', tooFew],
  ['implausible', outOfBounds],
  ['flat', flat],
  ['in-step', inStep],
]

/** Null where the samples support a figure. */
export function refusalOf(evidence: Evidence): NoFigure | null {
  for (const [code, check] of checks) {
    const reason = check(evidence)
    if (reason !== null) return { code, reason }
  }
  return null
}

function unreadable({ series }: Evidence): string | null {
  const failed = series.milliW.reduce((count, value) => count + (Number.isFinite(value) ? 0 : 1), 0)
  if (failed <= series.milliW.length * 0.05) return null
  return `${failed} of ${series.milliW.length} readings of the sensor failed.`
}

/** A converter's last digits move; registers that do not were written by nobody. */
function stuck({ series, load }: Evidence): string | null {
  const values = [...series.raw].filter(Number.isFinite)
  if (values.length >= minimumSamples && values.every((value) => value === values[0]))
    return `All ${values.length} readings are the same, idle and under load: the sensor is stuck.`
  // one that moved and then stood still for half of the load has stopped in between
  for (const { fromNs, toNs } of load) {
    const inside = [...series.raw].filter((_, i) => series.tNs[i]! >= fromNs && series.tNs[i]! <= toNs)
    const run = endRun(inside)
    const moving = inside.slice(0, inside.length - run)
    const changes = moving.filter((value, i) => i > 0 && value !== moving[i - 1]).length
    if (
      run >= minimumSamples &&
      run >= inside.length / 3 &&
      moving.length >= 10 &&
      changes >= moving.length / 2
    )
      return `The last ${run} readings of a window are the same after ${changes} changes: the sensor got stuck.`
  }
  return null
}

function endRun(values: readonly number[]): number {
  let run = 0
  while (run < values.length && values[values.length - 1 - run] === values.at(-1)) run++
  return run
}

function impossible({ series }: Evidence): string | null {
  const least = series.milliW.reduce((low, value) => (value < low ? value : low), 0)
  const { offsetMilliW, stepMilliW } = series.accuracy
  if (least < -2 * (offsetMilliW + stepMilliW) - 1)
    return `The sensor shows ${watts(least)}: power that a board takes is not negative.`
  return series.voltless > series.milliW.length * 0.05
    ? `${series.voltless} readings show a current at 0 V: the sensor’s bus voltage is not connected.`
    : null
}

function tooShort({ load, means }: Evidence): string | null {
  const short = means.find(
    ({ insideNs }, i) => insideNs < minimumWindowNs || insideNs < (load[i]!.toNs - load[i]!.fromNs) / 2,
  )
  if (!short) return null
  return `Of a window ${(short.insideNs / 1e9).toFixed(2)} s are left inside what sensor and clocks leave open; ${minimumWindowNs / 1e9} s and half of it are needed.`
}

function tooFew({ means, before, after }: Evidence): string | null {
  const load = means.reduce((sum, { independent }) => sum + independent, 0)
  const idle = before.independent + after.independent
  if (
    load >= minimumSamples &&
    idle >= minimumSamples &&
    Number.isFinite(before.scatterMilliW + after.scatterMilliW)
  )
    return means.every(({ scatterMilliW }) => Number.isFinite(scatterMilliW)) ? null : few(load, idle)
  return few(load, idle)
}

function few(load: number, idle: number): string {
  return `${load} samples under load and ${idle} idle are too few: ${minimumSamples} of each are needed, 15 in each window.`
}

function outOfBounds({ means, before, after, series, limitMilliW, duty }: Evidence): string | null {
  const most = Math.max(...means.map(({ milliW }) => milliW), before.milliW, after.milliW)
  const limit = Math.min(limitMilliW ?? anyBoardMilliW, series.accuracy.fullScaleMilliW ?? Infinity)
  if (most > limit * 1.2)
    return `The sensor shows ${watts(most)}, but no more than ${watts(limit)} can flow there: its unit or its shunt is not what its driver says.`
  const least = Math.min(...means.map(({ milliW }) => milliW), before.milliW, after.milliW)
  if (least < leastMilliW)
    return `The sensor shows ${watts(least)}, too little for a computer that runs: its unit or its shunt is not what its driver says.`
  const active = meanOf(means)
  const idle = (before.milliW + after.milliW) / 2
  const doubt = changeDoubt(series, means, before, after) + Math.abs(before.milliW - after.milliW) / 2
  return duty >= clearDuty && active < idle - doubt
    ? `The sensor shows less under load (${watts(active)}) than idle (${watts(idle)}): it does not feed the processor, or the board had other work.`
    : null
}

/** Alive, but not at what feeds the processor. */
function flat({ means, before, after, series, duty }: Evidence): string | null {
  if (duty < clearDuty) return null
  const active = meanOf(means)
  const idle = (before.milliW + after.milliW) / 2
  if (Math.abs(active - idle) > changeDoubt(series, means, before, after)) return null
  return `The sensor shows ${watts(active)} under load and ${watts(idle)} idle, no difference: it does not see the processor’s supply.`
}

/** What scatter, a step or half a percent explain of a difference. */
function changeDoubt(
  { accuracy }: PowerSeries,
  means: readonly MeanPower[],
  before: MeanPower,
  after: MeanPower,
): number {
  const scatter = Math.hypot(
    ...means.map(({ scatterMilliW }) => scatterMilliW / means.length),
    before.scatterMilliW / 2,
    after.scatterMilliW / 2,
  )
  return Math.max(scatter, accuracy.stepMilliW / 2, 0.005 * Math.max(before.milliW, after.milliW))
}

function inStep({ blindShare }: Evidence): string | null {
  if (blindShare <= mostBlind) return null
  return `Samples and inferences keep step: ${Math.round(blindShare * 100)} % of an inference was never sampled. Choose another --sample-rate.`
}

function meanOf(means: readonly MeanPower[]): number {
  return means.reduce((sum, { milliW }) => sum + milliW, 0) / means.length
}

function watts(milliW: number): string {
  const size = Math.abs(milliW)
  return size < 1
    ? `${milliW.toFixed(3)} mW`
    : size < 1000
      ? `${milliW.toFixed(0)} mW`
      : `${(milliW / 1000).toFixed(2)} W`
}
