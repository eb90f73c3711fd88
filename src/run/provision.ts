import { onnxRuntimeBuild } from '../artifact/runtimes.ts'
import { ensureBlob } from '../deploy/blobs.ts'
import type { Device } from '../deploy/types.ts'
import { EdgewrightError } from '../error.ts'
import { prebuiltRunner } from '../measure/prebuilt-runner.ts'
import type { Progress } from '../progress.ts'

/** What a board needs to run anything of ours; both are there by digest and sent only once. */
export interface Provisioned {
  /** Absolute paths on the board. */
  readonly runner: string
  readonly library: string
  readonly runtime: { readonly name: string; readonly version: string; readonly sha256: string }
}

/** Puts the runner and ONNX Runtime on a board, where they are not there yet. */
export async function provision(device: Device, progress: Progress): Promise<Provisioned> {
  const { architecture } = device.facts
  const build = onnxRuntimeBuild(architecture)
  if (!build)
    throw new EdgewrightError('DEVICE_UNSUPPORTED', 'There is no build of ONNX Runtime for this kind of processor.', {
      where: device.name,
      saw: architecture,
      hint: 'Boards need a 64-bit Linux: aarch64 or x86_64.',
    })
  const runner = prebuiltRunner(architecture)
  progress.stage('provision', device.name)
  const placedRunner = await ensureBlob(device, runner.path, runner.sha256, { executable: true, progress })
  const placedLibrary = await ensureBlob(device, build.path, build.sha256, { progress })
  return {
    runner: placedRunner.path,
    library: placedLibrary.path,
    runtime: { name: 'onnxruntime', version: build.version, sha256: build.sha256 },
  }
}
