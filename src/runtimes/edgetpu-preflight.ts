import { EdgewrightError } from '../error.ts'

/**
 * Prints what a board knows of Edge TPUs as key=value lines: device nodes, USB devices with speed and access, libraries
 * and packages. Read-only, bounded, POSIX sh. No library is opened: the runner's `--check-delegate` does that.
 */
export const edgetpuProbeScript = `
v() { printf '%s=' "$1"; head -c 500 | tr '\\000\\n\\r' '   '; echo; }
access() { if [ -r "$1" ] && [ -w "$1" ]; then printf yes; else printf no; fi; }
main() {
  LC_ALL=C; export LC_ALL
  for d in /dev/apex_*; do
    [ -e "$d" ] && printf '%s %s' "$(access "$d")" "$d" | v apex
  done
  for d in /sys/bus/usb/devices/*/idVendor; do
    [ -r "$d" ] || continue
    d=\${d%/idVendor}
    id="$(cat "$d/idVendor"):$(cat "$d/idProduct")"
    case "$id" in 1a6e:089a|18d1:9302) ;; *) continue ;; esac
    node=$(printf '/dev/bus/usb/%03d/%03d' "$(cat "$d/busnum")" "$(cat "$d/devnum")")
    printf '%s %s %s' "$(access "$node")" "$id" "$(cat "$d/speed")" | v usb
  done
  for d in /usr/lib /usr/lib/*-linux-gnu /usr/lib64 /usr/local/lib /lib; do
    [ -e "$d/libedgetpu.so.1" ] && printf %s "$d/libedgetpu.so.1" | v libedgetpu
    [ -e "$d/libtensorflowlite_c.so" ] && printf %s "$d/libtensorflowlite_c.so" | v tflite
  done
  for p in libedgetpu1-std libedgetpu1-max; do
    s=$(dpkg-query -W -f '\${db:Status-Status} \${Version}' "$p") || continue
    case "$s" in installed*) printf '%s %s' "$p" "\${s#installed }" | v package ;; esac
  done
  echo done=1
}
main "$@" </dev/null 2>/dev/null
`

export interface EdgeTpuFacts {
  readonly devices: readonly EdgeTpuDevice[]
  /** Paths of libedgetpu.so.1. */
  readonly libraries: readonly string[]
  /** Paths of a TFLite library with the C API. */
  readonly tfliteLibraries: readonly string[]
  /** The package that libedgetpu is from, where Debian's package list knows it. */
  readonly package: { readonly clock: 'std' | 'max'; readonly version: string } | null
}

export type EdgeTpuDevice =
  | { readonly kind: 'pcie'; readonly node: string; readonly accessible: boolean }
  /** `started`: its firmware is loaded, which libedgetpu does on first use and which changes the USB id. */
  | {
      readonly kind: 'usb'
      readonly accessible: boolean
      readonly started: boolean
      readonly speedMbps: number | null
    }

/**
 * Reads the answer of `edgetpuProbeScript`; lines that say something else are passed over.
 *
 * @throws EdgewrightError DEVICE_ANSWER_INVALID where the script did not come to its end
 */
export function parseEdgeTpuProbe(answer: string): EdgeTpuFacts {
  const values = new Map<string, string[]>()
  for (const line of answer.slice(0, 100_000).split('\n')) {
    const at = line.indexOf('=')
    if (at > 0)
      values.set(line.slice(0, at), [...(values.get(line.slice(0, at)) ?? []), line.slice(at + 1).trim()])
  }
  if (!values.has('done'))
    throw new EdgewrightError(
      'DEVICE_ANSWER_INVALID',
      'The board did not answer what it knows of Edge TPUs.',
      { saw: answer.slice(0, 200) },
    )
  const all = (key: string): string[] => values.get(key) ?? []
  const [, clock, version] =
    all('package')
      .map((line) => /^libedgetpu1-(std|max) (\S+)/.exec(line))
      .find((match) => match !== null) ?? []
  return {
    devices: [...all('apex').map(pcieDevice), ...all('usb').map(usbDevice)].filter(
      (device) => device !== null,
    ),
    libraries: absolute(all('libedgetpu')),
    tfliteLibraries: absolute(all('tflite')),
    package: clock === undefined ? null : { clock: clock as 'std' | 'max', version: version! },
  }
}

function pcieDevice(line: string): EdgeTpuDevice | null {
  const [, accessible, node] = /^(yes|no) (\/dev\/apex_\d+)$/.exec(line) ?? []
  return node === undefined ? null : { kind: 'pcie', node, accessible: accessible === 'yes' }
}

function usbDevice(line: string): EdgeTpuDevice | null {
  const [, accessible, id, speed] = /^(yes|no) (1a6e:089a|18d1:9302)(?: (\d+))?$/.exec(line) ?? []
  return id === undefined
    ? null
    : {
        kind: 'usb',
        accessible: accessible === 'yes',
        started: id === '18d1:9302',
        speedMbps: speed === undefined ? null : Number(speed),
      }
}

function absolute(paths: readonly string[]): string[] {
  return [...new Set(paths)].filter((path) => path.startsWith('/'))
}

export interface PreflightFinding {
  readonly check: 'library' | 'device' | 'permission' | 'usb-speed' | 'clock' | 'delegate-abi'
  readonly state: 'ok' | 'warning' | 'failed'
  readonly message: string
  readonly hint?: string
  /** Where the rule comes from. */
  readonly basis: 'documented' | 'observed' | 'assumed'
}

/** What will happen when the runner opens libedgetpu on this board, check by check. */
export function judgeEdgeTpu(
  facts: EdgeTpuFacts,
  use: {
    /** Version of TFLite that the runner opens, as the library says it. */
    readonly tfliteVersion: string
    /** What `edgetpu_version` says, from the runner's `--check-delegate`; null before it was asked. */
    readonly delegateVersion: string | null
    readonly options: Readonly<Record<string, string>>
  },
): PreflightFinding[] {
  return [
    library(facts),
    device(facts),
    ...permission(facts),
    ...usbSpeed(facts),
    clock(facts, use.options),
    abi(facts, use),
  ]
}

function library({ libraries }: EdgeTpuFacts): PreflightFinding {
  if (libraries.length > 0)
    return {
      check: 'library',
      state: 'ok',
      message: `libedgetpu is at ${libraries[0]}.`,
      basis: 'documented',
    }
  return {
    check: 'library',
    state: 'failed',
    message: 'libedgetpu.so.1 is not on the board.',
    hint: 'Install libedgetpu1-std (or -max) from Coral’s package source.',
    basis: 'documented',
  }
}

function device({ devices }: EdgeTpuFacts): PreflightFinding {
  if (devices.length === 0)
    return {
      check: 'device',
      state: 'failed',
      message: 'The board sees no Edge TPU: no /dev/apex_*, no USB device 1a6e:089a or 18d1:9302.',
      hint: 'Plug it in; for M.2 and PCIe install the gasket driver.',
      basis: 'documented',
    }
  return {
    check: 'device',
    state: 'ok',
    message: devices
      .map((one) =>
        one.kind === 'pcie'
          ? one.node
          : `USB${one.started ? '' : ' (not started yet: the first use loads its firmware)'}`,
      )
      .join(', '),
    basis: 'documented',
  }
}

function permission({ devices }: EdgeTpuFacts): PreflightFinding[] {
  return devices.map(({ kind, accessible }) => {
    if (accessible)
      return { check: 'permission', state: 'ok', message: 'The user may use it.', basis: 'documented' }
    const group = kind === 'pcie' ? 'apex' : 'plugdev'
    return {
      check: 'permission',
      state: 'failed',
      message: `The user may not use the ${kind === 'pcie' ? 'PCIe' : 'USB'} Edge TPU.`,
      hint: `Add the user to the group ${group} (usermod -aG ${group} USER) and log in again; its udev rule comes with ${kind === 'pcie' ? 'the gasket driver' : 'libedgetpu1'}.`,
      basis: 'documented',
    }
  })
}

/** USB 2 gives 480 Mbit/s, USB 3 5000 and more. */
function usbSpeed({ devices }: EdgeTpuFacts): PreflightFinding[] {
  return devices.flatMap((one): PreflightFinding[] => {
    if (one.kind !== 'usb') return []
    if (one.speedMbps === null)
      return [
        {
          check: 'usb-speed',
          state: 'warning',
          message: 'The speed of its USB link is not known.',
          basis: 'documented',
        },
      ]
    if (one.speedMbps >= 5000)
      return [
        { check: 'usb-speed', state: 'ok', message: `USB 3: ${one.speedMbps} Mbit/s.`, basis: 'documented' },
      ]
    return [
      {
        check: 'usb-speed',
        state: 'warning',
        message: `USB 2: ${one.speedMbps} Mbit/s. Inputs, outputs and streamed weights take ten times as long.`,
        hint: 'Use a USB 3 port and cable.',
        basis: 'documented',
      },
    ]
  })
}

function clock(
  { package: installed }: EdgeTpuFacts,
  options: Readonly<Record<string, string>>,
): PreflightFinding {
  const wanted = options.Performance
  if (wanted !== undefined && !/:\d+$/.test(options.device ?? ''))
    return {
      check: 'clock',
      state: 'warning',
      message: `Performance ${wanted} has no effect: libedgetpu takes it only for a device by number.`,
      hint: 'Give device as `usb:0`, `pci:0` or `:0`.',
      basis: 'documented',
    }
  if (wanted !== undefined)
    return { check: 'clock', state: 'ok', message: `Performance ${wanted}, as asked.`, basis: 'documented' }
  if (installed === null)
    return {
      check: 'clock',
      state: 'warning',
      message: 'Whether it runs at standard or maximum clock is not known: libedgetpu is from no package.',
      basis: 'documented',
    }
  if (installed.clock === 'std')
    return {
      check: 'clock',
      state: 'ok',
      message: 'Standard clock (libedgetpu1-std): half of the maximum.',
      basis: 'documented',
    }
  return {
    check: 'clock',
    state: 'warning',
    message: 'Maximum clock (libedgetpu1-max): it gets hot, and draws up to 900 mA from USB.',
    basis: 'documented',
  }
}

/** libedgetpu is compiled against TFLite's structures: a delegate built for another version may crash. */
function abi(
  { package: installed }: EdgeTpuFacts,
  use: { readonly tfliteVersion: string; readonly delegateVersion: string | null },
): PreflightFinding {
  const built =
    /tf(\d+\.\d+(?:\.\d+)?)/.exec(installed?.version ?? '')?.[1] ??
    (installed?.version.startsWith('16.0') ? '2.5' : undefined)
  const runtime = /RuntimeVersion\((\d+)\)/.exec(use.delegateVersion ?? '')?.[1]
  const about = `libedgetpu ${installed?.version ?? 'of unknown version'}${runtime === undefined ? '' : ` (runtime ${runtime})`}`
  if (built !== undefined && minorOf(built) === minorOf(use.tfliteVersion))
    return {
      check: 'delegate-abi',
      state: 'ok',
      message: `${about} was built for TensorFlow Lite ${built}, which is used.`,
      basis: 'documented',
    }
  return {
    check: 'delegate-abi',
    state: 'warning',
    message: `${about} was built for TensorFlow Lite ${built ?? 'of an unknown version'}; the runner opens ${use.tfliteVersion}. Such pairs mostly work and sometimes crash.`,
    hint: 'If it crashes, give the board’s own libtensorflowlite_c.so of that version as the runtime library.',
    basis: 'observed',
  }
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.')
}
