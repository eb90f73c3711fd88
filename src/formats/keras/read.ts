import { readFileSync, statSync } from 'node:fs'
import { unzipSync } from 'fflate'
import { EdgewrightError } from '../../error.ts'
import type { Model } from '../../graph/types.ts'
import { brokenModel, isRecord } from './config.ts'
import { type Hdf5Content, readHdf5 } from './hdf5.ts'
import { importLayers, type LayersModelOptions } from './import.ts'
import { namedStore, numberedStore } from './store.ts'
import { parseNetwork } from './topology.ts'
import type { WeightStore } from './weights.ts'

export interface ReadKerasOptions extends LayersModelOptions {
  /** Largest file that is read, in bytes; 1 GB where not given. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
}

export type KerasSource = { readonly path: string } | { readonly bytes: Uint8Array; readonly name?: string }

const longestJson = 64 << 20

/**
 * Reads a Keras model for static shapes: an `.h5` of Keras 2 or 3 (a whole model, not weights alone) or a `.keras` of
 * Keras 3. Layers become operators in their own data format; recurrent layers are unrolled; wrappers of the TensorFlow
 * Model Optimization Toolkit become Converts to their learned ranges and back.
 * @throws MODEL_NOT_FOUND, MODEL_BROKEN, MODEL_TOO_LARGE, MODEL_FORMAT_UNSUPPORTED (weights without a network),
 * MODEL_SHAPE_MISSING, MODEL_SHAPE_INVALID, MODEL_NAN_WEIGHTS, OPERATOR_UNSUPPORTED naming the layer, INTERRUPTED
 */
export async function readKeras(source: KerasSource, options: ReadKerasOptions = {}): Promise<Model> {
  const { bytes, where } = load(source, options.maxBytes ?? 2 ** 30)
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b
  const { description, version, store } = isZip
    ? await openZip(bytes, where, options)
    : await openHdf5(bytes, where, options)
  const network = parseNetwork(description, where)
  const major = Number.parseInt(version, 10) || (isZip ? 3 : 2)
  const { graph, signatures } = importLayers(network, store, major, where, options)
  return {
    format: 'keras',
    graphs: new Map([[graph.name, graph]]),
    inputSignatures: signatures,
    metadata: { producer: `Keras ${version}`.trim() },
    externalData: false,
    opsets: {},
  }
}

interface Opened {
  readonly description: unknown
  readonly version: string
  readonly store: WeightStore
}

async function openHdf5(bytes: Uint8Array, where: string, { signal }: ReadKerasOptions): Promise<Opened> {
  const content = await readHdf5(bytes, where, { folders: ['model_weights'], signal })
  const { model_config: config, keras_version: version } = content.attributes[''] ?? {}
  if (typeof config !== 'string')
    throw new EdgewrightError(
      'MODEL_FORMAT_UNSUPPORTED',
      'The HDF5 file holds no Keras model, at most weights.',
      {
        where,
        saw: `attributes ${Object.keys(content.attributes[''] ?? {}).join(', ') || 'none'}`,
        hint: 'Save the whole model with model.save("model.h5"), not save_weights.',
      },
    )
  return {
    description: parseJson(config, where),
    version: typeof version === 'string' ? version : '',
    store: namedStore(content, 'model_weights/'),
  }
}

async function openZip(bytes: Uint8Array, where: string, { signal }: ReadKerasOptions): Promise<Opened> {
  const parts = unzip(bytes, where)
  const [config, metadata, weights] = ['config.json', 'metadata.json', 'model.weights.h5'].map(
    (name) => parts[name],
  )
  if (!config || !weights)
    throw brokenModel('The .keras file lacks its description or its weights.', where, Object.keys(parts))
  const content: Hdf5Content = await readHdf5(weights, `${where}, model.weights.h5`, { signal })
  const stated = metadata ? parseJson(Buffer.from(metadata).toString('utf8'), where) : {}
  return {
    description: parseJson(Buffer.from(config).toString('utf8'), where),
    version: isRecord(stated) && typeof stated.keras_version === 'string' ? stated.keras_version : '',
    store: numberedStore(content),
  }
}

/** Keras stores its parts uncompressed: what claims to grow much is no such file. */
function unzip(bytes: Uint8Array, where: string): Record<string, Uint8Array> {
  const wanted = new Set(['config.json', 'metadata.json', 'model.weights.h5'])
  try {
    return unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        if (!wanted.has(name)) return false
        if (originalSize > Math.max(longestJson, 4 * bytes.byteLength))
          throw new Error(`${name} is too large`)
        return true
      },
    })
  } catch (cause) {
    throw new EdgewrightError('MODEL_BROKEN', 'The .keras file cannot be unpacked.', {
      where,
      saw: cause instanceof Error ? cause.message : String(cause),
      hint: 'It is damaged: compare its size and digest with the original, or save the model again.',
      cause,
    })
  }
}

function parseJson(text: string, where: string): unknown {
  if (text.length > longestJson) throw brokenModel('The description of the model is too long.', where)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw brokenModel(
      'The description of the model is not JSON.',
      where,
      error instanceof Error ? error.message : '',
    )
  }
}

function load(source: KerasSource, maxBytes: number): { bytes: Uint8Array; where: string } {
  if ('bytes' in source) return { bytes: source.bytes, where: source.name ?? 'the Keras model' }
  try {
    const { size } = statSync(source.path)
    if (size > maxBytes)
      throw new EdgewrightError('MODEL_TOO_LARGE', 'The Keras file is larger than what is read.', {
        where: source.path,
        saw: `${size} bytes, limit ${maxBytes}`,
      })
    return { bytes: readFileSync(source.path), where: source.path }
  } catch (cause) {
    if (cause instanceof EdgewrightError) throw cause
    throw new EdgewrightError('MODEL_NOT_FOUND', 'The model file cannot be read.', {
      where: source.path,
      saw: (cause as NodeJS.ErrnoException).code,
      hint: 'Check the path.',
      cause,
    })
  }
}
