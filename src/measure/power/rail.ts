/** A sysfs file that holds one number, and what one of it is worth. */
export interface RailFile {
  readonly path: string
  /** Millivolts, milliamperes or milliwatts in one unit of the file. */
  readonly unit: number
  /** Of the file when the board was surveyed, in milliunits; null where it could not be read. */
  readonly live: number | null
}

/** One electrical path that a sensor on the board measures. */
export interface Rail {
  /** Chip, where it sits and its channel: `ina3221@1-0040:1`. Unique on a board. */
  readonly id: string
  /** What the board's makers call it, e.g. `VDD_IN`; null where they gave no name. */
  readonly label: string | null
  readonly chip: string
  readonly milliV: RailFile | null
  readonly milliA: RailFile | null
  /** The chip's own product of both, where it has one. */
  readonly milliW: RailFile | null
  readonly shunt: { readonly microOhm: number; readonly basis: 'sysfs' | 'assumed' } | null
  /** Time of one round of conversions; values do not change in between. */
  readonly cycleMs: number
  /** Current at which the board's own alarm stands, where it has one. */
  readonly criticalMilliA: number | null
}

/** What a board says of its power sensors. */
export interface PowerSurvey {
  readonly rails: readonly Rail[]
  /** Sensors that are no measurement of the board, and why. */
  readonly skipped: readonly { readonly what: string; readonly why: string }[]
  /** Raspberry Pi 5: where `vcgencmd` is and what `pmic_read_adc` printed; null where the board has none. */
  readonly pmic: { readonly command: string; readonly output: string } | null
}

export function railName(rail: Rail): string {
  return rail.label ?? rail.id
}

/** Power now in milliwatts; null where it cannot be read. */
export function livePower({ milliV, milliA, milliW }: Rail): number | null {
  if (milliV?.live != null && milliA?.live != null) return (milliV.live * milliA.live) / 1000
  return milliW?.live ?? null
}
