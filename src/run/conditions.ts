import type { Device } from '../deploy/types.ts'
import type { Collected } from '../measure/collect.ts'
import type { Plan } from '../measure/plan.ts'
import type { RunResult } from '../store/document.ts'

type Conditions = NonNullable<RunResult['conditions']>

const temperaturePath = '/sys/class/thermal/thermal_zone0/temp'
const clockPath = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq'
const governorPath = '/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'

/** What a board lets be read while it is measured. */
export interface BoardSensors {
  readonly sensors: Plan['sensors']
  readonly governor: string | null
}

const sensorScript = `for file in "$@"; do [ -r "$file" ] && echo "has $file"; done
read -r governor 2>/dev/null < ${governorPath} && echo "governor $governor"
exit 0`

export async function findSensors(device: Device, signal: AbortSignal): Promise<BoardSensors> {
  const answer = await device.connection.script(sensorScript, [temperaturePath, clockPath], { signal, deadlineMs: 15_000 })
  const lines = answer.stdout.split('\n')
  const has = (path: string) => lines.includes(`has ${path}`)
  return {
    sensors: [
      ...(has(temperaturePath) ? [{ name: 'temperature', path: temperaturePath }] : []),
      ...(has(clockPath) ? [{ name: 'clock', path: clockPath }] : []),
    ],
    governor: lines.find((line) => line.startsWith('governor '))?.slice('governor '.length, 64) ?? null,
  }
}

export interface ConditionsInput {
  readonly device: Device
  readonly collected: Collected
  readonly governor: string | null
  readonly preset: string
  readonly affinity: readonly number[]
  readonly rateHz: number
  readonly interleaved: boolean
  readonly startedAt: Date
  readonly endedAt: Date
}

export function conditionsOf(input: ConditionsInput): Conditions {
  const { facts } = input.device
  return {
    preset: input.preset,
    startedAt: input.startedAt.toISOString(),
    endedAt: input.endedAt.toISOString(),
    measuredWith: input.collected.measuredBy === 'process' ? 'in-process' : 'runner',
    emulated: emulatorOf(input.device),
    hostname: facts.hostname || null,
    kernel: facts.kernel || null,
    os: facts.os,
    cpu: facts.cpuModel,
    cpuCount: facts.cpuCount > 0 ? facts.cpuCount : null,
    governor: input.governor,
    affinity: [...input.affinity],
    rateHz: input.rateHz,
    order: input.interleaved ? 'interleaved' : 'sequential',
    stability: 'unknown',
    temperatureMilliC: spanOf(input.collected, 'temperature'),
    clockKHz: spanOf(input.collected, 'clock'),
  }
}

function spanOf(collected: Collected, name: string): Conditions['clockKHz'] {
  const values = collected.sensors.filter((sample) => sample.name === name).map((sample) => sample.value)
  if (values.length === 0) return null
  return { start: values[0]!, end: values.at(-1)!, min: Math.min(...values), max: Math.max(...values) }
}

/** What emulates a board, as far as it shows: its absolute times are then not a board's. */
export function emulatorOf({ facts }: Device): string | null {
  const stated = facts.extras['emulated']
  if (stated) return stated.slice(0, 80)
  if (facts.compatible.includes('linux,dummy-virt') || /qemu/i.test(`${facts.model ?? ''} ${facts.cpuModel ?? ''}`)) return 'QEMU'
  return null
}
