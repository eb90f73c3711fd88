import type { Manifest } from '../../artifact/manifest.ts'
import type { Board } from '../../compile/board.ts'
import { floatBaseline } from '../../compile/candidates.ts'
import type { Prepared } from '../../compile/compile.ts'
import { halfBaseline } from '../../compile/half-baseline.ts'
import { ensureBlobBytes } from '../../deploy/blobs.ts'
import type { Device, Release } from '../../deploy/types.ts'
import { sha256 } from '../../digest.ts'
import { atLeast, type TensorRtVersion } from '../../measure/trtexec/version.ts'
import type { Progress } from '../../progress.ts'
import type { EngineWish } from './engine.ts'

type Trtexec = Extract<NonNullable<Manifest['prepare']>, { kind: 'trtexec' }>

/** What an artifact asks trtexec to build; null where it asks for nothing of the kind. */
export function trtexecOf({ prepare }: Pick<Manifest, 'prepare'>): Trtexec | null {
  return prepare && 'kind' in prepare && prepare.kind === 'trtexec' ? prepare : null
}

/** The engine of an artifact that stands on the board. */
export function artifactWish(
  manifest: Manifest,
  trtexec: Trtexec,
  release: Pick<Release, 'path'>,
): EngineWish {
  const onBoard = (file: string) => `${release.path}/${file}`
  return {
    precision: trtexec.precision,
    source: {
      weak: { model: onBoard(trtexec.weaklyTyped.model), allow: trtexec.weaklyTyped.allow },
      strong: { model: onBoard(trtexec.stronglyTyped.model) },
    },
    sha256: new Map(manifest.files.map((file) => [onBoard(file.path), file.sha256])),
    dla: trtexec.dla,
  }
}

/**
 * What int8 has to beat: the same network in float32, and in float16 where the artifact is not that already. The GPU
 * alone runs them, as an application without quantization would.
 */
export async function baselineWishes(
  device: Device,
  prepared: Prepared,
  board: Board,
  version: TensorRtVersion,
  artifact: EngineWish,
  progress: Progress,
): Promise<EngineWish[]> {
  const float = floatBaseline(prepared, board)
  const place = async (bytes: Uint8Array) => (await ensureBlobBytes(device, bytes, { progress })).path
  const model = await place(float)
  const digests = new Map([[model, sha256(float)]])
  const fp32: EngineWish = {
    precision: 'fp32',
    source: { weak: { model, allow: [] }, strong: null },
    sha256: digests,
    dla: null,
  }
  if (artifact.precision !== 'int8') return [fp32]
  const half = atLeast(version, [10, 12]) ? halfBaseline(prepared, board) : null
  const typed = half ? await place(half) : null
  if (typed) digests.set(typed, sha256(half!))
  const fp16: EngineWish = {
    precision: 'fp16',
    source: { weak: { model, allow: ['fp16'] }, strong: typed ? { model: typed } : null },
    sha256: digests,
    dla: null,
  }
  return [fp32, fp16]
}
