import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readArtifact } from '../artifact/folder.ts'
import type { Manifest } from '../artifact/manifest.ts'
import type { IntegerType } from '../data/quantize-tensor.ts'
import { sha256, sha256OfFile } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { openSource } from '../compile/source.ts'
import type { Progress } from '../progress.ts'

/** What a command is given: an artifact folder, or any model file as it is. */
export type Subject =
  | {
      readonly kind: 'artifact'
      readonly folder: string
      readonly manifest: Manifest
      readonly modelPath: string
      readonly bytes: number
      readonly sha256: string
    }
  | { readonly kind: 'model'; readonly path: string; readonly bytes: number; readonly sha256: string }

export async function openSubject(spec: string): Promise<Subject> {
  const path = resolve(spec)
  const found = await stat(path).catch((cause: unknown) => {
    throw new EdgewrightError('MODEL_NOT_FOUND', 'There is no such model or artifact.', {
      where: path,
      hint: 'Name a model file, or a folder made by edgewright compile.',
      cause,
    })
  })
  if (found.isDirectory()) {
    const manifest = await readArtifact(path)
    const model = manifest.files.find((file) => file.path === manifest.model)!
    return {
      kind: 'artifact',
      folder: path,
      manifest,
      modelPath: join(path, manifest.model),
      bytes: model.bytes,
      sha256: model.sha256,
    }
  }
  return { kind: 'model', path, bytes: found.size, sha256: await sha256OfFile(path) }
}

/** A model file with static shapes, ready for a runner: its path is the user's own where nothing had to be bound. */
export async function staticModel(
  path: string,
  shapes: Readonly<Record<string, readonly number[]>>,
  progress: Progress,
) {
  const source = await openSource({ model: path, shapes }, progress)
  return { source, bytes: source.floatModel, sha256: sha256(source.floatModel) }
}

/** Integer inputs and outputs of an artifact, in its order. */
export function storedTypes(tensors: Manifest['inputs']): { name: string; stored: IntegerType | null }[] {
  return tensors.map(({ name, dtype, quantization }) => ({
    name,
    stored: quantization ? { dtype: dtype as IntegerType['dtype'], ...quantization } : null,
  }))
}
