import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { elementCount } from '../tensor.ts'
import { openAnnotations } from './annotations.ts'
import { openArrays, openIdxPair, single } from './array-source.ts'
import type { OpenContext } from './context.ts'
import { type DataDescription, dataSchema } from './data-schema.ts'
import { bytesPerElement } from './elements.ts'
import type { FileLabels } from './files.ts'
import { openSampleFiles } from './folder-source.ts'
import { openIdx } from './idx.ts'
import { classIndices, readClassNames, readLabelTable } from './labels.ts'
import { imageShape, type Layout } from './layout.ts'
import { isBuiltInMetric } from './metric.ts'
import { openNpy } from './npy.ts'
import { resolveTensor } from './preprocessing.ts'
import type { SampleSource } from './source.ts'
import { recordFile, type StoredArray } from './stored-array.ts'
import { labelsOf, storedSource } from './stored-samples.ts'
import type { Task } from './types.ts'
import { readYaml } from './yaml-document.ts'

/**
 * Opens what a data.yaml describes. Its `preprocess` is overridden field by field by what the recipe or the flags say.
 *
 * @throws CONFIG_INVALID with every mistake and its line
 */
export async function openDataYaml(
  path: string,
  context: OpenContext,
): Promise<{ source: SampleSource; labelOffset: number | 'auto' | undefined }> {
  const description = await readYaml(path, dataSchema, 'docs/data.md lists every field.')
  const folder = dirname(path)
  const said = { ...description.preprocess, ...context.said, audio: mergeAudio(description, context) }
  if (said.audio === undefined) delete said.audio
  const classNames = await classNamesOf(description, folder)
  const described = { description, folder, classNames }
  const source = await annotated(described, context, await openFiles(described, { ...context, said }))
  const { metric = source.metric } = description
  return {
    source: {
      ...source,
      description: description.description ?? source.description,
      classNames: classNames ?? source.classNames,
      metric: metric === undefined || isBuiltInMetric(metric) ? metric : resolve(folder, metric),
    },
    labelOffset: description.labels?.offset,
  }
}

/** A source with what `detection` or `segmentation` says of it, and its boxes or masks. */
async function annotated(
  { description, folder, classNames }: Described,
  context: OpenContext,
  source: SampleSource,
): Promise<SampleSource> {
  const { detection, segmentation, labels, files } = description
  if (!detection && !segmentation) return source
  const { height, width, layout } = imageShape(context.inputs[0]!, source.preprocessing.layout)
  const shape = { height, width, classes: classNames?.length ?? null }
  const task: Task = detection
    ? { kind: 'detection', detection, ...shape }
    : { kind: 'segmentation', segmentation: segmentation!, layout, ...shape }
  const at = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path))
  const [coco, yolo, masks] = [at(labels?.coco), at(labels?.yolo), at(labels?.masks)]
  const path = coco ?? yolo ?? masks
  if (path === undefined) return { ...source, task }
  await mustExist(path)
  const annotations = await openAnnotations(
    { coco, yolo, masks, categories: labels?.categories },
    {
      root: resolve(folder, files.images!),
      files: Array.from({ length: source.length }, (_, index) => source.id(index)),
      preprocessing: source.preprocessing,
      classNames,
      task,
    },
  )
  return {
    ...source,
    task,
    classNames: annotations.classNames,
    metric: detection ? 'map' : 'miou',
    annotate: (index) => annotations.annotate(index),
    contentDigest: async () =>
      sha256(JSON.stringify([await source.contentDigest(), await annotations.contentDigest()])),
  }
}

interface Described {
  readonly description: DataDescription
  readonly folder: string
  readonly classNames: readonly string[] | null
}

function mergeAudio(description: DataDescription, context: OpenContext) {
  const [below, above] = [description.preprocess?.audio, context.said.audio]
  return below || above ? { ...below, ...above } : undefined
}

async function classNamesOf(
  { classNames }: DataDescription,
  folder: string,
): Promise<readonly string[] | null> {
  return typeof classNames === 'string' ? readClassNames(resolve(folder, classNames)) : (classNames ?? null)
}

async function openFiles(described: Described, context: OpenContext): Promise<SampleSource> {
  const { files } = described.description
  const at = (path: string) => resolve(described.folder, path)
  const picked = files.images ?? files.wav
  if (picked !== undefined) {
    await mustExist(at(picked))
    return openSampleFiles(
      at(picked),
      files.images === undefined ? 'audio' : 'image',
      await fileLabels(described, context),
      context,
    )
  }
  return openStoredFiles(described, context, at)
}

async function openStoredFiles(
  described: Described,
  context: OpenContext,
  at: (path: string) => string,
): Promise<SampleSource> {
  const { files, labels } = described.description
  if (
    files.npz !== undefined ||
    (files.idx !== undefined && !files.layout && !labels?.idx && !labels?.csv && !labels?.npy)
  ) {
    const path = at((files.npz ?? files.idx)!)
    await mustExist(path)
    const source =
      files.npz !== undefined ? await openArrays(path, context) : await openIdxPair(path, context)
    return withLabels(source, await arrayLabels(described, source.length))
  }
  const arrays = await storedArrays(described, context, at)
  const [spec] = context.inputs
  const length = arrays.get(spec!.name)!.shape[0] ?? 0
  const target = files.layout && targetLayout(files.layout, arrays.get(spec!.name)!.shape.slice(1), context)
  return storedSource({
    description: `${length} samples of ${[...arrays.values()].map((array) => array.path).join(', ')}`,
    arrays,
    inputs: context.inputs,
    labels: (await arrayLabels(described, length))?.labels ?? null,
    classNames: described.classNames,
    preprocessing: resolveTensor(
      target ? { ...context.said, layout: target } : context.said,
      context.inputs.length === 1 ? spec! : null,
    ),
    transposeFrom: target === files.layout ? undefined : files.layout,
  })
}

/**
 * The layout that the network takes, where the description states the stored one: the same if the stored samples have
 * the input's shape already, else the other.
 */
function targetLayout(stored: Layout, sample: readonly number[], { inputs, said }: OpenContext): Layout {
  if (said.layout !== undefined) return said.layout
  return inputs[0]!.shape.slice(1).join() === sample.join() ? stored : stored === 'NHWC' ? 'NCHW' : 'NHWC'
}

async function storedArrays(
  { description }: Described,
  context: OpenContext,
  at: (path: string) => string,
): Promise<Map<string, StoredArray>> {
  const { files } = description
  if (files.arrays) {
    const arrays = new Map<string, StoredArray>()
    for (const spec of context.inputs) {
      const path = Object.hasOwn(files.arrays, spec.name) ? files.arrays[spec.name] : undefined
      if (path === undefined)
        throw new EdgewrightError('DATA_SHAPE', `No array is given for the input ${spec.name}.`, {
          where: 'files.arrays',
          saw: Object.keys(files.arrays).join(', '),
        })
      await mustExist(at(path))
      arrays.set(spec.name, await openNpy(at(path)))
    }
    return arrays
  }
  const path = at((files.npy ?? files.idx ?? files.binary?.path)!)
  await mustExist(path)
  const array = files.binary
    ? await openBinary(path, files.binary)
    : files.npy !== undefined
      ? await openNpy(path)
      : await openIdx(path)
  return single(context.inputs, array, path)
}

/** Raw samples: as many as the file holds; a part of one at the end is an error. */
async function openBinary(
  path: string,
  binary: NonNullable<DataDescription['files']['binary']>,
): Promise<StoredArray> {
  const { dtype, shape, offsetBytes, byteOrder } = binary
  const width = bytesPerElement(dtype)
  const recordBytes = elementCount(shape) * width
  const strideBytes = binary.sampleBytes ?? recordBytes
  const size = (await stat(path)).size - offsetBytes
  const length = size / strideBytes
  if (
    !Number.isSafeInteger(recordBytes) ||
    recordBytes > 2 ** 31 ||
    strideBytes < recordBytes ||
    !(length >= 0) ||
    !Number.isInteger(length)
  )
    throw new EdgewrightError('DATA_BROKEN', 'The binary file is not a whole number of samples.', {
      where: path,
      saw: `${size} bytes, ${strideBytes} a sample of ${recordBytes} bytes (${dtype} [${shape.join(', ')}])`,
      hint: 'Check dtype, shape, sampleBytes and offsetBytes.',
    })
  return recordFile({
    path,
    dtype,
    shape: [length, ...shape],
    start: offsetBytes,
    recordBytes,
    strideBytes,
    width,
    bigEndian: byteOrder === 'big',
  })
}

async function fileLabels(
  { description: { labels }, folder, classNames }: Described,
  context: OpenContext,
): Promise<FileLabels> {
  const base = { classNames, warn: context.warn }
  if (labels?.csv !== undefined)
    return { ...base, from: { table: await readLabelTable(resolve(folder, labels.csv), labels) } }
  if (labels?.idx !== undefined || labels?.npy !== undefined)
    throw new EdgewrightError(
      'CONFIG_INVALID',
      'Labels of files come from a csv, from folders or from file names.',
      { where: 'labels', hint: 'Use `csv`, or `from`.' },
    )
  const boxesOrMasks = labels?.coco ?? labels?.yolo ?? labels?.masks
  return { ...base, from: boxesOrMasks === undefined ? (labels?.from ?? null) : 'none' }
}

/** Labels of stored samples, in their order; undefined where the description says nothing. */
async function arrayLabels({ description: { labels }, folder, classNames }: Described, length: number) {
  if (labels?.from === 'none') return { labels: new Array<null>(length).fill(null), classNames }
  if (labels?.from !== undefined)
    throw new EdgewrightError('CONFIG_INVALID', 'Stored samples have no files to take labels from.', {
      where: 'labels.from',
      saw: labels.from,
      hint: 'Use `csv`, `idx` or `npy`.',
    })
  if (labels?.csv !== undefined) {
    const table = await readLabelTable(resolve(folder, labels.csv), labels)
    return classIndices(
      table.rows.map((row) => row.label),
      classNames,
      table.path,
    )
  }
  const path = labels?.idx ?? labels?.npy
  if (path === undefined) return undefined
  await mustExist(resolve(folder, path))
  const array =
    labels?.idx !== undefined ? await openIdx(resolve(folder, path)) : await openNpy(resolve(folder, path))
  return { labels: await labelsOf(array), classNames }
}

function withLabels(
  source: SampleSource,
  found: { labels: readonly (number | null)[] } | undefined,
): SampleSource {
  if (!found) return source
  if (found.labels.length !== source.length)
    throw new EdgewrightError('DATA_LABELS', 'There are not as many labels as samples.', {
      where: source.description,
      saw: `${found.labels.length} labels, ${source.length} samples`,
    })
  return { ...source, labels: found.labels }
}

async function mustExist(path: string): Promise<void> {
  await stat(path).catch((error) => {
    throw new EdgewrightError('DATA_NOT_FOUND', 'A file that the description names is not there.', {
      where: path,
      hint: 'Paths are relative to the folder of the data.yaml.',
      cause: error,
    })
  })
}
