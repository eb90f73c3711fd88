import { basename } from 'node:path'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { elementCount, type Tensor, viewAs } from '../tensor.ts'
import { floatsOf, inputTensor } from './elements.ts'
import { isIdentity, normalizeTensor, transposeLayout } from './normalize.ts'
import type { Layout } from './layout.ts'
import type { SampleSource } from './source.ts'
import type { StoredArray } from './stored-array.ts'
import type { InputSpec, Preprocessing } from './types.ts'

export interface StoredSamples {
  readonly description: string
  /** One array for each input. */
  readonly arrays: ReadonlyMap<string, StoredArray>
  readonly inputs: readonly InputSpec[]
  readonly labels: readonly (number | null)[] | null
  readonly classNames: readonly string[] | null
  readonly preprocessing: Preprocessing
  /** Layout of the stored samples where it differs from the input's. */
  readonly transposeFrom?: Layout
  readonly metric?: string
}

/**
 * Samples that are stored as tensors: idx, .npy, .npz, raw binary.
 *
 * @throws DATA_SHAPE where an array's samples are not of the input's shape (dimensions of 1 aside)
 */
export function storedSource(stored: StoredSamples): SampleSource {
  const { inputs, arrays, preprocessing } = stored
  const first = arrays.get(inputs[0]!.name)!
  const length = first.shape[0] ?? 0
  for (const spec of inputs) checkShape(spec, arrays.get(spec.name)!, length, stored.transposeFrom)
  if (inputs.length > 1 && !isIdentity(preprocessing))
    throw new EdgewrightError(
      'RECIPE_INVALID',
      'Preprocessing of stored tensors needs a network with one input.',
      {
        where: inputs.map((spec) => spec.name).join(', '),
        hint: 'Store the arrays as the network takes them, or give a loader.mjs.',
      },
    )
  if (stored.labels && stored.labels.length !== length)
    throw new EdgewrightError('DATA_LABELS', 'There are not as many labels as samples.', {
      where: stored.description,
      saw: `${stored.labels.length} labels, ${length} samples`,
    })
  const name = basename(first.path)
  return {
    description: stored.description,
    length,
    id: (index) => `${name}[${index}]`,
    labels: stored.labels ?? new Array<null>(length).fill(null),
    classNames: stored.classNames,
    preprocessing,
    metric: stored.metric,
    async read(index) {
      const tensors = new Map<string, Tensor>()
      for (const spec of inputs)
        tensors.set(spec.name, await readTensor(arrays.get(spec.name)!, index, spec, stored))
      return tensors
    },
    async contentDigest() {
      const digests = []
      for (const [input, array] of arrays)
        digests.push([input, array.dtype, array.shape, await array.digest()])
      return sha256(JSON.stringify(digests))
    },
    async fingerprint() {
      const prints = []
      for (const [input, array] of arrays)
        prints.push([
          input,
          array.dtype,
          array.shape,
          (await array.fingerprint?.()) ?? (await array.digest()),
        ])
      return sha256(JSON.stringify([prints, stored.transposeFrom ?? null]))
    },
  }
}

async function readTensor(
  array: StoredArray,
  index: number,
  spec: InputSpec,
  stored: StoredSamples,
): Promise<Tensor> {
  const raw = viewAs(array.dtype, await array.record(index))
  if (array.dtype === spec.dtype && isIdentity(stored.preprocessing) && !stored.transposeFrom)
    return { dtype: spec.dtype, shape: spec.shape, data: raw }
  const from = stored.transposeFrom
  const floats = floatsOf(array.dtype, raw)
  const values = from ? transposeLayout(floats, [1, ...array.shape.slice(1)], from) : floats
  return inputTensor(
    normalizeTensor(values, spec.shape, stored.preprocessing),
    spec,
    `${array.path}[${index}]`,
  )
}

function checkShape(
  spec: InputSpec,
  array: StoredArray,
  length: number,
  transposeFrom: Layout | undefined,
): void {
  const sample = array.shape.slice(1)
  const expected = transposeFrom ? otherLayout(spec.shape, transposeFrom) : spec.shape
  const same = squeeze(sample).join() === squeeze(expected).join()
  if (array.shape.length > 0 && same && (array.shape[0] ?? 0) === length) return
  const swapped =
    spec.shape.length === 4 &&
    (['NCHW', 'NHWC'] as const).find(
      (from) => squeeze(sample).join() === squeeze(otherLayout(spec.shape, from)).join(),
    )
  throw new EdgewrightError(
    'DATA_SHAPE',
    `The stored samples are not of the shape that input ${spec.name} takes.`,
    {
      where: array.path,
      saw: `${length === array.shape[0] ? `each [${sample.join(', ')}]` : `an array [${array.shape.join(', ')}] beside ${length} samples`}, expected [${spec.shape.join(', ')}]`,
      hint: swapped
        ? `They seem to be ${swapped}: say \`layout: ${swapped}\` under \`files\` in a data.yaml.`
        : `The first axis counts samples; the rest must be the input's shape (${elementCount(spec.shape)} elements).`,
    },
  )
}

/** The input's shape as it would be stored in the layout `from`. */
function otherLayout(shape: readonly number[], from: Layout): readonly number[] {
  return from === 'NHWC'
    ? [shape[0]!, ...shape.slice(2), shape[1]!]
    : [shape[0]!, shape[shape.length - 1]!, ...shape.slice(1, -1)]
}

function squeeze(shape: readonly number[]): number[] {
  return shape.filter((dimension) => dimension !== 1)
}

/**
 * Labels from an array: whole numbers, one a sample, or one-hot rows.
 *
 * @throws DATA_LABELS
 */
export async function labelsOf(array: StoredArray): Promise<number[]> {
  const [length = 0, classes = 1] = array.shape
  const wrong = (saw: string) =>
    new EdgewrightError(
      'DATA_LABELS',
      'The array of labels must hold one class index a sample, or one-hot rows.',
      { where: array.path, saw },
    )
  if (array.shape.length === 0 || array.shape.length > 2 || classes < 1)
    throw wrong(`shape [${array.shape.join(', ')}]`)
  const labels: number[] = []
  for (let index = 0; index < length; index++) {
    const row = floatsOf(array.dtype, viewAs(array.dtype, await array.record(index)))
    const label = classes === 1 ? row[0]! : row.indexOf(1)
    const oneHot =
      classes === 1 || (label >= 0 && row.every((value, position) => value === (position === label ? 1 : 0)))
    if (!Number.isInteger(label) || !oneHot) throw wrong(`[${[...row.slice(0, 8)].join(', ')}] at ${index}`)
    labels.push(label)
  }
  return labels
}
