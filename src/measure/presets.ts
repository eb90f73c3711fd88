import type { Bounds } from './plan.ts'

/** How long, and how, to measure. */
export interface PresetBounds {
  readonly warmup: Bounds
  /** Of each subject; of one window where there are several. */
  readonly measure: Bounds
  /** Of a session that times operators. */
  readonly profile: Bounds
  /** Measurements one after another, of which the median counts; 1 where all inferences are one. */
  readonly windows: number
  /** Its seconds are shared by the subjects in place of each having them all. */
  readonly shared: boolean
  /** Before the plan, the board is kept busy until latency holds its level, for so long at most. */
  readonly untilSteady: { readonly pieceSeconds: number; readonly maxSeconds: number } | null
}

/** Results of different presets are not compared. */
export const presets = {
  /** A first look: two seconds. */
  quick: {
    warmup: { minCount: 1, minSeconds: 0.2, maxCount: 1_000_000, maxSeconds: 5 },
    measure: { minCount: 10, minSeconds: 2, maxCount: 1_000_000, maxSeconds: 20 },
    profile: { minCount: 5, minSeconds: 0.2, maxCount: 200, maxSeconds: 5 },
    windows: 1,
    shared: false,
    untilSteady: null,
  },
  /** At least 100 inferences and 10 seconds, as MLPerf's LoadGen asks by default; 300 where time allows, so that p99 stands. */
  standard: {
    warmup: { minCount: 1, minSeconds: 0.5, maxCount: 1_000_000, maxSeconds: 10 },
    measure: { minCount: 300, minSeconds: 10, maxCount: 10_000_000, maxSeconds: 60 },
    profile: { minCount: 10, minSeconds: 0.5, maxCount: 500, maxSeconds: 10 },
    windows: 1,
    shared: false,
    untilSteady: null,
  },
  /** What the board does once it is as warm as it gets: half an hour, after a warm-up that ends where latency is steady. */
  sustained: {
    warmup: { minCount: 1, minSeconds: 0.5, maxCount: 1_000_000, maxSeconds: 10 },
    // no more inferences than the host keeps: a network of under 90 µs ends before its half hour
    measure: { minCount: 300, minSeconds: 1800, maxCount: 20_000_000, maxSeconds: 2400 },
    profile: { minCount: 10, minSeconds: 0.5, maxCount: 500, maxSeconds: 10 },
    windows: 1,
    shared: true,
    untilSteady: { pieceSeconds: 30, maxSeconds: 900 },
  },
  /** As MLPerf Tiny's runner measures: five windows of at least ten seconds and ten inferences, the median of the five. */
  tiny: {
    warmup: { minCount: 10, minSeconds: 0.5, maxCount: 1_000_000, maxSeconds: 10 },
    measure: { minCount: 10, minSeconds: 10, maxCount: 2_000_000, maxSeconds: 60 },
    profile: { minCount: 10, minSeconds: 0.5, maxCount: 500, maxSeconds: 10 },
    windows: 5,
    shared: false,
    untilSteady: null,
  },
} as const satisfies Record<string, PresetBounds>

export type Preset = keyof typeof presets

export const presetNames = Object.keys(presets) as [Preset, ...Preset[]]
