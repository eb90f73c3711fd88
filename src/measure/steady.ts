import { type LevelShift, seriesNoise, standardError, strongestShift } from './change-point.ts'
import { robustDeviation } from './spread.ts'
import { findStalls, type StallCluster } from './stalls.ts'
import { median, nearestRank } from './statistics.ts'
import { trendOf } from './trend.ts'

/** Whether latency held its level while it was measured. */
export interface Steadiness {
  /**
   * `steady`: a change of 5 % would have been found and was not. `drifting`: one was found. `unknown`: too few inferences,
   * or too much noise, to tell.
   */
  readonly state: 'steady' | 'drifting' | 'unknown'
  /** Relative change of the median in a minute (Theil–Sen), negative where it gets faster; null where it cannot be told. */
  readonly slopePerMinute: number | null
  /** The strongest change of level: when it came, and the level from then on divided by that before. */
  readonly shift: { readonly atNs: number; readonly ratio: number } | null
  /** What was seen, in one sentence. */
  readonly sentence: string
}

/** A change of the median below it is no drift, however certain it is. */
const toleratedChange = 0.03
/** `steady` is said only where a change as large as this would have been found. */
const largestChange = 0.05
/** Numbers of windows, finest first. */
const resolutions = [48, 24, 12] as const
/** A level that holds for a shorter part of the run is none. */
const leastPiece = 1 / 24
const leastPerWindow = 5
/** Standard errors beyond which the strongest of all pieces is no chance; and how far a true change may fall short of its size. */
const shiftScore = 4.3
const shiftMargin = 1.7
/** Standard deviations of Mann–Kendall's S: 0.1 %, two-sided. */
const trendScore = 3.3
/** Stalls that take less of the time than this change no figure enough to speak of. */
const stallShare = 0.03
/** Robust standard deviations, and share of the median, by which an inference is longer than the median at least. */
const stallDeviations = 10
const stallExcess = 0.2
/** Fewer stalls tell nothing about when they come; a board that loses more of its time to them is held up, evenly or not. */
const fewStalls = 16
const heldUpShare = 0.1
/** Log-likelihood ratio beyond which the strongest of all pieces is no chance. */
const stallRatio = 10

interface Windows {
  readonly edges: readonly number[]
  /** Natural logarithm of each window's median: levels are compared by ratio. */
  readonly level: Float64Array
  /** When each began, and when the last inference did. */
  readonly startNs: Float64Array
}

/** What makes a run drift. */
interface Finding {
  readonly shift: Steadiness['shift']
  readonly sentence: string
}

/**
 * Whether latency was steady, from every inference in the order in which they ran: medians of windows of equal counts are
 * searched for a piece of another level (a step, a dip, one of many) and for a trend, and the stalls between them for a
 * time when they were more frequent. A board that is slowed in mid-run is not steady, whether by its clock (every
 * inference takes longer) or by being stopped now and then (some do).
 *
 * @param latencyNs Raw latencies.
 * @param startNs When each began, on one clock; of the same length. Gaps (another artifact's turns) do no harm.
 */
export function steadiness(latencyNs: ArrayLike<number>, startNs: ArrayLike<number>): Steadiness {
  const n = latencyNs.length
  const usable = resolutions.filter((windows) => n >= windows * leastPerWindow)
  if (usable.length === 0)
    return unknown(
      null,
      `${n === 1 ? 'One inference is' : `${n} inferences are`} too few to tell whether latency was steady.`,
    )
  const medianNs = median(latencyNs)
  if (!(medianNs > 0)) return unknown(null, 'The clock is too coarse to tell whether latency was steady.')
  const divided = usable.map((windows) => windowsOf(latencyNs, startNs, windows))
  const judged = divided.map((windows) => judgeLevels(windows, latencyNs))
  const { slopePerMinute } = judged[0]!
  const stalls = judgeStalls(divided[0]!, latencyNs, medianNs)
  const finding = judged.find(({ finding }) => finding !== null)?.finding ?? stalls.finding
  if (finding) return { state: 'drifting', slopePerMinute, ...finding }
  if (stalls.doubt) return unknown(slopePerMinute, stalls.doubt)
  const detectable = Math.min(...judged.map(({ detectable }) => detectable))
  if (detectable > largestChange)
    return unknown(
      slopePerMinute,
      `Latency scatters too much to tell: in ${n} inferences a change of less than ${percent(detectable)} would not show.`,
    )
  const seconds = (startNs[n - 1]! - startNs[0]!) / 1e9
  return {
    state: 'steady',
    slopePerMinute,
    shift: null,
    sentence: `No change of ${percent(largestChange)} or more in ${n} inferences over ${seconds.toPrecision(3)} s${stalls.remark}.`,
  }
}

function unknown(slopePerMinute: number | null, sentence: string): Steadiness {
  return { state: 'unknown', slopePerMinute, shift: null, sentence }
}

function windowsOf(latencyNs: ArrayLike<number>, startNs: ArrayLike<number>, count: number): Windows {
  const n = latencyNs.length
  const edges = Array.from({ length: count + 1 }, (_, i) => Math.floor((i * n) / count))
  return {
    edges,
    // one nanosecond at least: a clock may not have ticked within a window
    level: Float64Array.from({ length: count }, (_, i) =>
      Math.log(Math.max(1, nearestRank(sortedPart(latencyNs, edges[i]!, edges[i + 1]!), 0.5))),
    ),
    startNs: Float64Array.from(edges, (edge) => startNs[Math.min(edge, n - 1)]!),
  }
}

/** What the medians of windows tell, and the smallest change that would surely have been found in them. */
function judgeLevels(
  windows: Windows,
  latencyNs: ArrayLike<number>,
): { finding: Finding | null; detectable: number; slopePerMinute: number | null } {
  const { level, startNs, edges } = windows
  const count = level.length
  const least = leastPieceOf(count)
  const noise = seriesNoise(level, medianError(latencyNs, edges))
  const tolerated = Math.log1p(toleratedChange)
  const shift = strongestShift(level, noise, least, tolerated)
  const trend = trendOf(startNs.subarray(0, count), level, noise.autocorrelation)
  const slopePerMinute = trend === null ? null : Math.expm1(trend.slope * 60e9)
  const error = standardError(noise, least, count - least)
  const detectable = Math.expm1(Math.max(tolerated, (shiftScore + shiftMargin) * error))
  const change = trend === null ? 0 : trend.slope * (startNs[count]! - startNs[0]!)
  const trending = trend !== null && Math.abs(trend.score) > trendScore && Math.abs(change) >= tolerated
  if (shift !== null && shift.score > shiftScore)
    return { finding: ofShift(shift, windows, trending), detectable, slopePerMinute }
  const finding = trending
    ? {
        shift: null,
        sentence: `The median went ${change > 0 ? 'up' : 'down'} by ${percent(Math.abs(Math.expm1(change)))} from the first inference to the last.`,
      }
    : null
  return { finding, detectable, slopePerMinute }
}

function ofShift(
  { from, to, difference }: LevelShift,
  { level, startNs }: Windows,
  trending: boolean,
): Finding {
  const begins = from === 0 ? to : from
  const ratio = Math.exp(from === 0 ? -difference : difference)
  const at = `${secondsInto(startNs, begins)} s of ${secondsInto(startNs, level.length)} s`
  const back = from > 0 && to < level.length ? `, until ${secondsInto(startNs, to)} s` : ''
  return {
    shift: { atNs: startNs[begins]!, ratio },
    sentence: `Latency was ${percent(Math.abs(ratio - 1))} ${ratio > 1 ? 'higher' : 'lower'} from ${at} on${back}${trending ? ', as part of a trend' : ''}.`,
  }
}

/** Stalls that come in a part of the run only make it drift; a few long ones leave it in doubt; others are a remark. */
function judgeStalls(
  windows: Windows,
  latencyNs: ArrayLike<number>,
  medianNs: number,
): { finding: Finding | null; doubt: string | null; remark: string } {
  const above = medianNs + Math.max(stallDeviations * robustDeviation(latencyNs), stallExcess * medianNs)
  const count = windows.level.length
  const stalls = findStalls(latencyNs, windows.edges, medianNs, above, leastPieceOf(count))
  const took = `${stalls.count === 1 ? 'one stall' : `${stalls.count} stalls`} took ${percent(stalls.timeShare)} of the time`
  const { cluster } = stalls
  const matters = cluster !== null && Math.abs(cluster.addedInside - cluster.addedOutside) >= stallShare
  if (matters && cluster.logLikelihoodRatio > stallRatio)
    return { finding: ofStalls(cluster, windows), doubt: null, remark: '' }
  if (stalls.timeShare < stallShare) return { finding: null, doubt: null, remark: '' }
  const begun = `${took[0]!.toUpperCase()}${took.slice(1)}`
  if (stalls.timeShare >= heldUpShare)
    return { finding: null, doubt: `${begun}: something else holds the board up.`, remark: '' }
  if (stalls.effectiveCount < fewStalls && stalls.timeShare >= largestChange)
    return { finding: null, doubt: `${begun}: too few to tell whether they come evenly.`, remark: '' }
  return { finding: null, doubt: null, remark: `; ${took}` }
}

function ofStalls(
  { from, to, addedInside, addedOutside }: StallCluster,
  { level, startNs }: Windows,
): Finding {
  const begins = from === 0 ? to : from
  const [before, since] = from === 0 ? [addedInside, addedOutside] : [addedOutside, addedInside]
  const back = from > 0 && to < level.length ? `, until ${secondsInto(startNs, to)} s` : ''
  return {
    shift: { atNs: startNs[begins]!, ratio: (1 + since) / (1 + before) },
    sentence: `Stalls added ${percent(since)} to the median time from ${secondsInto(startNs, begins)} s of ${secondsInto(startNs, level.length)} s on${back}, and ${percent(before)} otherwise.`,
  }
}

function leastPieceOf(windows: number): number {
  return Math.max(1, Math.ceil(windows * leastPiece))
}

/**
 * Standard error of a window's median in logarithms, as the scatter inside windows tells it: half of what lies between the
 * order statistics one standard error below and above. It keeps a coarse clock, or two modes, from looking
 * like no noise at all.
 */
function medianError(latencyNs: ArrayLike<number>, edges: readonly number[]): number {
  const errors = Float64Array.from({ length: edges.length - 1 }, (_, i) => {
    const sorted = sortedPart(latencyNs, edges[i]!, edges[i + 1]!)
    const error = 0.5 / Math.sqrt(sorted.length)
    const [low, high] = [nearestRank(sorted, 0.5 - error), nearestRank(sorted, 0.5 + error)]
    return Math.log(Math.max(1, high) / Math.max(1, low)) / 2
  })
  return Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length)
}

function sortedPart(values: ArrayLike<number>, from: number, to: number): Float64Array {
  return Float64Array.from({ length: to - from }, (_, i) => values[from + i]!).sort()
}

function secondsInto(startNs: Float64Array, window: number): string {
  return ((startNs[window]! - startNs[0]!) / 1e9).toPrecision(3)
}

function percent(share: number): string {
  return `${(share * 100).toPrecision(share < 0.1 ? 2 : 3)} %`
}
