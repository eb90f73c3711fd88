/** What a board says of its heat, clocks, supply and load at one moment; null where it did not say. */
export interface BoardSurvey {
  /** What emulates the board, as far as it shows: its absolute times are then not a board's. */
  readonly emulator: string | null
  readonly zones: readonly ThermalZone[]
  readonly policies: readonly ClockPolicy[]
  readonly gauges: readonly ThrottleGauge[]
  /** nvpmodel; null where the board has none. */
  readonly powerMode: PowerModes | null
  /** Share of all CPUs that was busy while nothing of ours ran. */
  readonly busyShare: number | null
  readonly loadAverage: number | null
  readonly availableMemoryBytes: number | null
  /** Megabits a second of each Edge TPU on USB: 480 is USB 2. */
  readonly edgeTpuLinks: readonly number[]
  readonly hasJetsonClocks: boolean
  /** How the governor may be written; null where it was not asked. */
  readonly mayPin: 'direct' | 'sudo' | 'no' | null
}

export interface ThermalZone {
  /** Of the file that holds the temperature. */
  readonly path: string
  /** The driver's name for it, e.g. `cpu-thermal`. */
  readonly type: string
  readonly milliC: number
  /** From where on the kernel slows the board (a passive trip point). */
  readonly limitMilliC: number | null
}

/** CPUs that share one clock. */
export interface ClockPolicy {
  /** `/sys/devices/system/cpu/cpufreq/policy0`. */
  readonly folder: string
  /** `policy0`. */
  readonly name: string
  readonly cpus: readonly number[]
  readonly governor: string | null
  readonly governors: readonly string[]
  readonly currentKHz: number | null
  readonly minKHz: number | null
  /** What the governor may use now; the kernel lowers it when it gets hot. */
  readonly maxKHz: number | null
  readonly hardwareMaxKHz: number | null
}

export type ThrottleKind = 'underVoltage' | 'frequencyCapped' | 'throttled' | 'softTemperatureLimit'

/** One thing that tells that a board is held back. */
export interface ThrottleGauge {
  /** Where it was read, for people: `vcgencmd get_throttled`. */
  readonly source: string
  readonly kind: ThrottleKind
  /** A counter tells by rising, a state by not being zero. */
  readonly counts: boolean
  readonly value: number
  /** Of a file that can be read while the board is measured. */
  readonly path: string | null
}

export interface PowerModes {
  /** Ids differ from module to module: modes are named. Null where the current one is not in the list. */
  readonly current: PowerMode | null
  readonly modes: readonly PowerMode[]
}

export interface PowerMode {
  readonly id: number
  readonly name: string
}
