import { printable } from '../../deploy/printable.ts'
import { busyShare, parseCpuTimes } from './cpu-times.ts'
import { parsePowerModes } from './power-mode.ts'
import { throttledBits } from './throttle.ts'
import type { BoardSurvey, ClockPolicy, ThermalZone, ThrottleGauge, ThrottleKind } from './types.ts'

/** Colder and hotter than any board is; beyond it a sensor lies. */
const plausibleMilliC = { low: -60_000, high: 200_000 }
const plausibleKHz = { low: 1, high: 20_000_000 }
const mostEntries = 64

/** What the survey script printed; anything that makes no sense is as if it had not been said. */
export function parseSurvey(output: string): BoardSurvey {
  const said = bySubject(output)
  const one = (key: string) => said.get(key)?.[0] ?? null
  const [begin, end] = [parseCpuTimes(one('stat.begin')), parseCpuTimes(one('stat.end'))]
  const available = /^(\d{1,13}) kB$/.exec(one('available') ?? '')
  const load = /^(\d{1,6}\.\d{1,3}) /.exec(one('loadavg') ?? '')
  return {
    emulator: one('emulator') === null ? null : printable(one('emulator')!, 60),
    zones: zonesOf(said),
    policies: policiesOf(said.get('cpufreq') ?? []),
    gauges: gaugesOf(said),
    powerMode: parsePowerModes(one('nvpmodel.status'), said.get('nvpmodel.mode') ?? []),
    busyShare: begin && end ? busyShare(begin, end) : null,
    loadAverage: load ? Number(load[1]) : null,
    availableMemoryBytes: available ? Number(available[1]) * 1024 : null,
    edgeTpuLinks: (said.get('edgetpu') ?? []).flatMap((speed) => whole(speed, 1, 100_000) ?? []),
    hasJetsonClocks: (said.get('has') ?? []).includes('jetson_clocks'),
    mayPin: mayPinOf(one('may')),
  }
}

function bySubject(output: string): Map<string, string[]> {
  const said = new Map<string, string[]>()
  for (const line of output.split('\n')) {
    const match = /^([a-z_.]{1,32}) (.+)$/.exec(line)
    if (!match) continue
    const values = said.get(match[1]!) ?? []
    said.set(match[1]!, values)
    // seven lines a policy
    if (values.length < mostEntries * 7) values.push(match[2]!.trim())
  }
  return said
}

function zonesOf(said: ReadonlyMap<string, readonly string[]>): ThermalZone[] {
  const limits = new Map<string, number>()
  for (const line of said.get('trip') ?? []) {
    const [path = '', text = ''] = line.split(' ')
    const limit = temperature(text)
    // zero stands for a trip point that nobody set
    if (limit !== null && limit > 0) limits.set(path, Math.min(limit, limits.get(path) ?? Infinity))
  }
  return (said.get('zone') ?? []).slice(0, mostEntries).flatMap((line) => {
    const [path = '', text = '', ...type] = line.split(' ')
    const milliC = temperature(text)
    if (milliC === null || !isSysFile(path, /^\/sys\/class\/(thermal|apex)\//)) return []
    return { path, type: printable(type.join(' '), 40), milliC, limitMilliC: limits.get(path) ?? null }
  })
}

function policiesOf(lines: readonly string[]): ClockPolicy[] {
  const files = new Map<string, Map<string, string>>()
  for (const line of lines) {
    const [folder = '', file = '', ...value] = line.split(' ')
    if (!isSysFile(folder, /^\/sys\/devices\/system\/cpu\/(cpufreq\/policy\d{1,4}|cpu0\/cpufreq)$/)) continue
    const of = files.get(folder) ?? new Map()
    files.set(folder, of.set(file, value.join(' ')))
  }
  return [...files].slice(0, mostEntries).map(([folder, of]) => {
    const kHz = (file: string) => whole(of.get(file) ?? '', plausibleKHz.low, plausibleKHz.high)
    const words = (file: string) =>
      (of.get(file) ?? '').split(' ').filter((word) => /^[a-z][a-z0-9_-]{0,31}$/i.test(word))
    return {
      folder,
      name: folder.endsWith('/cpufreq') ? 'cpu0' : folder.slice(folder.lastIndexOf('/') + 1),
      cpus: (of.get('related_cpus') ?? '').split(' ').flatMap((cpu) => whole(cpu, 0, 4095) ?? []),
      governor: words('scaling_governor')[0] ?? null,
      governors: words('scaling_available_governors'),
      currentKHz: kHz('scaling_cur_freq'),
      minKHz: kHz('scaling_min_freq'),
      maxKHz: kHz('scaling_max_freq'),
      hardwareMaxKHz: kHz('cpuinfo_max_freq'),
    }
  })
}

/** Events of the Jetson's over-current hardware, by NVIDIA's numbers: under-voltage, average and peak current. */
const overCurrent: Readonly<Record<string, ThrottleKind>> = {
  oc1_event_cnt: 'underVoltage',
  oc2_event_cnt: 'throttled',
  oc3_event_cnt: 'throttled',
}

function gaugesOf(said: ReadonlyMap<string, readonly string[]>): ThrottleGauge[] {
  const gauges: ThrottleGauge[] = []
  const vcgencmd = /^throttled=0x([0-9a-f]{1,8})$/i.exec(said.get('vcgencmd')?.[0] ?? '')
  if (vcgencmd) gauges.push(...firmwareGauges('vcgencmd get_throttled', parseInt(vcgencmd[1]!, 16), null))
  const each = (key: string, take: (path: string, value: string, rest: string) => ThrottleGauge | null) => {
    for (const line of (said.get(key) ?? []).slice(0, mostEntries)) {
      const [path = '', value = '', ...rest] = line.split(' ')
      const gauge = isSysFile(path, /^\/sys\//) ? take(path, value, rest.join(' ')) : null
      if (gauge) gauges.push(gauge)
    }
  }
  each('get_throttled', (path, value) => {
    const bits = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(value)
    if (bits) gauges.push(...firmwareGauges('get_throttled', parseInt(bits[1]!, 16), path))
    return null
  })
  each('rpi_volt', (path, value) => gauge('hwmon rpi_volt', 'underVoltage', false, value, path))
  each('soctherm_oc', (path, value) => {
    const file = path.slice(path.lastIndexOf('/') + 1)
    const kind = overCurrent[file]
    return kind ? gauge(`soctherm ${file}`, kind, true, value, path) : null
  })
  each('package_throttle', (path, value) => gauge('package_throttle_count', 'throttled', true, value, path))
  each('cooling', (path, value, type) =>
    gauge(`cooling device ${printable(type, 40)}`, 'frequencyCapped', false, value, path),
  )
  return gauges
}

function gauge(
  source: string,
  kind: ThrottleKind,
  counts: boolean,
  text: string,
  path: string,
): ThrottleGauge | null {
  const value = whole(text, 0, Number.MAX_SAFE_INTEGER)
  return value === null ? null : { source, kind, counts, value, path }
}

/** Bits 0 to 3 say what holds now, 16 to 19 what happened since the firmware started or was asked last. */
function firmwareGauges(source: string, bits: number, path: string | null): ThrottleGauge[] {
  return throttledBits.flatMap((kind, bit): ThrottleGauge[] => [
    { source, kind, counts: false, value: (bits >>> bit) & 1, path: bit === 0 ? path : null },
    { source, kind, counts: true, value: (bits >>> (bit + 16)) & 1, path: null },
  ])
}

function mayPinOf(word: string | null): BoardSurvey['mayPin'] {
  return word === 'direct' || word === 'sudo' || word === 'no' ? word : null
}

function temperature(text: string): number | null {
  return whole(text, plausibleMilliC.low, plausibleMilliC.high)
}

function whole(text: string, low: number, high: number): number | null {
  if (!/^-?\d{1,16}$/.test(text)) return null
  const value = Number(text)
  return value >= low && value <= high ? value : null
}

/** A path that the runner is told to open must be one that the survey can have looked at. */
function isSysFile(path: string, where: RegExp): boolean {
  return (
    path.length <= 256 && where.test(path) && /^[\w@.:/+-]+$/.test(path) && !path.split('/').includes('..')
  )
}
