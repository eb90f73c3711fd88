import { createSamples } from '../samples.ts'
import type { MeterEdge, MeterSeries } from './types.ts'

/** Samples of power as another program gives them, one by one. */
export interface Recording {
  add(atNs: number, milliW: number): void
  readonly length: number
  series(about: RecordingFacts): MeterSeries
}

export interface RecordingFacts {
  readonly source: string
  /** The share that the meter's maker, or the user, says. */
  readonly accuracyShare: number
  readonly clockBoundNs: number
  readonly timeBase: MeterSeries['timeBase']
  readonly edges: readonly MeterEdge[]
  readonly lost: string | null
}

/** At most this many samples of another program are kept. */
export const maxRecorded = 5_000_000

/** Keeps samples in order of time; one that goes back in time is dropped by the caller. */
export function createRecording(): Recording {
  const times = createSamples()
  const values = createSamples()
  return {
    add(atNs, milliW) {
      times.push([atNs])
      values.push([milliW])
    },
    get length() {
      return times.length
    },
    series({ accuracyShare, ...about }) {
      const atNs = times.array()
      const powerMilliW = values.array()
      const span = atNs.length > 1 ? atNs.at(-1)! - atNs[0]! : 0
      return {
        ...about,
        atNs,
        spanNs: 0,
        powerMilliW,
        minMilliW: powerMilliW,
        maxMilliW: powerMilliW,
        uncertaintyMilliW: powerMilliW.map((milliW) => Math.abs(milliW) * accuracyShare),
        count: new Uint32Array(atNs.length).fill(1),
        sampleHz: span > 0 ? ((atNs.length - 1) * 1e9) / span : 0,
        gaps: [],
        overloads: 0,
        firstOverloadNs: null,
      }
    },
  }
}

/** Where the wall clock stands to the monotonic one, and how far that is known. */
export interface WallClock {
  readonly monotonicMinusWallNs: number
  readonly boundNs: number
}

/** Between two readings of both clocks: what was set or slewed meanwhile is in the bound. */
export function wallClock(
  before: readonly [wallNs: number, monotonicNs: number],
  after: typeof before,
): WallClock {
  const offsets = [before, after].map(([wall, monotonic]) => monotonic - wall)
  const [low, high] = [Math.min(...offsets), Math.max(...offsets)]
  // the wall clock is read in milliseconds
  return { monotonicMinusWallNs: (low + high) / 2, boundNs: (high - low) / 2 + 1e6 }
}
