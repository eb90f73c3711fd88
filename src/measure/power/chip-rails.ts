import { chipFacts } from './chips.ts'
import type { PowerSurvey, Rail, RailFile } from './rail.ts'

/** A sensor chip as sysfs shows it. */
export interface SensorChip {
  /** Which driver's files: the kernel's hwmon, NVIDIA's ina3221x of JetPack 4, or the kernel's ina2xx-adc. */
  readonly kind: 'hwmon' | 'jetpack4' | 'iio'
  readonly folder: string
  readonly realFolder: string
  readonly name: string
  /** Of the device behind it, e.g. `i2c` or `power_supply`. */
  readonly subsystem: string
}

type Found = Pick<PowerSurvey, 'rails' | 'skipped'>

/** The rails that a chip measures, and the channels that are none. */
export function railsOfChip(chip: SensorChip, files: ReadonlyMap<string, string>): Found {
  // negotiated limits and a battery's own guess: neither is a measurement of what the board takes
  if (chip.subsystem === 'power_supply' || /^(?:ucsi|BAT|AC$)/.test(chip.name))
    return {
      rails: [],
      skipped: [{ what: chip.name, why: 'it tells of a supply (negotiated or a battery), not of the board' }],
    }
  if (chip.kind === 'jetpack4') return jetpack4Rails(chip, files)
  if (chip.kind === 'iio') return iioRails(chip, files)
  return /^ina3221/.test(chip.name) ? ina3221Rails(chip, files) : singleRails(chip, files)
}

/** The kernel's ina3221: channels 1 to 3; `in4` to `in6` are shunt voltages, `in7` and `curr4` sums. */
function ina3221Rails(chip: SensorChip, files: ReadonlyMap<string, string>): Found {
  return channels(chip, [1, 2, 3], (channel) => {
    if (!files.has(`in${channel}_input`) && !files.has(`curr${channel}_input`)) return null
    const label = labelOf(files.get(`in${channel}_label`))
    const why = files.get(`in${channel}_enable`) === '0' ? 'its channel is switched off' : unconnected(label)
    if (why) return { what: label ?? idOf(chip, channel), why }
    return {
      label,
      milliV: fileOf(chip, files, `in${channel}_input`, 1),
      milliA: fileOf(chip, files, `curr${channel}_input`, 1),
      milliW: null,
      shunt: shuntOf(files.get(`shunt${channel}_resistor`), 1, 10_000),
      criticalMilliA: positive(files.get(`curr${channel}_crit`)),
      cycleMs: cycleOf(chip, files),
    }
  })
}

/** ina2xx and ina238: bus voltage is `in1`. Any other chip that gives power: by channel, in microwatts. */
function singleRails(chip: SensorChip, files: ReadonlyMap<string, string>): Found {
  const known = chipFacts(chip.name) !== null
  const numbers = [...files.keys()].flatMap((name) => /^power(\d+)_input$/.exec(name)?.[1] ?? [])
  return channels(chip, known ? [1] : numbers.map(Number), (channel) => {
    const label = labelOf(
      files.get(`power${channel}_label`) ?? files.get(`in${channel}_label`) ?? files.get('label'),
    )
    const why = unconnected(label)
    if (why) return { what: label ?? idOf(chip, channel), why }
    return {
      label,
      milliV: known ? fileOf(chip, files, `in${channel}_input`, 1) : null,
      milliA: known ? fileOf(chip, files, `curr${channel}_input`, 1) : null,
      milliW: fileOf(chip, files, `power${channel}_input`, 0.001),
      // the ina238 driver does not show its shunt; a small one is the careful guess
      shunt: known ? shuntOf(files.get('shunt_resistor'), 1, chip.name === 'ina238' ? 2_000 : 10_000) : null,
      criticalMilliA: positive(files.get(`curr${channel}_crit`)),
      cycleMs: cycleOf(chip, files),
    }
  })
}

/** NVIDIA's driver of JetPack 4 and before: channels 0 to 2, milliwatts. */
function jetpack4Rails(chip: SensorChip, files: ReadonlyMap<string, string>): Found {
  return channels(chip, [0, 1, 2], (channel) => {
    const label = labelOf(files.get(`rail_name_${channel}`))
    if (!files.has(`in_voltage${channel}_input`) && !files.has(`in_power${channel}_input`)) return null
    const why = unconnected(label)
    if (why) return { what: label ?? idOf(chip, channel), why }
    return {
      label,
      milliV: fileOf(chip, files, `in_voltage${channel}_input`, 1),
      milliA: fileOf(chip, files, `in_current${channel}_input`, 1),
      milliW: fileOf(chip, files, `in_power${channel}_input`, 1),
      shunt: { microOhm: 5_000, basis: 'assumed' },
      criticalMilliA: positive(files.get(`crit_current_limit_${channel}`)),
      cycleMs: cycleOf(chip, files),
    }
  })
}

/** The kernel's ina2xx-adc: raw values with a scale that gives millivolts, milliamperes, milliwatts. */
function iioRails(chip: SensorChip, files: ReadonlyMap<string, string>): Found {
  if (!files.has('in_voltage1_raw')) return { rails: [], skipped: [] }
  const raw = (name: string) => {
    const scale = positive(files.get(`${name}_scale`))
    return scale === null ? null : fileOf(chip, files, `${name}_raw`, scale)
  }
  return channels(chip, [1], () => ({
    label: labelOf(files.get('label')),
    milliV: raw('in_voltage1'),
    milliA: raw('in_current3'),
    milliW: raw('in_power2'),
    shunt: shuntOf(files.get('in_shunt_resistor'), 1e6, 10_000),
    criticalMilliA: null,
    cycleMs: cycleOf(chip, files),
  }))
}

type Described = Omit<Rail, 'id' | 'chip'>

function channels(
  chip: SensorChip,
  numbers: readonly number[],
  describe: (channel: number) => Described | { what: string; why: string } | null,
): Found {
  const rails: Rail[] = []
  const skipped: { what: string; why: string }[] = []
  for (const channel of numbers) {
    const found = describe(channel)
    if (found === null) continue
    if ('why' in found) skipped.push(found)
    else if ((found.milliV && found.milliA) || found.milliW)
      rails.push({ id: idOf(chip, channel), chip: chip.name, ...found })
    else
      skipped.push({
        what: found.label ?? idOf(chip, channel),
        why: 'it gives neither power nor both volts and amperes',
      })
  }
  return { rails, skipped }
}

/** By its address on the bus, which stays over reboots; numbers of hwmon do not. */
function idOf(chip: SensorChip, channel: number): string {
  const parts = chip.realFolder.split('/')
  const onBus = parts.findLast((part) => /^\d+-[0-9a-f]{4}$/.test(part))
  return `${chip.name}@${onBus ?? parts.at(-1)!}:${channel}`
}

function labelOf(text: string | undefined): string | null {
  const label = text
    ?.replace(/[^\x20-\x7e]/g, '')
    .trim()
    .slice(0, 48)
  return label ? label : null
}

/** Orin names channels that lead nowhere NC; the sum of shunt voltages is no rail. */
function unconnected(label: string | null): string | null {
  if (label === null) return null
  if (/(?:^|[^A-Za-z])NC(?:$|[^A-Za-z])/.test(label)) return 'its channel is not connected'
  return /^sum of shunt voltages$/i.test(label) ? 'a sum of shunt voltages is no rail' : null
}

function fileOf(
  chip: SensorChip,
  files: ReadonlyMap<string, string>,
  name: string,
  unit: number,
): RailFile | null {
  const text = files.get(name)
  if (text === undefined) return null
  const number = /^-?\d{1,15}(?:\.\d{1,9})?$/.test(text) ? Number(text) : null
  return { path: `${chip.folder}/${name}`, unit, live: number === null ? null : number * unit }
}

function shuntOf(text: string | undefined, toMicroOhm: number, assumed: number): Rail['shunt'] {
  const value = positive(text)
  return value === null
    ? { microOhm: assumed, basis: 'assumed' }
    : { microOhm: value * toMicroOhm, basis: 'sysfs' }
}

function cycleOf(chip: SensorChip, files: ReadonlyMap<string, string>): number {
  const told = positive(files.get('update_interval'))
  return told !== null && told < 60_000 ? told : (chipFacts(chip.name)?.cycleMs ?? 0)
}

function positive(text: string | undefined): number | null {
  if (text === undefined || !/^\d{1,12}(?:\.\d{1,12})?(?: *[mM][aA])?$/.test(text)) return null
  const value = Number.parseFloat(text)
  return value > 0 ? value : null
}
