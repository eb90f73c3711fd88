import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { recipeSchema } from '../../src/compile/recipe.ts'
import { sha256, sha256OfFile } from '../../src/digest.ts'
import { here, lab, pythonOf, type Runtime } from './places.ts'
import type { Prepared } from './prepare.ts'
import { runForJson } from './process.ts'

/** A file that a quantizer made, or why it made none. */
export type Quantized =
  | {
      readonly name: string
      readonly file: string
      readonly bytes: number
      /** Of the quantizer's own work: without imports. */
      readonly seconds: number
      readonly peakRssBytes: number
    }
  | { readonly name: string; readonly failure: string }

/** A peer in one setting. */
export interface Peer {
  readonly name: string
  readonly runtime: Runtime
  readonly setting: string
}

export const peers: readonly Peer[] = [
  { name: 'ort-minmax', runtime: 'onnx', setting: 'onnxruntime.quantization, min-max' },
  { name: 'ort-percentile', runtime: 'onnx', setting: 'onnxruntime.quantization, percentile (99.999)' },
  { name: 'ort-entropy', runtime: 'onnx', setting: 'onnxruntime.quantization, entropy' },
  { name: 'nncf', runtime: 'onnx', setting: 'NNCF, fast bias correction (its default)' },
  { name: 'nncf-full-bias', runtime: 'onnx', setting: 'NNCF, fast_bias_correction=False' },
  { name: 'nncf-no-bias', runtime: 'onnx', setting: 'NNCF, no bias correction' },
  { name: 'tflite-converter', runtime: 'litert', setting: 'TFLite converter, from the float .tflite' },
  { name: 'tflite-converter-keras', runtime: 'litert', setting: 'TFLite converter, from the Keras file' },
  { name: 'ai-edge-quantizer', runtime: 'litert', setting: 'ai-edge-quantizer, min-max' },
  { name: 'ai-edge-quantizer-octav', runtime: 'litert', setting: 'ai-edge-quantizer, OCTAV' },
  { name: 'ai-edge-quantizer-mse', runtime: 'litert', setting: 'ai-edge-quantizer, MSE' },
]

/** Ours: each preset where the recipe has them, else its defaults. */
export const presets: readonly string[] =
  'preset' in recipeSchema.shape ? ['fast', 'balanced', 'best'] : ['default']
export const nameOfPreset = (preset: string) => `edgewright-${preset}`

const extension = { onnx: 'onnx', litert: 'tflite' } as const

/** What a peer made of these inputs before is taken again, times and all. */
export async function quantizeWithPeer(
  peer: Peer,
  prepared: Prepared,
  fresh: boolean,
): Promise<Quantized | null> {
  const inputs = prepared.inputs[peer.runtime]
  const keras = peer.name.endsWith('-keras')
  if (keras && prepared.keras === null) return null
  const scripts = peer.runtime === 'onnx' ? ['quantize_onnx.py'] : ['quantize_litert.py', 'rebuild_tf.py']
  const key = sha256(
    [
      peer.name,
      ...(await Promise.all(
        [inputs.float, inputs.calibration, ...(keras ? [prepared.keras!] : [])].map((path) =>
          sha256OfFile(path),
        ),
      )),
      ...[...scripts, `requirements-${peer.runtime}.txt`].map((name) => readFileSync(here(name), 'utf8')),
    ].join('\n'),
  ).slice(0, 16)
  const folder = join(lab, 'cache', `${peer.name}-${key}`)
  const stored = join(folder, 'result.json')
  if (!fresh && existsSync(stored)) return JSON.parse(readFileSync(stored, 'utf8'))
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `model.${extension[peer.runtime]}`)
  const made = attempt(peer.name, file, () =>
    runForJson(
      pythonOf(peer.runtime),
      here(scripts[0]!),
      peer.name,
      inputs.float,
      ...(peer.runtime === 'litert' ? [keras ? prepared.keras! : '-'] : []),
      inputs.calibration,
      file,
    ),
  )
  writeFileSync(`${stored}.part`, JSON.stringify(made))
  renameSync(`${stored}.part`, stored)
  return made
}

/** Never taken again: ours is what is being worked on. */
export function quantizeWithOurs(runtime: Runtime, preset: string, prepared: Prepared): Quantized {
  const { float, calibration, evaluation } = prepared.inputs[runtime]
  const folder = join(prepared.folder, `${nameOfPreset(preset)}-${runtime}`)
  rmSync(folder, { recursive: true, force: true })
  return attempt(nameOfPreset(preset), join(folder, `model.${extension[runtime]}`), () =>
    runForJson(
      process.execPath,
      '--import',
      'tsx',
      here('quantize-ours.ts'),
      preset,
      runtime === 'onnx' ? 'onnxruntime' : 'litert',
      float,
      calibration,
      evaluation,
      `${prepared.calibrationSamples}`,
      folder,
    ),
  )
}

function attempt(
  name: string,
  file: string,
  work: () => { seconds: number; peakRssBytes: number },
): Quantized {
  try {
    return { name, file, ...work(), bytes: statSync(file).size }
  } catch (error) {
    const lines = (error as Error).message.trim().split('\n')
    return { name, failure: lines.findLast((line) => /Error|error/.test(line)) ?? lines.at(-1)! }
  }
}
