import { seededGenerator, shuffle } from '../data/generator.ts'
import { iterate } from '../data/iterate.ts'
import type { Dataset, Sample } from '../data/types.ts'
import { elementCount, type Tensor, type TensorData } from '../tensor.ts'
import type { Batch, BatchSource } from './batches.ts'

/** Changes one sample's input; the randomness is the sample's own in this epoch. */
export type Augment = (tensor: Tensor, random: () => number) => Tensor

export interface DatasetBatchesOptions {
  readonly batchSize: number
  readonly seed: number
  readonly shuffle: boolean
  readonly augment?: Augment
  /** Of decoded samples that are kept; others are decoded again in each epoch. Default 512 MiB. */
  readonly cacheBytes?: number
}

/**
 * Samples of a data set in batches: each input stacked along its first axis, and `label`, int64 [N], −1 where a sample has
 * none. The order depends on seed and epoch alone, what augmentation does on seed, epoch and sample.
 */
export function datasetBatches(
  dataset: Dataset,
  indices: readonly number[],
  { batchSize, seed, augment, cacheBytes = 512 << 20, ...options }: DatasetBatchesOptions,
): BatchSource {
  const cached = cachedSamples(dataset, cacheBytes)
  const steps = Math.max(1, Math.floor(indices.length / batchSize))
  return {
    length: indices.length,
    batchSize,
    steps,
    async *epoch(epoch, fromStep = 0, signal) {
      const order = [...indices]
      if (options.shuffle) shuffle(order, seededGenerator(mix(seed, epoch)))
      const picked = Array.from({ length: steps * batchSize }, (_, row) => order[row % order.length]!)
      const samples = iterate(cached, picked.slice(fromStep * batchSize), { ...(signal && { signal }) })
      let rows: Sample[] = []
      let position = fromStep * batchSize
      for await (const sample of samples) {
        const random = seededGenerator(mix(seed, epoch, picked[position++]!))
        rows.push(augment ? augmented(sample, augment, random.next) : sample)
        if (rows.length < batchSize) continue
        yield batchOf(rows, Math.min(batchSize, indices.length))
        rows = []
      }
    },
  }
}

function cachedSamples(dataset: Dataset, most: number): Pick<Dataset, 'sample'> {
  const kept = new Map<number, Sample>()
  let bytes = 0
  return {
    async sample(index) {
      const known = kept.get(index)
      if (known) return known
      const sample = await dataset.sample(index)
      for (const { data } of sample.inputs.values()) bytes += data.byteLength
      if (bytes <= most) kept.set(index, sample)
      return sample
    },
  }
}

function augmented(sample: Sample, augment: Augment, random: () => number): Sample {
  return { ...sample, inputs: new Map([...sample.inputs].map(([name, x]) => [name, augment(x, random)])) }
}

function batchOf(rows: readonly Sample[], samples: number): Batch {
  const feeds = new Map<string, Tensor>()
  for (const [name, first] of rows[0]!.inputs) {
    const size = elementCount(first.shape)
    const Make = first.data.constructor as new (length: number) => TensorData
    const data = new Make(size * rows.length)
    rows.forEach((row, index) => {
      data.set(row.inputs.get(name)!.data as never, index * size)
    })
    const shape = [first.shape[0]! * rows.length, ...first.shape.slice(1)]
    feeds.set(name, { dtype: first.dtype, shape, data })
  }
  const labels = BigInt64Array.from(rows, ({ label }) => BigInt(label ?? -1))
  feeds.set('label', { dtype: 'int64', shape: [rows.length], data: labels })
  return { feeds, samples }
}

/** One seed of several numbers. */
function mix(...numbers: readonly number[]): number {
  return (
    numbers.reduce((hash, number) => Math.imul(hash ^ number, 0x9e3779b1) ^ (hash >>> 15), 0x2545f491) >>> 0
  )
}
