import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Manifest, manifestSchema } from '../../src/artifact/manifest.ts'
import { sha256 } from '../../src/digest.ts'

/** Writes an artifact folder whose compiled file is `model`: what a deploy needs, made without a compile. */
export function writeArtifact(folder: string, name: string, model: Uint8Array): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'model.onnx'), model)
  const file = { path: 'model.onnx', bytes: model.length, sha256: sha256(model) }
  const manifest: Manifest = {
    schemaVersion: 1,
    name,
    target: 'onnxruntime',
    profile: null,
    scheme: 'float',
    model: file.path,
    files: [file],
    runtimes: [],
    prepare: null,
    inputs: [],
    outputs: [],
    preprocessing: null,
    labels: null,
    calibrated: false,
    integerOnly: false,
    recipe: {},
    source: { path: 'model.onnx', sha256: file.sha256, bytes: file.bytes, format: 'onnx' },
    madeBy: { edgewright: '0.1.0', cpu: 'none', threads: 1 },
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifestSchema.parse(manifest)))
  return folder
}
