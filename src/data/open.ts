import { readdir, stat } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { EdgewrightError } from '../error.ts'
import type { Warning } from '../progress.ts'
import { openArrays, openIdxPair } from './array-source.ts'
import { audioExtensions } from './audio.ts'
import type { OpenContext } from './context.ts'
import { openDataYaml } from './data-yaml.ts'
import { exists, sampleFiles } from './files.ts'
import { openSampleFiles } from './folder-source.ts'
import { isIdxName } from './idx.ts'
import { openLoader } from './loader.ts'
import { pictureExtensions } from './picture.ts'
import { parsePreprocessing, type PreprocessingInput } from './preprocessing.ts'
import { datasetOf, fileError, type LabelOptions, type SampleSource } from './source.ts'
import type { Dataset, InputSpec } from './types.ts'

export interface OpenOptions extends LabelOptions {
  /** What the recipe or the flags say; goes before what a data.yaml says. */
  readonly preprocess?: PreprocessingInput
  /** Assumptions made; the caller puts them in the report. */
  readonly warn?: (warning: Warning) => void
  readonly signal?: AbortSignal
}

/**
 * Opens what `--data` names: a folder of pictures or .wav files, or with a data.yaml, an .npz, .npy or idx file, a data.yaml, a loader.mjs.
 * docs/data.md describes each. Nothing is decoded yet, except that a loader is asked once for its samples' labels.
 *
 * @param spec path as given by the user
 * @param inputs the network's inputs, with batch 1
 * @throws DATA_NOT_FOUND, DATA_EMPTY, DATA_BROKEN, DATA_SHAPE, DATA_LABELS, RECIPE_INVALID, CONFIG_INVALID
 */
export async function openDataset(
  spec: string,
  inputs: readonly InputSpec[],
  options: OpenOptions = {},
): Promise<Dataset> {
  try {
    return await openAny(spec, inputs, options)
  } catch (error) {
    throw fileError(error, spec)
  }
}

async function openAny(spec: string, inputs: readonly InputSpec[], options: OpenOptions): Promise<Dataset> {
  if (inputs.length === 0)
    throw new EdgewrightError('DATA_SHAPE', 'The network has no inputs that data could feed.', {
      where: spec,
    })
  const path = resolve(spec)
  const info = await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'The data is not there.', {
      where: spec,
      hint: 'Give a folder, an .npz, .npy or idx file, a data.yaml or a loader.mjs.',
      cause: error,
    })
  })
  const context: OpenContext = {
    inputs,
    said: parsePreprocessing(options.preprocess),
    warn: options.warn,
    signal: options.signal,
  }
  const description = info.isDirectory() ? join(path, 'data.yaml') : path
  if (info.isDirectory() ? await exists(description) : /\.ya?ml$/i.test(path)) {
    const { source, labelOffset } = await openDataYaml(description, context)
    return datasetOf(source, { ...options, labelOffset: options.labelOffset ?? labelOffset })
  }
  return datasetOf(
    info.isDirectory() ? await openFolder(path, context) : await openFile(path, context),
    options,
  )
}

async function openFile(path: string, context: OpenContext): Promise<SampleSource> {
  const extension = extname(path).toLowerCase()
  if (extension === '.npz' || extension === '.npy') return openArrays(path, context)
  if (extension === '.mjs' || extension === '.js') return openLoader(path, context)
  if (isIdxName(path)) return openIdxPair(path, context)
  throw new EdgewrightError('DATA_BROKEN', 'The data is of a kind that is not known.', {
    where: path,
    saw: extension || 'no extension',
    hint: 'Known are folders of pictures or .wav files, .npz, .npy, .idx3-ubyte, data.yaml and loader.mjs. Raw binary files need a data.yaml.',
  })
}

async function openFolder(path: string, context: OpenContext): Promise<SampleSource> {
  const names = await readdir(path)
  if (names.some((name) => isIdxName(name))) return openIdxPair(path, context)
  const extensions = [...pictureExtensions, ...audioExtensions]
  const found = await sampleFiles(path, extensions, { from: null, classNames: null })
  const kinds = new Set(
    found.files.map((file) => (extname(file).toLowerCase() === '.wav' ? 'audio' : 'image')),
  )
  if (kinds.size > 1)
    throw new EdgewrightError('DATA_BROKEN', 'The folder holds pictures and .wav files.', {
      where: path,
      hint: 'Give a folder of one kind, or a data.yaml.',
    })
  return openSampleFiles(
    path,
    kinds.has('audio') ? 'audio' : 'image',
    { from: null, classNames: null, warn: context.warn },
    context,
  )
}
