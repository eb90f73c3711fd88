import { readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve, sep } from 'node:path'
import { EdgewrightError } from '../../error.ts'
import { constantOf } from '../../graph/constant.ts'
import type { Model } from '../../graph/types.ts'
import type { TensorData } from '../../tensor.ts'
import { brokenModel, isRecord } from '../keras/config.ts'
import { importLayers, type LayersModelOptions } from '../keras/import.ts'
import { parseNetwork } from '../keras/topology.ts'
import type { StoredWeight } from '../keras/weights.ts'
import { decodeWeights, groupBytes, layerStore, type ManifestGroup, parseManifest } from './weights.ts'

export interface ReadTfjsOptions extends LayersModelOptions {
  /** Most bytes of model.json and weights together; 1 GB where not given. */
  readonly maxBytes?: number
}

/**
 * What is used of a `tf.LayersModel`, of `@tensorflow/tfjs` or `@tensorflow/tfjs-node`, whichever the user has.
 */
export interface TfjsLayersModel {
  toJSON(unused?: unknown, returnString?: boolean): unknown
  readonly weights: readonly TfjsVariable[]
}

interface TfjsVariable {
  readonly name: string
  readonly originalName?: string
  read(): {
    readonly shape: readonly number[]
    readonly dtype: string
    data(): Promise<ArrayLike<number> | string[]>
  }
}

const longestJson = 64 << 20

/**
 * Reads a TensorFlow.js layers model from disk: `model.json`, or the folder that holds it, and the weight files that
 * it names beside it; weights stored as float16, uint8 or uint16 become float32.
 * @throws MODEL_NOT_FOUND, MODEL_BROKEN, MODEL_TOO_LARGE, MODEL_EXTERNAL_DATA (a weight file that is missing or
 * outside the folder), MODEL_FORMAT_UNSUPPORTED (a graph model), and what importing layers throws
 */
export function readTfjs(path: string, options: ReadTfjsOptions = {}): Model {
  const file = isFolder(path) ? join(path, 'model.json') : path
  const budget = new Budget(options.maxBytes ?? 2 ** 30)
  const text = budget.read(file, longestJson).toString('utf8')
  const description = parseJson(text, file)
  requireLayers(description, file)
  const topology = topologyOf(description, file)
  const groups = parseManifest(description.weightsManifest, file)
  const stored = groups.flatMap((group) => decodeWeights(group, readGroup(group, file, budget), file))
  const producer = [description.generatedBy, description.convertedBy]
    .filter((by) => typeof by === 'string')
    .join(', ')
  return modelOf(topology, stored, file, producer, options)
}

/**
 * Takes over a model that lives in TensorFlow.js, trained or loaded there.
 * @throws as `readTfjs` does for what a layer cannot say
 */
export async function fromTfjs(model: TfjsLayersModel, options: LayersModelOptions = {}): Promise<Model> {
  const where = 'the tfjs model'
  if (typeof model?.toJSON !== 'function' || !Array.isArray(model.weights)) throw graphModel(where)
  const json = model.toJSON(null, false)
  const description: unknown = typeof json === 'string' ? parseJson(json, where) : json
  const stored = await Promise.all(
    model.weights.map(async (variable): Promise<StoredWeight> => {
      const tensor = variable.read()
      const data = (await tensor.data()) as ArrayLike<number>
      const dtype = tensor.dtype === 'float32' ? 'float32' : 'int32'
      const elements: TensorData = dtype === 'float32' ? Float32Array.from(data) : Int32Array.from(data)
      return {
        name: variable.originalName ?? variable.name,
        constant: constantOf(dtype, tensor.shape, elements),
      }
    }),
  )
  return modelOf(description, stored, where, 'TensorFlow.js', options)
}

function modelOf(
  topology: unknown,
  stored: readonly StoredWeight[],
  where: string,
  producer: string,
  options: LayersModelOptions,
): Model {
  const network = parseNetwork(topology, where)
  const { graph, signatures } = importLayers(network, layerStore(stored), 2, where, options)
  return {
    format: 'tfjs',
    graphs: new Map([[graph.name, graph]]),
    inputSignatures: signatures,
    metadata: producer ? { producer } : {},
    externalData: false,
    opsets: {},
  }
}

function requireLayers(description: Record<string, unknown>, where: string): void {
  const topology = description.modelTopology
  if (description.format === 'graph-model' || (isRecord(topology) && 'node' in topology))
    throw graphModel(where)
}

function graphModel(where: string): EdgewrightError {
  return new EdgewrightError(
    'MODEL_FORMAT_UNSUPPORTED',
    'A TensorFlow.js graph model has no layers to read.',
    {
      where,
      hint: 'Convert it: pip install tf2onnx, then python -m tf2onnx.convert --tfjs model.json --output model.onnx --opset 17. Or save the layers model that it was made of.',
    },
  )
}

/** Written by tfjs itself, or by the converter of Python around what Keras says. */
function topologyOf({ modelTopology }: Record<string, unknown>, where: string): unknown {
  if (!isRecord(modelTopology)) throw brokenModel('The model.json describes no model.', where)
  return modelTopology.model_config ?? modelTopology
}

function readGroup(group: ManifestGroup, file: string, budget: Budget): Uint8Array {
  const folder = dirname(resolve(file))
  const most = groupBytes(group)
  let left = most
  const parts = group.paths.map((path) => {
    const bytes = budget.read(inside(folder, path, file), left)
    left -= bytes.byteLength
    return bytes
  })
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** A weight file stands beside its model.json; anything else is not opened. */
function inside(folder: string, path: string, file: string): string {
  const refuse = (saw: string, cause?: unknown) =>
    new EdgewrightError('MODEL_EXTERNAL_DATA', 'A weight file of the model cannot be opened.', {
      where: file,
      saw,
      hint: 'The weight files must be in the same folder as model.json, under the names that it states.',
      cause,
    })
  if (isAbsolute(path) || path.includes('\0') || path.includes('\\') || path.split('/').includes('..'))
    throw refuse(`${JSON.stringify(path.slice(0, 200))} leads out of the folder`)
  try {
    const real = realpathSync(join(folder, path))
    if (!real.startsWith(realpathSync(folder) + sep)) throw refuse(`${path} leads out of the folder`)
    return real
  } catch (cause) {
    if (cause instanceof EdgewrightError) throw cause
    throw refuse(`${path.slice(0, 200)}: ${(cause as NodeJS.ErrnoException).code}`, cause)
  }
}

/** Bytes that may still be read. */
class Budget {
  #left: number
  constructor(most: number) {
    this.#left = most
  }

  read(path: string, most: number): Buffer {
    try {
      const stat = statSync(path)
      if (!stat.isFile()) throw Object.assign(new Error('not a regular file'), { code: 'not a regular file' })
      if (stat.size > most)
        throw brokenModel('A file of the model is longer than it should be.', path, `${stat.size} bytes`)
      if (stat.size > this.#left)
        throw new EdgewrightError('MODEL_TOO_LARGE', 'The model is larger than what is read.', {
          where: path,
        })
      this.#left -= stat.size
      return readFileSync(path)
    } catch (cause) {
      if (cause instanceof EdgewrightError) throw cause
      throw new EdgewrightError('MODEL_NOT_FOUND', 'A file of the model cannot be read.', {
        where: path,
        saw: (cause as NodeJS.ErrnoException).code,
        hint: 'Check the path.',
        cause,
      })
    }
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function parseJson(text: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value)) return value
  } catch (error) {
    throw brokenModel(
      'The description of the model is not JSON.',
      where,
      error instanceof Error ? error.message : '',
    )
  }
  throw brokenModel('The description of the model is not an object.', where)
}
