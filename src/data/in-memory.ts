import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import { bytesOf, elementCount, type Tensor, type TensorData } from '../tensor.ts'
import { resolveTensor } from './preprocessing.ts'
import { datasetOf, type LabelOptions } from './source.ts'
import type { Dataset, InputSpec } from './types.ts'

/** Samples that a program holds already: all of one input one behind the other. float32, or the input's own type. */
export interface SampleArray {
  readonly data: TensorData
  /** `[samples, ...sample]`. */
  readonly shape: readonly number[]
}

export interface SamplesInMemory {
  /** Of a network with one input. */
  readonly x?: SampleArray
  /** By input name. */
  readonly inputs?: Readonly<Record<string, SampleArray>>
  /** Class of each sample. */
  readonly labels?: ArrayLike<number>
  readonly classNames?: readonly string[]
}

/**
 * A data set of arrays in memory, as the network takes them: nothing is changed or copied.
 *
 * @throws DATA_SHAPE where an input is missing or has another shape or type than the network's, DATA_LABELS
 */
export function memoryDataset(
  samples: SamplesInMemory,
  inputs: readonly InputSpec[],
  options: LabelOptions = {},
): Dataset {
  const arrays = new Map(inputs.map((spec) => [spec.name, arrayOf(samples, spec, inputs.length === 1)]))
  const length = arrays.values().next().value?.shape[0] ?? 0
  for (const [name, { shape }] of arrays)
    if (shape[0] !== length) throw mismatch(name, `${shape[0]} samples beside ${length} of another input`)
  if (samples.labels && samples.labels.length !== length)
    throw new EdgewrightError('DATA_LABELS', 'There are not as many labels as samples.', {
      saw: `${samples.labels.length} labels, ${length} samples`,
    })
  const labels = Array.from({ length }, (_, index) => samples.labels?.[index] ?? null)
  return datasetOf(
    {
      description: `${length} samples in memory`,
      length,
      id: (index) => `sample ${index}`,
      labels,
      classNames: samples.classNames ?? null,
      preprocessing: resolveTensor({}, inputs.length === 1 ? inputs[0]! : null),
      read: async (index) =>
        new Map(inputs.map((spec) => [spec.name, rowOf(arrays.get(spec.name)!, spec, index)])),
      contentDigest: async () =>
        sha256([...arrays.values()].map(({ data }) => sha256(bytesOf(data))).join('\n')),
    },
    options,
  )
}

function arrayOf(samples: SamplesInMemory, { name, dtype, shape }: InputSpec, single: boolean): SampleArray {
  const array = samples.inputs?.[name] ?? (single ? samples.x : undefined)
  if (!array) throw mismatch(name, 'no such array')
  const [length = 0, ...row] = array.shape
  if (elementCount(row) !== elementCount(shape)) throw mismatch(name, `[${array.shape.join(', ')}]`)
  if (array.data.length !== length * elementCount(row))
    throw mismatch(name, `${array.data.length} elements for [${array.shape.join(', ')}]`)
  if (dtype === 'float32' && !(array.data instanceof Float32Array))
    throw mismatch(name, array.data.constructor.name)
  return array
}

function rowOf({ data }: SampleArray, { dtype, shape }: InputSpec, index: number): Tensor {
  const size = elementCount(shape)
  return { dtype, shape, data: data.subarray(index * size, (index + 1) * size) as TensorData }
}

function mismatch(name: string, saw: string): EdgewrightError {
  return new EdgewrightError('DATA_SHAPE', 'The samples in memory do not fit an input of the network.', {
    where: name,
    saw,
    hint: 'Give each input as {data, shape}: all samples one behind the other, the first axis counting them.',
  })
}
