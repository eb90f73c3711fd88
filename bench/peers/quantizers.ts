import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { recipeSchema } from '../../src/compile/recipe.ts'
import { sha256, sha256OfFile } from '../../src/digest.ts'
import { type Environment, here, lab, pythonOf, type Runtime } from './places.ts'
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
      /** The same of all its threads, whatever else the machine did. */
      readonly cpuSeconds: number
      readonly peakRssBytes: number
    }
  | { readonly name: string; readonly failure: string }

/** A peer in one setting. */
export interface Peer {
  readonly name: string
  readonly runtime: Runtime
  readonly environment: Environment
  /** What its file depends on, first the one that is run. */
  readonly scripts: readonly [string, ...string[]]
  readonly setting: string
}

const onnx = { runtime: 'onnx', environment: 'onnx', scripts: ['quantize_onnx.py'] } as const
const aimet = {
  runtime: 'onnx',
  environment: 'aimet',
  scripts: ['quantize_aimet.py', 'quantize_onnx.py'],
} as const
const modelopt = {
  runtime: 'onnx',
  environment: 'modelopt',
  scripts: ['quantize_modelopt.py', 'quantize_onnx.py'],
} as const
const litert = { runtime: 'litert', environment: 'litert', scripts: ['quantize_litert.py'] } as const
const rebuilt = { ...litert, scripts: ['quantize_litert.py', 'rebuild_tf.py'] } as const
const keras = { ...litert, scripts: ['quantize_litert.py', 'keras_file.py'] } as const

export const peers: readonly Peer[] = [
  { name: 'ort-minmax', ...onnx, setting: 'onnxruntime.quantization, min-max' },
  { name: 'ort-percentile', ...onnx, setting: 'onnxruntime.quantization, percentile (99.999)' },
  { name: 'ort-entropy', ...onnx, setting: 'onnxruntime.quantization, entropy' },
  { name: 'nncf', ...onnx, setting: 'NNCF, fast bias correction (its default)' },
  { name: 'nncf-full-bias', ...onnx, setting: 'NNCF, fast_bias_correction=False' },
  { name: 'nncf-no-bias', ...onnx, setting: 'NNCF, no bias correction' },
  { name: 'aimet', ...aimet, setting: 'AIMET-ONNX, its default ranges' },
  { name: 'aimet-cle', ...aimet, setting: 'AIMET-ONNX, the same after cross-layer equalization' },
  { name: 'modelopt', ...modelopt, setting: 'NVIDIA ModelOpt, entropy (its default)' },
  { name: 'modelopt-max', ...modelopt, setting: 'NVIDIA ModelOpt, max' },
  { name: 'tflite-converter', ...rebuilt, setting: 'TFLite converter, from the float .tflite' },
  { name: 'tflite-converter-keras', ...keras, setting: 'TFLite converter, from the Keras file' },
  { name: 'ai-edge-quantizer', ...litert, setting: 'ai-edge-quantizer, min-max' },
  { name: 'ai-edge-quantizer-octav', ...litert, setting: 'ai-edge-quantizer, OCTAV' },
  { name: 'ai-edge-quantizer-mse', ...litert, setting: 'ai-edge-quantizer, MSE' },
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
  const { float, calibration } = prepared.inputs[peer.runtime]
  const model = peer.scripts.includes('keras_file.py') ? prepared.keras : float
  if (model === null) return null
  const key = sha256(
    [
      peer.name,
      await sha256OfFile(model),
      await sha256OfFile(calibration),
      ...[...peer.scripts, `requirements-${peer.environment}.txt`].map((name) =>
        readFileSync(here(name), 'utf8'),
      ),
    ].join('\n'),
  ).slice(0, 16)
  const folder = join(lab, 'cache', `${peer.name}-${key}`)
  const stored = join(folder, 'result.json')
  const file = join(folder, `model.${extension[peer.runtime]}`)
  if (!fresh && existsSync(stored)) {
    const known: Quantized = JSON.parse(readFileSync(stored, 'utf8'))
    // the repository may have moved since
    return 'file' in known ? { ...known, file } : known
  }
  mkdirSync(folder, { recursive: true })
  const made = attempt(peer.name, file, () =>
    runForJson(pythonOf(peer.environment), here(peer.scripts[0]), peer.name, model, calibration, file),
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
  work: () => { seconds: number; cpuSeconds: number; peakRssBytes: number },
): Quantized {
  try {
    return { name, file, ...work(), bytes: statSync(file).size }
  } catch (error) {
    const lines = (error as Error).message.trim().split('\n')
    return { name, failure: lines.findLast((line) => /Error|error/.test(line)) ?? lines.at(-1)! }
  }
}
