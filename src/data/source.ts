import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import type { Warning } from '../progress.ts'
import type { Tensor } from '../tensor.ts'
import { seededGenerator, shuffle } from './generator.ts'
import { withOffset } from './labels.ts'
import type { Annotation, Dataset, Preprocessing, Task } from './types.ts'

/** What a reader of one kind of data gives: samples in order, labels as the data states them. */
export interface SampleSource {
  readonly description: string
  readonly length: number
  id(index: number): string
  /** As stated, not shifted by an offset. */
  readonly labels: readonly (number | null)[]
  readonly classNames: readonly string[] | null
  readonly preprocessing: Preprocessing
  readonly metric?: string
  /** How its outputs are to be read, where they are not classes. */
  readonly task?: Task
  read(index: number): Promise<ReadonlyMap<string, Tensor>>
  /** Labels that are more than a class, as stated; null for a sample without. */
  annotate?(index: number): Promise<Annotation | null>
  /** sha256 over the samples' stored content, in order. */
  contentDigest(): Promise<string>
  /** Changes whenever the stored content of these samples does; absent where only `contentDigest` tells. */
  fingerprint?(indices: readonly number[]): Promise<string>
}

export interface LabelOptions {
  /** Number of the network's classes, where known. */
  readonly classes?: number
  /** Added to every label; `auto` is 1 where the network has one class more than the data names, else 0. */
  readonly labelOffset?: number | 'auto'
  readonly seed?: number
  /** At most so many samples, picked by seed. */
  readonly limit?: number
  readonly warn?: (warning: Warning) => void
}

/**
 * The data set of a source: labels shifted and checked, cut to the limit.
 *
 * @throws DATA_LABELS where a label is not one of the network's classes
 */
export function datasetOf(source: SampleSource, options: LabelOptions): Dataset {
  if (source.length === 0)
    throw new EdgewrightError('DATA_EMPTY', 'The data holds no samples.', { where: source.description })
  const offset = resolveOffset(source, options)
  const labels = source.labels.map((label) => (label === null ? null : label + offset))
  checkLabels(source, labels, offset, options.classes)
  const preprocessing = { ...source.preprocessing, labelOffset: offset }
  const whole: Dataset = {
    description: source.description,
    length: source.length,
    labelled: source.annotate !== undefined || labels.some((label) => label !== null),
    task: source.task,
    labels,
    classNames: source.classNames,
    metric: source.metric,
    preprocessing,
    digest: once(async () => sha256(JSON.stringify([await source.contentDigest(), labels, preprocessing]))),
    async fingerprint(indices) {
      const content = (await source.fingerprint?.(indices)) ?? (await source.contentDigest())
      return sha256(JSON.stringify([content, indices, preprocessing]))
    },
    async sample(index) {
      if (!(Number.isInteger(index) && index >= 0 && index < source.length))
        throw new RangeError(`sample ${index} of ${source.length}`)
      const id = source.id(index)
      const inputs = await source.read(index).catch((error) => {
        throw fileError(error, id)
      })
      for (const [name, tensor] of inputs) refuseNaN(tensor, name, id)
      const stated = await source.annotate?.(index).catch((error) => {
        throw fileError(error, id)
      })
      return {
        id,
        inputs,
        label: labels[index] ?? null,
        ...(stated ? { annotation: withOffset(stated, offset, source.task?.classes ?? null, id) } : {}),
      }
    },
  }
  return options.limit === undefined || options.limit >= whole.length
    ? whole
    : subset(whole, pick(whole.length, options.limit, options.seed ?? 0))
}

/** A view of some of a data set's samples, in the order given. */
export function subset(dataset: Dataset, indices: readonly number[]): Dataset {
  return {
    ...dataset,
    description: `${dataset.description} (${indices.length} of ${dataset.length})`,
    length: indices.length,
    labelled:
      dataset.labels && !dataset.task
        ? indices.some((index) => dataset.labels![index] !== null)
        : dataset.labelled,
    labels: dataset.labels && indices.map((index) => dataset.labels![index] ?? null),
    digest: once(async () => sha256(JSON.stringify([await dataset.digest(), indices]))),
    fingerprint: (chosen) => dataset.fingerprint(chosen.map((index) => indices[index]!)),
    sample: async (index) => {
      const mapped = indices[index]
      if (mapped === undefined) throw new RangeError(`sample ${index} of ${indices.length}`)
      return dataset.sample(mapped)
    },
  }
}

function pick(length: number, limit: number, seed: number): number[] {
  const indices = shuffle(
    Array.from({ length }, (_, index) => index),
    seededGenerator(seed),
  )
  return indices.slice(0, Math.max(1, limit)).sort((a, b) => a - b)
}

function resolveOffset(source: SampleSource, { classes, labelOffset = 'auto', warn }: LabelOptions): number {
  if (labelOffset !== 'auto') return labelOffset
  const named = source.classNames?.length
  if (named !== undefined && classes === named + 1 && source.labels.some((label) => label !== null)) {
    warn?.({
      code: 'LABEL_OFFSET_ASSUMED',
      message: `The network has ${classes} classes and the data names ${named}: labels are shifted by 1.`,
      hint: 'State the label offset (0 or 1) to be sure.',
    })
    return 1
  }
  if (
    named === undefined &&
    classes === 1001 &&
    source.labels.every((label) => label === null || label < 1000) &&
    source.labels.includes(0)
  )
    warn?.({
      code: 'LABEL_OFFSET_UNCERTAIN',
      message:
        'The network has 1001 classes and the labels start at 0 and stay below 1000: no offset is applied.',
      hint: 'If class 0 of the network is "background", state label offset 1.',
    })
  return 0
}

function checkLabels(
  source: SampleSource,
  labels: readonly (number | null)[],
  offset: number,
  classes: number | undefined,
): void {
  for (let index = 0; index < labels.length; index++) {
    const label = labels[index]
    if (label === null || label === undefined) continue
    if (Number.isInteger(label) && label >= 0 && (classes === undefined || label < classes)) continue
    throw new EdgewrightError(
      'DATA_LABELS',
      `A label is not one of the network's classes${classes === undefined ? '' : ` (0 to ${classes - 1})`}.`,
      {
        where: source.id(index),
        saw: offset === 0 ? `label ${label}` : `label ${label} (${label - offset} with offset ${offset})`,
        hint: offsetHint(source.labels, classes),
      },
    )
  }
}

/** The commonest mistake: 1000 against 1001 classes, or labels counted from 1. */
function offsetHint(stated: readonly (number | null)[], classes: number | undefined): string {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const label of stated) {
    if (label === null) continue
    low = Math.min(low, label)
    high = Math.max(high, label)
  }
  const span = `The labels run from ${low} to ${high}.`
  if (classes !== undefined && low >= 1 && high === classes)
    return `${span} They seem to count from 1 (or to keep a "background" class 0 that the network lacks, 1001 against 1000): set the label offset to -1.`
  if (classes !== undefined && high - low < classes)
    return `${span} Set the label offset (1 for a network with one class more than the data, 1001 against 1000; -1 for the opposite), or 0 if one is set.`
  return `${span} Check that data and network belong together.`
}

/** One NaN would spread into every range that calibration finds. Infinities may be masks. */
function refuseNaN({ data }: Tensor, input: string, id: string): void {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return
  if (!Number.isNaN(sumOf(data))) return
  for (let i = 0; i < data.length; i++)
    if (Number.isNaN(data[i]))
      throw new EdgewrightError('DATA_BROKEN', `A sample holds NaN for the input ${input}.`, {
        where: id,
        saw: `NaN at element ${i}`,
        hint: 'Take the sample out, or check scale and std.',
      })
}

/** NaN where an element is, or where both infinities are. In four lanes: one would wait for each of its own results. */
function sumOf(elements: Float32Array | Float64Array): number {
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0]
  const whole = elements.length & ~3
  for (let i = 0; i < whole; i += 4) {
    sum0 += elements[i]!
    sum1 += elements[i + 1]!
    sum2 += elements[i + 2]!
    sum3 += elements[i + 3]!
  }
  for (let i = whole; i < elements.length; i++) sum0 += elements[i]!
  return sum0 + sum1 + (sum2 + sum3)
}

const fileFailures: Record<string, string> = {
  ENOENT: 'is not there any more',
  EACCES: 'may not be read',
  EPERM: 'may not be read',
  EISDIR: 'is a folder',
  ENOTDIR: 'is not a folder',
  EIO: 'cannot be read from its disk',
  ELOOP: 'is a link that leads back to itself',
}

/** What the operating system says of a file, as an error of the data; anything else as it is. */
export function fileError(error: unknown, where: string): unknown {
  if (error instanceof EdgewrightError || !(error instanceof Error)) return error
  const { code, path } = error as NodeJS.ErrnoException
  const failure = code === undefined ? undefined : fileFailures[code]
  return failure
    ? new EdgewrightError('DATA_BROKEN', `A file of the data ${failure}.`, {
        where: path ?? where,
        saw: code,
        cause: error,
      })
    : error
}

/** Computes once, however often asked. A failure is not kept. */
export function once<T>(compute: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= compute().catch((error) => {
      result = undefined
      throw error
    })
    return result
  }
}
