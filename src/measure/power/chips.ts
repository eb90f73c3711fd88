/** What a power monitor's datasheet promises at 25 °C: steps of its registers and the largest errors. */
export interface ChipFacts {
  readonly shunt: { readonly stepUv: number; readonly offsetUv: number; readonly gainShare: number }
  readonly bus: { readonly stepMv: number; readonly offsetMv: number; readonly gainShare: number }
  /** Shunt voltage at which the converter is at its end. */
  readonly fullScaleUv: number
  /** Time of one round of conversions as its Linux driver sets it up, where sysfs does not tell. */
  readonly cycleMs: number
  /** Share of that time in which the current is looked at; the rest goes to bus voltage and other channels. */
  readonly currentShare: number
  readonly datasheet: string
}

const ina226: ChipFacts = {
  shunt: { stepUv: 2.5, offsetUv: 10, gainShare: 0.001 },
  bus: { stepMv: 1.25, offsetMv: 7.5, gainShare: 0.001 },
  fullScaleUv: 81_920,
  // 16 averages of 1.1 ms each for shunt and bus
  cycleMs: 35,
  currentShare: 0.5,
  datasheet: 'TI SBOS547B',
}

const ina230: ChipFacts = {
  ...ina226,
  shunt: { stepUv: 2.5, offsetUv: 50, gainShare: 0.005 },
  bus: { stepMv: 1.25, offsetMv: 30, gainShare: 0.005 },
  datasheet: 'TI SBOS601A',
}

const ina219: ChipFacts = {
  // the driver sets the amplifier to /8 and 12 bits
  shunt: { stepUv: 10, offsetUv: 200, gainShare: 0.005 },
  bus: { stepMv: 4, offsetMv: 4, gainShare: 0.005 },
  fullScaleUv: 320_000,
  cycleMs: 1.1,
  currentShare: 0.5,
  datasheet: 'TI SBOS448G',
}

/** By the name that the Linux driver gives to hwmon or IIO. */
const chips: Record<string, ChipFacts> = {
  ina3221: {
    shunt: { stepUv: 40, offsetUv: 80, gainShare: 0.0025 },
    bus: { stepMv: 8, offsetMv: 16, gainShare: 0.0025 },
    fullScaleUv: 163_840,
    // three channels, 1.1 ms each for shunt and bus
    cycleMs: 6.6,
    currentShare: 1 / 6,
    datasheet: 'TI SBOS576B',
  },
  ina219,
  ina220: ina219,
  ina226,
  ina230,
  ina231: ina230,
  ina238: {
    shunt: { stepUv: 5, offsetUv: 5, gainShare: 0.001 },
    bus: { stepMv: 3.125, offsetMv: 5, gainShare: 0.001 },
    fullScaleUv: 163_840,
    // shunt, bus and die temperature, 1052 µs each
    cycleMs: 3.2,
    currentShare: 1 / 3,
    datasheet: 'TI SLYS025B',
  },
}

/** Null for a chip whose datasheet is not known here. `ina3221x`, NVIDIA's own driver, is an INA3221. */
export function chipFacts(name: string): ChipFacts | null {
  return chips[name.startsWith('ina3221') ? 'ina3221' : name] ?? null
}
