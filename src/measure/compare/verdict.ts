import { type BlockFigures, type LatencyMetric, latencyMetrics } from './blocks.ts'
import { fewestPairs, signedRank } from './signed-rank.ts'

/** How one arm stands to another in one figure; changes are shares of the first: 0.03 is 3 % more. */
export interface Change {
  readonly estimate: number
  /** 95 % interval; null where the blocks are too few for one. */
  readonly interval: { readonly low: number; readonly high: number } | null
  /** Null where there are no pairs to test: against a baseline. */
  readonly pValue: number | null
}

/**
 * `equal`: the whole interval lies inside the band. `undecided`: neither a difference nor its absence is proved.
 * `unproven`: this device tells two loads of the same network apart, so that it cannot judge.
 */
export type Verdict = 'slower' | 'faster' | 'equal' | 'undecided' | 'unproven'

export interface LatencyComparison {
  readonly verdict: Verdict
  /** One sentence. */
  readonly reason: string
  readonly blocks: number
  /** What counts as no difference, a share. */
  readonly band: number
  /** What a difference must exceed: the band, or twice what two loads of the same network differed by where that is more. */
  readonly floor: number
  /** B against A; a figure that the inferences do not support is null. */
  readonly changes: Readonly<Record<LatencyMetric, Change | null>>
  /** A loaded a second time, against A. */
  readonly control: Readonly<Record<LatencyMetric, Change | null>>
}

export interface ComparedArms {
  readonly a: BlockFigures
  readonly b: BlockFigures
  /** A, loaded a second time. */
  readonly control: BlockFigures
}

/** The one figure that the verdict rests on: with several, one of them would differ by chance too often. */
export const headline = 'p50' satisfies LatencyMetric

/** Share of comparisons of equals that may be found to differ. */
export const testLevel = 0.05

/** What counts as no difference unless said otherwise. */
export const defaultBand = 0.01

/** Judges B against A by blocks, with A loaded twice as the control. */
export function compareLatency(arms: ComparedArms, band = defaultBand): LatencyComparison {
  const changes = changesOf(arms.a, arms.b)
  const control = changesOf(arms.a, arms.control)
  const blocks = arms.a[headline]!.length
  const floor = floorOf(band, control[headline]!)
  return {
    ...judge(changes[headline]!, control[headline]!, blocks, band, floor),
    blocks,
    band,
    floor,
    changes,
    control,
  }
}

/** The level of a figure by blocks and its 95 % interval, nanoseconds. */
export function levelOf(figures: readonly number[]): {
  readonly estimate: number
  readonly interval: Change['interval']
} {
  const { estimate, interval } = signedRank(figures.map(Math.log), testLevel)
  return {
    estimate: Math.exp(estimate),
    interval: interval && { low: Math.exp(interval.low), high: Math.exp(interval.high) },
  }
}

/** True where the test tells the two apart. */
export function differs({ interval, pValue }: Change): boolean {
  if (interval === null || (pValue !== null && pValue > testLevel)) return false
  return interval.low > 0 || interval.high < 0
}

function changesOf(first: BlockFigures, second: BlockFigures): Record<LatencyMetric, Change | null> {
  return Object.fromEntries(
    latencyMetrics.map((metric) => [metric, changeOf(first[metric], second[metric])]),
  ) as Record<LatencyMetric, Change | null>
}

/** Pairs by block: what slowed a whole block slowed both. Ratios, so in logarithms. */
function changeOf(first: readonly number[] | null, second: readonly number[] | null): Change | null {
  if (!first || !second) return null
  const { estimate, interval, pValue } = signedRank(
    first.map((value, block) => Math.log(second[block]! / value)),
    testLevel,
  )
  return {
    estimate: Math.expm1(estimate),
    interval: interval && { low: Math.expm1(interval.low), high: Math.expm1(interval.high) },
    pValue,
  }
}

/** Twice what two loads of the same network differed by: no smaller difference is a network's own. */
function floorOf(band: number, { estimate }: Change): number {
  return Math.max(band, 2 * Math.abs(estimate))
}

/** The verdict of a change, given that of the control. */
export function judge(
  change: Change,
  control: Change,
  blocks: number,
  band: number,
  floor: number,
): { verdict: Verdict; reason: string } {
  const { estimate, interval } = change
  if (interval === null)
    return {
      verdict: 'undecided',
      reason:
        blocks < fewestPairs(testLevel)
          ? `${blocks} blocks cannot prove anything at ${percent(testLevel)}: it takes ${fewestPairs(testLevel)}.`
          : 'The baseline states no interval, so that nothing can be proved against it.',
    }
  if (differs(control) && Math.abs(control.estimate) > band)
    return {
      verdict: 'unproven',
      reason: `The same network loaded a second time differs by ${signed(control.estimate)} (${range(control.interval!)}): this device cannot judge a difference now.`,
    }
  if (differs(change) && Math.abs(estimate) > floor)
    return {
      verdict: estimate > 0 ? 'slower' : 'faster',
      reason: `B takes ${percent(Math.abs(estimate))} ${moreOrLess(estimate)} time (95 %: ${sizes(interval)}${written(change)}, ${blocks} blocks).`,
    }
  if (interval.low >= -band && interval.high <= band)
    return {
      verdict: 'equal',
      reason: `The difference lies inside ±${percent(band)} (95 %: ${range(interval)}, ${blocks} blocks).`,
    }
  return { verdict: 'undecided', reason: undecided(change, band, floor) }
}

function undecided(change: Change, band: number, floor: number): string {
  const { estimate, interval, pValue } = change
  const seen = `${signed(estimate)} (95 %: ${range(interval!)}${written(change)})`
  if (!differs(change)) return `Nothing is proved: ${seen}.`
  if (Math.abs(estimate) <= band) return `A difference of ${seen}, but it may lie inside ±${percent(band)}.`
  return `A difference of ${seen}, but here only more than ${percent(floor)} counts${pValue === null ? ' against figures of another day' : ': two loads of the same network differed by half of it'}.`
}

function written({ pValue }: Change): string {
  return pValue === null ? '' : `; p = ${pValue.toPrecision(2)}`
}

function moreOrLess(share: number): string {
  return share < 0 ? 'less' : 'more'
}

/** Of an interval without zero: both ends in the direction that the sentence has named, the smaller one first. */
function sizes({ low, high }: { low: number; high: number }): string {
  const [near, far] = [Math.abs(low), Math.abs(high)].toSorted((a, b) => a - b)
  return `${percent(near!)} to ${percent(far!)} ${moreOrLess(low)}`
}

function range({ low, high }: { low: number; high: number }): string {
  return `${signed(low)} to ${signed(high)}`
}

function signed(share: number): string {
  const text = percent(Math.abs(share))
  return /[1-9]/.test(text) ? `${share < 0 ? '−' : '+'}${text}` : `±${text}`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(Math.abs(share) < 0.0995 ? 2 : 1)} %`
}
