/** A change of a logic pin that a meter samples beside power. */
export interface MeterEdge {
  readonly pin: number
  readonly rising: boolean
  /** Host's monotonic clock. */
  readonly atNs: number
}

/**
 * What a meter measured, on the monotonic clock of this computer. A point is either one reading or the mean of `count`
 * samples that fill `spanNs`; points are in order of time and do not overlap.
 */
export interface MeterSeries {
  /** Meter and mode, e.g. `PPK2 as ampere meter`. */
  readonly source: string
  /** Middle of each point. */
  readonly atNs: Float64Array
  /** How long each point's mean reaches, around `atNs`; 0: a reading of one moment. */
  readonly spanNs: number
  readonly powerMilliW: Float64Array
  /** Least and most of a point's samples. */
  readonly minMilliW: Float64Array
  readonly maxMilliW: Float64Array
  /** What the meter's own accuracy leaves open in each point; the same sign in all of them, so it does not average out. */
  readonly uncertaintyMilliW: Float64Array
  /** Samples behind each point. */
  readonly count: Uint32Array
  /** How far `atNs` may be from the truth, all points together. */
  readonly clockBoundNs: number
  /** Samples a second, as measured. */
  readonly sampleHz: number
  readonly edges: readonly MeterEdge[]
  /** Where samples are missing, and how many: nothing is filled in. */
  readonly gaps: readonly { readonly atNs: number; readonly samples: number }[]
  /** Samples beyond what the meter can measure; what comes after the first is not to be trusted. */
  readonly overloads: number
  readonly firstOverloadNs: number | null
  /** `own`: times count from a zero of the recording's own, so that only an edge puts them on a clock. */
  readonly timeBase: 'host' | 'own'
  /** Why it ended before it was stopped; what is here was measured before that. */
  readonly lost: string | null
}

/**
 * A power meter outside the board. Opening one is the adapter's own function; whoever opened it closes it, also after
 * a failure.
 */
export interface Meter {
  /** For messages: `PPK2 at /dev/ttyACM0`. */
  readonly name: string
  /** Between two points, as far as that is known beforehand; 0: not. */
  readonly periodMs: number
  /** Begins to sample; resolves once samples come. */
  start(): Promise<void>
  /** Ends sampling. A meter that was lost before gives what it measured until then. */
  stop(): Promise<MeterSeries>
  /** Gives the port or the program back; may be called at any time, more than once, and never fails. */
  close(): Promise<void>
}

/** This computer's monotonic clock: CLOCK_MONOTONIC on Linux, as the runner's events. */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint())
}
