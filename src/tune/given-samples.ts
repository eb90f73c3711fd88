import { memoryDataset, type SampleArray } from '../data/in-memory.ts'
import type { LabelOptions } from '../data/source.ts'
import type { Dataset, InputSpec } from '../data/types.ts'
import { EdgewrightError } from '../error.ts'
import type { TensorData } from '../tensor.ts'

/** What is used of a `tf.Tensor`, of `@tensorflow/tfjs` or `@tensorflow/tfjs-node`, whichever the user has. */
export interface TensorLike {
  readonly shape: readonly number[]
  data(): Promise<ArrayLike<number> | string[]>
}

/** Samples that a program holds already: arrays with their shape, or tensors of TensorFlow.js. */
export interface GivenSamples {
  /** Of a network with one input: `[samples, ...sample]`. */
  readonly x?: SampleArray | TensorLike
  /** Of a network with several, by input name. */
  readonly inputs?: Readonly<Record<string, SampleArray | TensorLike>>
  /** Class of each sample, as indices or as a tensor: `[samples]`, or one-hot `[samples, classes]`. */
  readonly labels?: ArrayLike<number> | TensorLike
  readonly classNames?: readonly string[]
}

/**
 * Samples as a data set of a network with these inputs. Tensors are read once and stay the caller's to dispose of.
 *
 * @throws DATA_SHAPE where an input is missing or has another shape than the network's; DATA_LABELS where labels are not
 * one class each
 */
export async function givenDataset(
  { x, inputs, labels, classNames }: GivenSamples,
  specs: readonly InputSpec[],
  options: LabelOptions = {},
): Promise<Dataset> {
  const dtypes = new Map(specs.map(({ name, dtype }) => [name, dtype]))
  const named = await Promise.all(
    Object.entries(inputs ?? {}).map(
      async ([name, array]) => [name, await arrayOf(array, dtypes.get(name) === 'float32')] as const,
    ),
  )
  const dataset = memoryDataset(
    {
      ...(x && { x: await arrayOf(x, specs[0]?.dtype === 'float32') }),
      ...(inputs && { inputs: Object.fromEntries(named) }),
      ...(labels && { labels: await classesOf(labels) }),
      ...(classNames && { classNames }),
    },
    specs,
    options,
  )
  const layout = specs.length === 1 ? layoutOf(specs[0]!) : null
  return { ...dataset, preprocessing: { ...dataset.preprocessing, layout } }
}

/** Which axes of a picture an augmentation moves along; null for anything else than gray and colour pictures. */
function layoutOf({ shape }: InputSpec): 'NCHW' | 'NHWC' | null {
  const [batch, first, , last] = shape
  if (shape.length !== 4 || batch !== 1) return null
  const channels = [first, last].map((size) => size === 1 || size === 3)
  return channels[0] === channels[1] ? null : channels[0] ? 'NCHW' : 'NHWC'
}

/** @param real integers of a tensor become float32, as TensorFlow.js itself would have it */
async function arrayOf(given: SampleArray | TensorLike, real: boolean): Promise<SampleArray> {
  if (typeof given.data !== 'function') return given as SampleArray
  const { shape } = given
  const data = (await (given as TensorLike).data()) as ArrayLike<number>
  const fits = !real || data instanceof Float32Array
  return { shape, data: fits ? (data as TensorData) : Float32Array.from(data) }
}

async function classesOf(labels: ArrayLike<number> | TensorLike): Promise<ArrayLike<number>> {
  if (!('data' in labels)) return labels
  const [count = 0, classes, ...more] = labels.shape
  const data = (await labels.data()) as ArrayLike<number>
  if (classes === undefined) return data
  const rows = Array.from({ length: count }, (_, row) => hotOf(data, row * classes, classes))
  const wrong = rows.indexOf(-1)
  if (more.length === 0 && wrong < 0) return rows
  throw new EdgewrightError('DATA_LABELS', 'Labels are not one class each.', {
    saw: more.length > 0 ? `a tensor [${labels.shape.join(', ')}]` : `row ${wrong} is not one-hot`,
    hint: 'Give a tensor of class indices, [samples], or a one-hot one, [samples, classes].',
  })
}

/** Where a row has its only 1; -1 where anything else than zeros stands beside it. */
function hotOf(data: ArrayLike<number>, from: number, classes: number): number {
  let hot = -1
  for (let at = 0; at < classes; at++) {
    const value = data[from + at]!
    if (value === 0) continue
    if (value !== 1 || hot >= 0) return -1
    hot = at
  }
  return hot
}
