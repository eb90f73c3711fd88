import { EdgewrightError } from '../error.ts'
import { armCoreName } from './arm-cores.ts'
import { lastLine, printable } from './printable.ts'
import { probeScript } from './probe-script.ts'
import type { Connection, DeviceFacts } from './types.ts'

/** Facts, and the home folder, which is where the board's store goes by default. */
export interface Probe {
  readonly facts: DeviceFacts
  readonly home: string
}

/** Asks a board what it is, with one read-only script. DEVICE_UNSUPPORTED where there is no POSIX shell to ask. */
export async function probe(connection: Connection, signal?: AbortSignal): Promise<Probe> {
  const result = await connection.script(probeScript, [], {
    deadlineMs: 30_000,
    maxOutputBytes: 256 * 1024,
    signal,
  })
  if (!/^done=1$/m.test(result.stdout))
    throw new EdgewrightError(
      'DEVICE_UNSUPPORTED',
      `${connection.label} does not answer as a Linux board with a POSIX shell.`,
      {
        where: connection.label,
        saw: lastLine(result.stderr) || lastLine(result.stdout) || `exit code ${result.exitCode}`,
        hint: 'Boards need Linux and a login shell that runs sh.',
      },
    )
  return parseProbe(result.stdout, connection.label)
}

/** Reads the script's answer; a board may say anything, so nothing is trusted to be there or to make sense. */
export function parseProbe(text: string, label: string): Probe {
  const values = new Map<string, string[]>()
  for (const line of text.split('\n').slice(0, 512)) {
    const equals = line.indexOf('=')
    if (equals <= 0) continue
    const key = line.slice(0, equals)
    const value = printable(line.slice(equals + 1), 4000)
    if (value === '') continue
    values.set(key, [...(values.get(key) ?? []), value].slice(0, 64))
  }
  const one = (key: string) => values.get(key)?.[0] ?? null
  const architecture = one('machine')
  if (architecture === null || !/^[A-Za-z0-9_.-]{1,32}$/.test(architecture))
    throw new EdgewrightError('DEVICE_ANSWER_INVALID', 'The board did not say what processor it has.', {
      where: label,
      saw: architecture ?? 'nothing',
    })
  const extras: Record<string, string> = {}
  for (const key of ['nv_tegra_release', 'dmi_vendor', 'cpu.CPU implementer', 'cpu.CPU part']) {
    const value = one(key)
    if (value !== null) extras[key.replace('cpu.CPU ', 'cpu_')] = value.slice(0, 400)
  }
  const facts: DeviceFacts = {
    architecture,
    userlandBits:
      one('elfclass') === '1' ? 32 : one('elfclass') === '2' ? 64 : one('longbit') === '32' ? 32 : 64,
    kernel: one('kernel') ?? 'unknown',
    hostname: one('hostname') ?? 'unknown',
    model: one('model')?.slice(0, 200) ?? null,
    compatible: (values.get('compatible') ?? []).map((name) => name.slice(0, 128)),
    cpuModel:
      (
        one('cpu.model name') ??
        armCoreName(one('cpu.CPU implementer'), one('cpu.CPU part')) ??
        one('cpu.Hardware')
      )?.slice(0, 200) ?? null,
    cpuFeatures: (one('features') ?? '')
      .split(/\s+/)
      .filter((word) => /^[A-Za-z0-9_.-]{1,40}$/.test(word))
      .slice(0, 512),
    cpuCount: boundedInteger(one('cpus'), 1, 4096) ?? 1,
    memoryBytes: kibibytes(one('memory')?.split(' ')[0]),
    freeDiskBytes: kibibytes(one('disk')?.split(/\s+/)[3]),
    libc: libcOf(one('glibc'), one('ldd'), one('musl')),
    os:
      one('os')
        ?.replace(/^["']|["']$/g, '')
        .slice(0, 200) ?? null,
    usbIds: (values.get('usb') ?? []).filter((id) => /^[0-9a-f]{4}:[0-9a-f]{4}$/i.test(id)),
    extras,
  }
  return { facts, home: one('home') ?? '' }
}

function libcOf(glibc: string | null, ldd: string | null, musl: string | null): DeviceFacts['libc'] {
  const fromGetconf = /^glibc (\d+\.\d+)/.exec(glibc ?? '')
  if (fromGetconf) return { name: 'glibc', version: fromGetconf[1]! }
  if (musl !== null || /musl/.test(ldd ?? ''))
    return { name: 'musl', version: /Version (\d+(?:\.\d+)+)/.exec(ldd ?? '')?.[1] ?? null }
  const fromLdd = /(?:GLIBC|GNU libc|glibc)[^)]*\)?\s+(\d+\.\d+)/i.exec(ldd ?? '')
  if (fromLdd) return { name: 'glibc', version: fromLdd[1]! }
  return { name: 'unknown', version: null }
}

function kibibytes(text: string | undefined): number | null {
  const value = boundedInteger(text ?? null, 0, 2 ** 43)
  return value === null ? null : value * 1024
}

function boundedInteger(text: string | null, low: number, high: number): number | null {
  if (text === null || !/^\d{1,15}$/.test(text)) return null
  const value = Number(text)
  return value >= low && value <= high ? value : null
}
