import type { DeviceFacts } from '../../deploy/types.ts'
import { type Finding, missing, ok, warning } from './findings.ts'

/** Of ONNX Runtime's build; the runner itself needs 2.17. */
const glibcNeeded = [2, 28] as const
/** Runner, runtime library and a model of some size. */
const diskNeededBytes = 100e6
const memoryNeededBytes = 200e6

/** What the probe's facts alone tell. */
export function judgeFacts(facts: DeviceFacts): Finding[] {
  return [processor(facts), libc(facts), disk(facts), memory(facts)].filter((finding) => finding !== null)
}

function processor({ architecture, userlandBits }: DeviceFacts): Finding {
  const known = architecture === 'aarch64' || architecture === 'x86_64'
  if (known && userlandBits === 64) return ok('processor', `${architecture}, 64-bit programs`)
  if (known)
    return missing(
      'processor',
      'The kernel is 64-bit, but its programs are 32-bit: no runtime library fits them.',
      'Install the 64-bit image of the operating system.',
    )
  return missing(
    'processor',
    `There is no runner for ${architecture || 'an unknown processor'}.`,
    'Boards need a 64-bit ARM or x86 processor with a 64-bit Linux.',
  )
}

function libc({ libc: { name, version } }: DeviceFacts): Finding {
  const need = glibcNeeded.join('.')
  if (name === 'musl')
    return missing(
      'libc',
      'The system uses musl; runtime libraries are built for glibc.',
      'Use an image with glibc (Debian, Ubuntu, Raspberry Pi OS), or run in such a container.',
    )
  if (version === null)
    return warning('libc', 'The version of the C library is not told.', `glibc ${need} is needed.`)
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > glibcNeeded[0] || (major === glibcNeeded[0] && minor >= glibcNeeded[1]))
    return ok('libc', `glibc ${version}`)
  return missing(
    'libc',
    `glibc ${version} is older than ONNX Runtime needs (${need}).`,
    'Update the operating system, or compile for --target litert with a runtime library built for this glibc.',
  )
}

function disk({ freeDiskBytes }: DeviceFacts): Finding | null {
  if (freeDiskBytes === null) return null
  const found = `${(freeDiskBytes / 1e6).toFixed(0)} MB of disk free`
  if (freeDiskBytes >= diskNeededBytes) return ok('disk', found)
  return warning(
    'disk',
    `Only ${found}; the runner, a runtime library and a model take about ${diskNeededBytes / 1e6} MB.`,
    'Free some, `edgewright releases prune --device BOARD --blobs`, or name another folder with --root.',
  )
}

function memory({ memoryBytes }: DeviceFacts): Finding | null {
  if (memoryBytes === null) return null
  const found = `${(memoryBytes / 1e6).toFixed(0)} MB of memory`
  if (memoryBytes >= memoryNeededBytes) return ok('memory', found)
  return warning(
    'memory',
    `Only ${found}: larger networks will not load.`,
    'Choose small networks, or add swap.',
  )
}
