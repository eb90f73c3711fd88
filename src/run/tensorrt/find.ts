import type { Pin } from '../../deploy/pins.ts'
import { printable } from '../../deploy/printable.ts'
import type { Device } from '../../deploy/types.ts'
import { EdgewrightError } from '../../error.ts'
import type { Trtexec } from '../../measure/trtexec/commands.ts'
import { failureOf } from '../../measure/trtexec/failures.ts'
import { type JetsonGpu, jetsonGpu, l4tRelease } from '../../measure/trtexec/jetson.ts'
import { parsePowerModes } from '../../measure/conditions/power-mode.ts'
import type { PowerMode } from '../../measure/conditions/types.ts'
import { parsePowerQuery } from '../../measure/trtexec/power-mode.ts'
import {
  atLeast,
  versionOfBanner,
  versionOfName,
  type TensorRtVersion,
} from '../../measure/trtexec/version.ts'

/** What a board has to build and run engines with. */
export interface BoardTensorRt {
  readonly trtexec: Trtexec
  /** Null where the board is no Jetson. */
  readonly jetson: JetsonGpu | null
  /** Tells GPUs apart that need engines of their own: `tegra234 sm_8.7`, `NVIDIA L4 sm_8.9`. */
  readonly gpu: string
  /** Jetson Linux, e.g. `36.4.3`. */
  readonly l4t: string | null
  /** In force while engines are built and measured; null where the board has no nvpmodel. */
  readonly powerMode: PowerMode | null
  /** How the board is held for the time of each build and measurement. */
  readonly pins: readonly Pin[]
}

/** The same board held as asked: a power mode that is set for the run is the one that its engines are for. */
export function holding(tensorRt: BoardTensorRt, pins: readonly Pin[]): BoardTensorRt {
  const mode = pins.find((pin) => pin.what === 'power-mode')
  return { ...tensorRt, pins, powerMode: mode ? { id: mode.id, name: mode.name } : tensorRt.powerMode }
}

/**
 * Finds trtexec, on PATH or off it, and asks it for its version and options.
 *
 * @throws EdgewrightError RUNTIME_MISSING where there is none, DEVICE_UNSUPPORTED where it is older than TensorRT 8,
 *   ENGINE_FAILED where it does not start
 */
export async function findTensorRt(device: Device, signal?: AbortSignal): Promise<BoardTensorRt> {
  const answer = await device.connection.script(surveyScript, [], {
    deadlineMs: 60_000,
    maxOutputBytes: 512 * 1024,
    ...(signal ? { signal } : {}),
  })
  const said = (key: string) =>
    answer.stdout
      .split('\n')
      .filter((line) => line.startsWith(`${key}=`))
      .map((line) => printable(line.slice(key.length + 1), 512))
  const path = said('trtexec').find((found) => /^\/[^\s'"]+$/.test(found))
  if (path === undefined) throw notFound(device)
  const libraries = said('package').concat(said('library'))
  const { version, options } = await askTrtexec(device, path, libraries, signal)
  const jetson = jetsonGpu(device.facts.compatible)
  return {
    trtexec: { path, version, options },
    jetson,
    gpu: jetson ? `${jetson.soc} sm_${jetson.computeCapability}` : (said('gpu')[0] ?? 'unknown GPU'),
    l4t: l4tRelease(device.facts.extras['nv_tegra_release']),
    powerMode:
      parsePowerQuery(said('query').join('\n')) ??
      parsePowerModes(said('status')[0] ?? null, said('mode'))?.current ??
      null,
    pins: [],
  }
}

/** Where JetPack, tar files and containers put it; then whatever package has it. Read-only. */
const surveyScript = `
main() {
  LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH
  candidates() {
    command -v trtexec
    for f in /usr/src/tensorrt/bin/trtexec /usr/local/tensorrt/bin/trtexec /usr/local/TensorRT*/bin/trtexec \\
      /opt/tensorrt/bin/trtexec /opt/TensorRT*/bin/trtexec /opt/nvidia/tensorrt/bin/trtexec "\${HOME:-/nowhere}"/TensorRT*/bin/trtexec; do echo "$f"; done
    dpkg -S '*/bin/trtexec' 2>/dev/null | sed 's/^[^:]*: //'
  }
  candidates | while IFS= read -r f; do [ -f "$f" ] && [ -x "$f" ] && { echo "trtexec=$f"; break; }; done
  dpkg-query -W -f '\${Version}\\n' 'libnvinfer[0-9]*' 2>/dev/null | sed 's/^/package=/' | head -n 8
  for f in /usr/lib/*-linux-gnu/libnvinfer.so.*.*.*; do [ -e "$f" ] && echo "library=\${f##*/}"; done
  # nvpmodel knows best; where it asks for root, its status and its configuration do
  nvpmodel -q 2>/dev/null | head -n 20 | sed 's/^/query=/'
  head -n 1 /var/lib/nvpmodel/status 2>/dev/null | sed 's/^/status=/'
  grep '^[[:space:]]*<[[:space:]]*POWER_MODEL' /etc/nvpmodel.conf 2>/dev/null | head -n 64 | sed 's/^[[:space:]]*/mode=/'
  [ -e /etc/nv_tegra_release ] || nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | sed 's/, / sm_/; s/^/gpu=/'
  return 0
}
main "$@" </dev/null
`

async function askTrtexec(
  device: Device,
  path: string,
  libraries: readonly string[],
  signal?: AbortSignal,
): Promise<{ version: TensorRtVersion; options: ReadonlySet<string> | null }> {
  const help = await device.connection.exec([path, '--help'], {
    deadlineMs: 60_000,
    maxOutputBytes: 1024 * 1024,
    ...(signal ? { signal } : {}),
  })
  const text = `${help.stdout}\n${help.stderr}`
  const version = versionOfBanner(text) ?? libraries.map(versionOfName).find((found) => found !== null)
  if (!version || (help.exitCode !== 0 && !/--onnx/.test(text))) {
    const failure = failureOf(text, help.exitCode)
    throw new EdgewrightError('ENGINE_FAILED', `The board’s trtexec does not start: ${failure.sentence}`, {
      where: `${device.name}: ${path}`,
      saw: failure.saw,
      hint: failure.hint,
    })
  }
  if (!atLeast(version, [8, 0]))
    throw new EdgewrightError('DEVICE_UNSUPPORTED', 'The TensorRT of this board is too old.', {
      where: `${device.name}: ${path}`,
      saw: `TensorRT ${version.major}.${version.minor}`,
      hint: 'Explicit quantization needs TensorRT 8: JetPack 4.6 or newer.',
    })
  const options = new Set(
    [...text.matchAll(/(?:^|\s)(--[A-Za-z][A-Za-z0-9]{1,40})\b/g)].map(([, name]) => name!),
  )
  // a help text without the one option that every version has is none
  return { version, options: options.has('--onnx') && options.has('--exportTimes') ? options : null }
}

function notFound(device: Device): EdgewrightError {
  return new EdgewrightError('RUNTIME_MISSING', `There is no trtexec on ${device.name}.`, {
    where: device.name,
    saw: 'neither on PATH nor under /usr/src/tensorrt, /usr/local or /opt',
    hint: 'Install it on the board: sudo apt install libnvinfer-bin (JetPack 5 and newer) or nvidia-tensorrt (JetPack 4).',
  })
}
