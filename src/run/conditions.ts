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
  /** What emulates the board, as far as it shows: its absolute times are then not a board's. */
  readonly emulator: string | null
}

// A process sees through its own /proc/self that it is what it seems; another's /proc/PID/exe names the emulator.
const surveyScript = `for file in "$@"; do [ -r "$file" ] && echo "has $file"; done
read -r governor 2>/dev/null < ${governorPath} && echo "governor $governor"
case $(readlink "/proc/$$/exe") in *qemu-*) echo 'emulator QEMU user mode' ;; esac
for node in /proc/device-tree/fw-cfg@* /sys/firmware/devicetree/base/fw-cfg@*; do [ -e "$node" ] && echo 'emulator QEMU system' && break; done
exit 0`

/** Asks a board what can be read of it while it is measured, and whether it is one at all. */
export async function surveyBoard(device: Device, signal: AbortSignal): Promise<BoardSensors> {
  const answer = await device.connection.script(surveyScript, [temperaturePath, clockPath], {
    signal,
    deadlineMs: 15_000,
  })
  const lines = answer.stdout.split('\n')
  const has = (path: string) => lines.includes(`has ${path}`)
  return {
    sensors: [
      ...(has(temperaturePath) ? [{ name: 'temperature', path: temperaturePath }] : []),
      ...(has(clockPath) ? [{ name: 'clock', path: clockPath }] : []),
    ],
    governor: said(lines, 'governor'),
    emulator: said(lines, 'emulator'),
  }
}

function said(lines: readonly string[], what: string): string | null {
  return lines.find((line) => line.startsWith(`${what} `))?.slice(what.length + 1, 64) ?? null
}

export interface ConditionsInput {
  readonly device: Device
  readonly collected: Collected
  readonly board: BoardSensors
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
    emulated: input.board.emulator,
    hostname: facts.hostname || null,
    kernel: facts.kernel || null,
    os: facts.os,
    cpu: facts.cpuModel,
    cpuCount: facts.cpuCount > 0 ? facts.cpuCount : null,
    governor: input.board.governor,
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
