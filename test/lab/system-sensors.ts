import { execFileSync } from 'node:child_process'

/** Chips of an emulated machine. They are registers without a sensor; the drivers that read them are the kernel's. */
export interface SensorOptions {
  /** Both unless given; none: a board without sensors. */
  readonly chips?: readonly ('ina3221' | 'ina226')[]
  /**
   * What the device tree calls the three channels of the INA3221; null: a channel that is switched off. A Jetson's
   * VDD_IN, VDD_CPU_GPU_CV and VDD_SOC unless given.
   */
  readonly rails?: readonly [string | null, string | null, string | null]
  /** `iio` loads ina2xx-adc for the INA226 in place of the hwmon driver. */
  readonly ina226Driver?: 'hwmon' | 'iio'
  /** What the device tree calls the INA226: `VDD_BOARD` unless given. */
  readonly ina226Label?: string
}

const addresses = { ina3221: '0x40', ina226: '0x41' } as const

/** Chip addresses and their drivers, as sensors/start.sh reads them. */
export function chipList({ chips = ['ina3221', 'ina226'], ina226Driver = 'hwmon' }: SensorOptions): string {
  const driver = { ina3221: 'ina3221', ina226: ina226Driver === 'iio' ? 'ina2xx-adc' : 'ina2xx' }
  return chips.map((chip) => `${addresses[chip]} ${driver[chip]}\n`).join('')
}

/** A device tree with the chips on the stub's bus: labels and shunts (20 mΩ a channel, 10 mΩ) stand where they do on a board. */
export function withChips(deviceTree: Uint8Array, options: SensorOptions): Buffer {
  const { chips = ['ina3221', 'ina226'], rails = ['VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC'] } = options
  const nodes = { ina3221: ina3221Node(rails), ina226: ina226Node(options.ina226Label ?? 'VDD_BOARD') }
  const source = execFileSync('dtc', ['-q', '-I', 'dtb', '-O', 'dts', '-'], { input: deviceTree })
  const bus = `/ { i2c-stub { #address-cells = <1>; #size-cells = <0>; ${chips.map((chip) => nodes[chip]).join(' ')} }; };`
  return execFileSync('dtc', ['-q', '-I', 'dts', '-O', 'dtb', '-'], {
    input: `${source.toString('latin1')}\n${bus}\n`,
  })
}

function ina3221Node(rails: readonly (string | null)[]): string {
  const inputs = rails.map((label, index) => {
    const rest = label === null ? 'status = "disabled";' : `label = "${label}";`
    return `input@${index} { reg = <${index}>; shunt-resistor-micro-ohms = <20000>; ${rest} };`
  })
  return `power-monitor@40 { compatible = "ti,ina3221"; reg = <0x40>; #address-cells = <1>; #size-cells = <0>; ${inputs.join(' ')} };`
}

function ina226Node(label: string): string {
  return `power-monitor@41 { compatible = "ti,ina226"; reg = <0x41>; shunt-resistor = <10000>; label = "${label}"; };`
}
