import type { Collected } from '../collect.ts'
import type { Plan } from '../plan.ts'
import type { BoardSurvey, ThermalZone } from './types.ts'

/** A file that the runner reads now and then while it measures. */
export interface BoardSensor {
  readonly name: string
  readonly path: string
  readonly unit: SensorUnit
}

export type SensorUnit = 'milliC' | 'kHz' | 'flags'

/** Often enough to see a clock fall in a run of seconds; reading a few files takes a board well under a millisecond. */
export const sensorPeriodMs = 500

/** More of a kind are not read: each costs the board time. */
const most = { zones: 6, policies: 16, gauges: 8 }

const units: Readonly<Record<string, SensorUnit>> = {
  temperature: 'milliC',
  clock: 'kHz',
  'clock-limit': 'kHz',
  throttle: 'flags',
}

/** What is read under a sensor's name; null for one that this version does not know. */
export function sensorUnit(name: string): SensorUnit | null {
  return units[name.split(':')[0]!] ?? null
}

/**
 * The sensors to read while the board is measured: the temperatures that tell of its chip, the clock and the clock's limit
 * of every group of CPUs, and what says by itself that the board is held back.
 */
export function sensorsOf(survey: BoardSurvey): BoardSensor[] {
  const { policies, gauges } = survey
  const sensors: BoardSensor[] = chipZones(survey.zones)
    .slice(0, most.zones)
    .map(({ type, path }) => ({ name: `temperature:${plainWord(type)}`, path, unit: 'milliC' }))
  for (const { name, folder, currentKHz, maxKHz } of policies.slice(0, most.policies)) {
    if (currentKHz !== null)
      sensors.push({ name: `clock:${name}`, path: `${folder}/scaling_cur_freq`, unit: 'kHz' })
    if (maxKHz !== null)
      sensors.push({ name: `clock-limit:${name}`, path: `${folder}/scaling_max_freq`, unit: 'kHz' })
  }
  for (const { source, path } of gauges.filter((gauge) => gauge.path !== null).slice(0, most.gauges))
    sensors.push({ name: `throttle:${plainWord(source)}`, path: path!, unit: 'flags' })
  return distinct(sensors)
}

/** The plan's part of them. */
export function planSensors(sensors: readonly BoardSensor[]): Plan['sensors'] {
  return sensors.map(({ name, path }) => ({ name, path }))
}

const chip = /cpu|soc|pkg|package|core|gpu|tj|apex|npu|little|big|tpu|ap-?thermal/i
const notChip = /wifi|iwl|batt|charg|ambient|skin|pch|nvme|modem/i

/** Zones of the chip that computes; all of them where none is known by its name. */
export function chipZones(zones: readonly ThermalZone[]): readonly ThermalZone[] {
  const known = zones.filter(({ type }) => chip.test(type) && !notChip.test(type))
  if (known.length > 0) return known
  const others = zones.filter(({ type }) => !notChip.test(type))
  return others.length > 0 ? others : zones
}

export interface SensorSeries extends BoardSensor {
  /** The runner's clock. */
  readonly tNs: readonly number[]
  readonly values: readonly number[]
}

/** What the runner read, by sensor, in the order of `sensors`; a sensor that gave nothing has no values. */
export function seriesOf(sensors: readonly BoardSensor[], samples: Collected['sensors']): SensorSeries[] {
  const byName = new Map(
    sensors.map((sensor) => [sensor.name, { tNs: [] as number[], values: [] as number[] }]),
  )
  for (const { name, tNs, value } of samples) {
    const series = byName.get(name)
    series?.tNs.push(tNs)
    series?.values.push(value)
  }
  return sensors.map((sensor) => ({ ...sensor, ...byName.get(sensor.name)! }))
}

export interface Span {
  readonly start: number
  readonly end: number
  readonly min: number
  readonly max: number
}

export function spanOf(values: readonly number[]): Span | null {
  if (values.length === 0) return null
  let [min, max] = [Infinity, -Infinity]
  for (const value of values) {
    if (value < min) min = value
    if (value > max) max = value
  }
  return { start: values[0]!, end: values.at(-1)!, min, max }
}

function plainWord(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 40) || 'unnamed'
}

/** Two zones of one type are told apart by number. */
function distinct(sensors: readonly BoardSensor[]): BoardSensor[] {
  const seen = new Map<string, number>()
  return sensors.map((sensor) => {
    const count = (seen.get(sensor.name) ?? 0) + 1
    seen.set(sensor.name, count)
    return count === 1 ? sensor : { ...sensor, name: `${sensor.name}-${count}` }
  })
}
