/**
 * The runner's protocol: one plan (JSON, one document) in, sequenced JSON lines out. Paths are absolute on the board.
 * An artifact is loaded before its first step and released after its last; one without a step is loaded and released.
 * The runner (runner/*.c) implements exactly this file; statistics are made on the host from raw samples.
 */

/** Which kind of runtime library it is; `litert` takes LiteRT's own and any with TFLite's C API. */
export type Backend = 'onnxruntime' | 'litert'

/** A TFLite delegate from a shared library, such as libedgetpu.so.1; it needs a runtime library with TFLite's C API. */
export interface PlanDelegate {
  readonly library: string
  /** As the delegate documents them, e.g. `device: usb:0`. */
  readonly options: Readonly<Record<string, string>>
}

export interface PlanArtifact {
  readonly id: string
  readonly backend: Backend
  /** Shared library to open: a path, or a name that the board's loader finds. */
  readonly library: string
  /** `litert` only. */
  readonly delegate?: PlanDelegate
  readonly model: string
  /** Intra-op threads. */
  readonly threads: number
  /** CPUs to pin to; empty leaves it to the scheduler. */
  readonly affinity: readonly number[]
  /** Per-operator times are taken in this session (it slows it: measure latency in another). */
  readonly profile: boolean
  /** Tensor files by input position (raw little-endian bytes); empty: seeded random inputs. */
  readonly inputs: readonly string[]
  /** Shapes by input position; absent: the model's own, with 1 for every dimension it leaves open. */
  readonly shapes?: readonly (readonly number[])[]
  readonly seed: number
}

/** Four bounds: at least minCount and at least minSeconds, never past maxSeconds or maxCount; the run under way is finished. */
export interface Bounds {
  readonly minCount: number
  readonly minSeconds: number
  readonly maxCount: number
  readonly maxSeconds: number
}

/**
 * Electrical power, or what it is computed from, read on the board: files read one right after another, or a command
 * whose output is parsed on the host. Sampled only in steps that say so: reading a sensor costs the board time.
 */
export interface PlanMeter {
  /** A plain word, e.g. `ina3221-1-VDD_IN`. */
  readonly name: string
  /** One sample is a number from each, in this order; at most 8. Empty where there is a command. */
  readonly paths: readonly string[]
  /** argv, at most 16 words; one sample is what it prints, at most 8 KiB. */
  readonly command?: readonly string[]
  readonly periodMs: number
}

/** Of any step. */
interface Metered {
  /** Sample the plan's meters, and hold its marker at 1, while the step runs. */
  readonly meters?: boolean
}

export type PlanStep = Metered & PlanWork

type PlanWork =
  /** First inference apart, then warm-up. */
  | ({ readonly do: 'warmup'; readonly artifact: string } & Bounds)
  /** Raw per-inference nanoseconds; `rateHz` 0 is flat out. */
  | ({ readonly do: 'measure'; readonly artifact: string; readonly rateHz: number } & Bounds)
  /**
   * Alternates artifacts in the given order, `block` inferences each, until the bounds are met for each. Rounds are
   * whole except where maxSeconds cuts one; an artifact's seconds are those of its own turns. One may stand there twice.
   */
  | ({ readonly do: 'interleave'; readonly artifacts: readonly string[]; readonly block: number } & Bounds)
  /**
   * Inference on samples: `input` files hold `count` tensors one after another, one file per input; outputs are
   * written the same way to `output` files, one per output.
   */
  | {
      readonly do: 'infer'
      readonly artifact: string
      readonly inputs: readonly string[]
      readonly outputs: readonly string[]
      readonly count: number
    }
  /** Samples the board's conditions and does nothing else. */
  | { readonly do: 'idle'; readonly seconds: number }

export interface Plan {
  readonly schema: 1
  readonly artifacts: readonly PlanArtifact[]
  readonly steps: readonly PlanStep[]
  /** Sysfs files read on the same clock while steps run (temperature, clocks), with their period. */
  readonly sensors: readonly { readonly name: string; readonly path: string }[]
  readonly sensorPeriodMs: number
  readonly meters?: readonly PlanMeter[]
  /** A file that is 1 while a metered step runs, else 0: a GPIO's value or a LED's brightness, which a meter outside sees. */
  readonly marker?: string
}

/** Lines of the runner. `seq` counts from 0 without gaps; `t` is CLOCK_MONOTONIC nanoseconds. */
export type RunnerEvent = { readonly seq: number; readonly t: number } & (
  | { readonly type: 'hello'; readonly runner: string; readonly pid: number; readonly schema: 1 }
  | {
      readonly type: 'loaded'
      readonly artifact: string
      readonly runtime: string
      readonly loadNs: number
      readonly rssBytes: number
      /** Inputs as bound; outputs as declared, with −1 for a dimension the model leaves open and `other` for no tensor. */
      readonly inputs: readonly { name: string; dtype: string; shape: readonly number[] }[]
      readonly outputs: readonly { name: string; dtype: string; shape: readonly number[] }[]
      /** Where one is at work; `version` is what an Edge TPU's library says of itself. */
      readonly delegate?: { readonly library: string; readonly version: string | null }
    }
  | { readonly type: 'step'; readonly index: number; readonly do: PlanStep['do']; readonly artifact?: string }
  /** The session's first inference, in whatever step it fell; it is no part of that step's latencies. */
  | { readonly type: 'first'; readonly artifact: string; readonly ns: number }
  /** A batch of raw latencies, in order; `at` is the start of the first. */
  | {
      readonly type: 'latency'
      readonly step: number
      readonly artifact: string
      readonly at: number
      readonly ns: readonly number[]
    }
  | { readonly type: 'sensor'; readonly name: string; readonly value: number }
  /**
   * A batch of samples of a meter's files. `at` is when the first file of a sample began to be read, `spent` how long
   * all of it took (ns), `values` a row a sample, null where a file held no number.
   */
  | {
      readonly type: 'meter'
      readonly step: number
      readonly name: string
      readonly at: readonly number[]
      readonly spent: readonly number[]
      readonly values: readonly (readonly (number | null)[])[]
    }
  /** What a meter's command printed; `at` is its start; `exit` −1 where it could not be run or was ended. */
  | {
      readonly type: 'reading'
      readonly step: number
      readonly name: string
      readonly at: number
      readonly spent: number
      readonly exit: number
      readonly text: string
    }
  /** The runtime's own profile, beside the events file. */
  | { readonly type: 'operators'; readonly artifact: string; readonly file: string }
  /** Samples done so far, about once a second; the last one has them all. */
  | { readonly type: 'inferred'; readonly step: number; readonly count: number }
  | { readonly type: 'done'; readonly step: number; readonly count: number; readonly elapsedNs: number }
  | { readonly type: 'memory'; readonly peakRssBytes: number; readonly rssBytes: number }
  | { readonly type: 'error'; readonly code: string; readonly message: string }
  | { readonly type: 'end' }
)
