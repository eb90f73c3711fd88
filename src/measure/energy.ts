import { expandedBounds, type SensorAccuracy } from './power/accuracy.ts'
import { type EnergyWindow, type MeanPower, meanPower } from './power/mean-power.ts'
import { largestGap, phasesIn } from './power/period.ts'
import { type NoFigure, refusalOf } from './power/plausible.ts'
import type { PowerSeries } from './power/series.ts'

/** A stretch in which inference ran, with how many. */
export interface LoadWindow extends EnergyWindow {
  readonly inferences: number
  /** When each began, as far as that is known; ascending, on the board's clock. */
  readonly startsNs: Float64Array
}

export interface EnergyInput {
  readonly series: PowerSeries
  readonly sync: { readonly kind: 'same-clock' | 'edge' | 'offset'; readonly boundNs: number }
  /** Load windows follow on inference of the same model; a board at rest stands before the first and after the last. */
  readonly idle: { readonly before: EnergyWindow; readonly after: EnergyWindow }
  readonly load: readonly LoadWindow[]
  /** Share of a load window in which inference ran: 1 flat out. */
  readonly duty: number
  /** What the board can take at most; null: not known. */
  readonly limitMilliW: number | null
}

/** Energy per inference; microjoules, halves of 95 % intervals. */
export interface EnergyFigure {
  readonly totalUj: number
  readonly uncertaintyUj: number
  /** Above what the board takes idle; null where idle was not measured after the load: nobody saw it drift. */
  readonly dynamic: { readonly uj: number; readonly uncertaintyUj: number } | null
  /** What the uncertainty of the total is made of, in microjoules. */
  readonly parts: {
    /** Scatter of the samples. */
    readonly scatterUj: number
    /** Peaks between samples that none of them met. */
    readonly unseenUj: number
    /** The sensor's gain, offset, steps and shunt. */
    readonly sensorUj: number
  }
  readonly activeMilliW: number
  readonly idleMilliW: { readonly before: number; readonly after: number }
  readonly samples: number
  readonly sampleHz: number
  readonly windowNs: number
  readonly inferences: number
  readonly syncBoundNs: number
}

export type EnergyOutcome =
  | { readonly state: 'measured'; readonly figure: EnergyFigure; readonly notes: readonly string[] }
  | ({ readonly state: 'none' } & NoFigure)

/** Peaks that no sample met are taken to be no higher than this many times the median sample. */
const peakRatio = 3

/**
 * Energy per inference from samples of power and windows of load: mean power over the inside of the windows, times
 * their length, by inferences. No figure where the samples do not support one, with the reason.
 *
 * The uncertainty joins scatter and sensor in quadrature (JCGM 100:2008, 5.1.2) and adds what peaks may hide between
 * samples: with n samples the share of time that none met is below 3 / n at 95 % ("rule of three", Hanley &
 * Lippman-Hand 1983), and no power above the highest sample, three times the median or the board's limit is expected
 * there. Samples that fall on the same part of every inference are found by their phases, and bounded by the part that
 * they left out.
 */
export function energyPerInference(input: EnergyInput): EnergyOutcome {
  const { series, idle } = input
  const boundNs = input.sync.boundNs
  const kept = input.load.filter((window) => covered(series, window, boundNs))
  const load = kept.length === 0 ? input.load : kept
  const means = load.map((window) => meanPower(series, window, boundNs))
  const before = meanPower(series, idle.before, boundNs)
  const after = covered(series, idle.after, boundNs) ? meanPower(series, idle.after, boundNs) : null
  const unseen = unseenShare(series, load, means)
  const refusal = refusalOf({
    ...input,
    load,
    covered: kept.length > 0,
    means,
    before,
    after: after ?? before,
    blindShare: unseen.blind,
  })
  if (refusal) return { state: 'none', ...refusal }
  const notes = [
    ...(kept.length < input.load.length
      ? [`Samples reach over ${kept.length} of ${input.load.length} windows of load: the figure is of those.`]
      : []),
    ...(after === null ? ['Idle was not measured after the load: there is no energy above idle.'] : []),
  ]
  return { state: 'measured', figure: figureOf(input, load, means, before, after, unseen.share), notes }
}

function figureOf(
  { series, sync, limitMilliW }: EnergyInput,
  load: readonly LoadWindow[],
  means: readonly MeanPower[],
  before: MeanPower,
  after: MeanPower | null,
  unseen: number,
): EnergyFigure {
  const windowNs = sum(load.map(({ fromNs, toNs }) => toNs - fromNs))
  const weights = load.map(({ fromNs, toNs }) => (toNs - fromNs) / windowNs)
  const inferences = sum(load.map((window) => window.inferences))
  const active = sum(means.map(({ milliW }, i) => milliW * weights[i]!))
  const scatter = Math.hypot(...means.map(({ scatterMilliW }, i) => scatterMilliW * weights[i]!))
  const peak = peakOf(series, means, limitMilliW)
  // where much is unseen it may as well be far below what was seen
  const hidden = unseen * Math.max(peak - active, unseen > 0.1 ? active : 0)
  const { shares, offsetMilliW, stepMilliW } = series.accuracy
  const sensor = expandedBounds([...shares.map((share) => share * active), offsetMilliW, stepMilliW / 2])
  const each = (milliW: number) => (milliW * windowNs * 1e-6) / inferences
  const samples = sum(means.map((mean) => mean.samples))
  const above = after && aboveIdle(series, active, before, after, limitMilliW)
  return {
    totalUj: each(active),
    uncertaintyUj: each(Math.hypot(scatter, sensor) + hidden),
    dynamic: above && {
      uj: each(above.milliW),
      uncertaintyUj: each(Math.hypot(scatter, above.random) + hidden + above.bound),
    },
    parts: { scatterUj: each(scatter), unseenUj: each(hidden), sensorUj: each(sensor) },
    activeMilliW: active,
    idleMilliW: { before: before.milliW, after: (after ?? before).milliW },
    samples,
    sampleHz: samples / (sum(means.map(({ insideNs }) => insideNs)) / 1e9),
    windowNs,
    inferences,
    syncBoundNs: sync.boundNs + series.lagNs,
  }
}

/** Power above idle, with what idle adds to its uncertainty: at random, and as a bound. */
function aboveIdle(
  series: PowerSeries,
  active: number,
  before: MeanPower,
  after: MeanPower,
  limitMilliW: number | null,
): { readonly milliW: number; readonly random: number; readonly bound: number } {
  const idle = (before.milliW + after.milliW) / 2
  const { shares, stepMilliW } = series.accuracy
  // an offset is the same with and without load
  const sensor = expandedBounds([
    ...shares.map((share) => share * (active - idle)),
    stepMilliW / 2,
    stepMilliW / 2,
  ])
  const hidden =
    shareByChance(series, [before, after]) * (peakOf(series, [before, after], limitMilliW) - idle)
  return {
    milliW: active - idle,
    random: Math.hypot(before.scatterMilliW / 2, after.scatterMilliW / 2, sensor),
    bound: hidden + Math.abs(before.milliW - after.milliW) / 2,
  }
}

/** Whether samples reach from a window's beginning to its end. */
function covered(
  { tNs, milliW, lagNs }: PowerSeries,
  { fromNs, toNs }: EnergyWindow,
  boundNs: number,
): boolean {
  const readable = [...tNs].filter((t, i) => t >= fromNs && t <= toNs && Number.isFinite(milliW[i]!))
  if (readable.length < 2) return false
  const spacing = (readable.at(-1)! - readable[0]!) / (readable.length - 1)
  const slack = 5 * spacing + lagNs + boundNs + 1e8
  return readable[0]! - fromNs <= slack && toNs - readable.at(-1)! <= slack
}

/** The share of an inference that samples may not have met, and how much of it is blindness of a beat. */
function unseenShare(
  series: PowerSeries,
  load: readonly LoadWindow[],
  means: readonly MeanPower[],
): { share: number; blind: number } {
  const byChance = shareByChance(series, means)
  const phases = load.flatMap(({ startsNs }, i) => [...phasesIn(startsNs, means[i]!.tNs)])
  const n = phases.length
  // a sensor that averages over whole inferences has no phase
  const cycle = meanCycle(load)
  if (n < 20 || series.seenShare === 1 || series.lagNs >= cycle) return { share: byChance, blind: 0 }
  const gap = largestGap(Float64Array.from(phases))
  // the largest gap of n independent phases exceeds this once in a hundred times
  const blind = gap > (Math.log(n) + 4.6) / n ? Math.max(0, gap - series.lagNs / cycle) : 0
  return { share: Math.max(byChance, blind), blind }
}

/** Less of the time than this was missed, at 95 %, by samples that fall anywhere. */
function shareByChance({ seenShare, cycleNs }: PowerSeries, means: readonly MeanPower[]): number {
  const independent = sum(means.map((mean) => mean.independent))
  const inside = sum(means.map(({ insideNs }) => insideNs))
  // of an averaging sensor that is read at every turn only the rest of its time is unseen
  const looked = cycleNs > 0 ? seenShare * Math.min(1, (independent * cycleNs) / inside) : seenShare
  return Math.min(1, (3 / Math.max(1, independent)) * (1 - looked))
}

function meanCycle(load: readonly LoadWindow[]): number {
  return (
    sum(load.map(({ fromNs, toNs }) => toNs - fromNs)) /
    Math.max(1, sum(load.map((window) => window.inferences)))
  )
}

function peakOf(series: PowerSeries, means: readonly MeanPower[], limitMilliW: number | null): number {
  const highest = series.milliW.reduce((most, value) => (value > most ? value : most), 0)
  const median = Math.max(...means.map(({ medianMilliW }) => medianMilliW))
  return Math.max(highest, Math.min(limitMilliW ?? Infinity, peakRatio * median))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

/**
 * A power meter beside the board, as its adapter delivers it: what `src/measure/meters` calls a series fits. Points are
 * in order of time and do not overlap.
 */
export interface ExternalPower {
  /** For people, e.g. `PPK2 at /dev/ttyACM0`. */
  readonly source: string
  /** Middle of each point on the host's monotonic clock, nanoseconds. */
  readonly atNs: Float64Array
  /** How long each point's mean reaches, around `atNs`; 0: a reading of one moment. */
  readonly spanNs: number
  readonly powerMilliW: Float64Array
  /** What the meter's accuracy leaves open in each point; of one sign in all. */
  readonly uncertaintyMilliW: Float64Array
  /** How far `atNs` may be off, all points together. */
  readonly clockBoundNs: number
  /** Samples that are missing. */
  readonly gaps: readonly { readonly atNs: number; readonly samples: number }[]
  /** Samples beyond what the meter can measure. */
  readonly overloads: number
  /** Why it ended before it was stopped. */
  readonly lost: string | null
}

/**
 * A meter's series on the board's clock.
 *
 * @param boardMinusHostNs board's CLOCK_MONOTONIC minus the host's
 */
export function externalSeries(meter: ExternalPower, boardMinusHostNs: number): PowerSeries {
  const n = meter.atNs.length
  const spacing = n < 2 ? 0 : (meter.atNs[n - 1]! - meter.atNs[0]!) / (n - 1)
  const share = (values: Float64Array) => values.reduce((total, value) => total + value, 0)
  const accuracy: SensorAccuracy = {
    shares: [share(meter.uncertaintyMilliW) / Math.max(1e-9, share(meter.powerMilliW))],
    offsetMilliW: 0,
    stepMilliW: 0,
    basis: 'datasheet',
    fullScaleMilliW: null,
  }
  return {
    tNs: meter.atNs.map((t) => t + boardMinusHostNs),
    milliW: meter.powerMilliW,
    raw: meter.powerMilliW,
    voltless: 0,
    accuracy,
    lagNs: meter.spanNs / 2,
    cycleNs: 0,
    seenShare: spacing > 0 && meter.spanNs >= 0.99 * spacing && meter.gaps.length === 0 ? 1 : 0,
  }
}
