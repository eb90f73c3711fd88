import { onnxRuntimeBuild } from '../artifact/runtimes.ts'
import { ensureBlob } from '../deploy/blobs.ts'
import type { Device, DeviceFacts } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import type { Engine } from '../execute/open.ts'
import type { PlanDelegate } from '../measure/plan.ts'
import { prebuiltRunner } from '../measure/prebuilt-runner.ts'
import type { Progress } from '../progress.ts'
import { prepareEdgeTpu } from './edgetpu.ts'
import { litertBuild } from '../runtimes/litert.ts'

/** What a board needs to run anything of ours; both are there by digest and sent only once. */
export interface Provisioned {
  /** Absolute paths on the board. */
  readonly runner: string
  readonly library: string
  readonly backend: Engine
  readonly runtime: { readonly name: string; readonly version: string; readonly sha256: string }
  /** True where the library gives the time of each operator. */
  readonly timesOperators: boolean
  /** For artifacts that an accelerator runs; the float network goes without. */
  readonly delegate?: PlanDelegate
}

interface Build {
  readonly name: string
  readonly version: string
  readonly path: string
  readonly sha256: string
}

/** Puts the runner and a runtime library on a board, where they are not there yet. */
export async function provision(
  device: Device,
  engine: Engine,
  progress: Progress,
  accelerator: 'edgetpu' | null = null,
): Promise<Provisioned> {
  const build = engine === 'litert' ? litertFor(device.facts, accelerator !== null) : onnxRuntimeFor(device)
  const delegate = accelerator === 'edgetpu' ? await prepareEdgeTpu(device, build.version, progress) : null
  const runner = prebuiltRunner(device.facts.architecture)
  progress.stage('provision', device.name)
  const placedRunner = await ensureBlob(device, runner.path, runner.sha256, { executable: true, progress })
  const placedLibrary = await ensureBlob(device, build.path, build.sha256, { progress })
  return {
    runner: placedRunner.path,
    library: placedLibrary.path,
    backend: engine,
    runtime: { name: build.name, version: build.version, sha256: build.sha256 },
    // LiteRT's own C API, the newest, gives no operator times
    timesOperators: engine === 'onnxruntime' || build.name === 'tflite',
    ...(delegate ? { delegate } : {}),
  }
}

function litertFor({ architecture, libc }: DeviceFacts, tfliteApi: boolean): Build {
  return litertBuild({
    architecture,
    tfliteApi,
    ...(libc.name === 'glibc' && libc.version ? { glibc: libc.version } : {}),
  })
}

function onnxRuntimeFor({ name, facts }: Device): Build {
  const build = onnxRuntimeBuild(facts.architecture)
  if (build) return { name: 'onnxruntime', ...build }
  throw new EdgewrightError(
    'DEVICE_UNSUPPORTED',
    'There is no build of ONNX Runtime for this kind of processor.',
    {
      where: name,
      saw: facts.architecture,
      hint: 'Boards need a 64-bit Linux: aarch64 or x86_64.',
    },
  )
}
