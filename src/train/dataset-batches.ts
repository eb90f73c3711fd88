import { seededGenerator, shuffle } from '../data/generator.ts'
import { iterate } from '../data/iterate.ts'
import type { Dataset, Sample } from '../data/types.ts'
import { EdgewrightError } from '../error.ts'
import { throwIfAborted } from '../progress.ts'
import type { Tensor, TensorData } from '../tensor.ts'
import type { Batch, BatchSource } from './batches.ts'
import { type SampleCache, sampleCache } from './sample-cache.ts'

/** Changes the inputs of one sample (batch 1) into others of the same shapes; the same inputs and seed give the same. */
export type Augment = (inputs: Sample['inputs'], seed: number) => Sample['inputs']

export interface DatasetBatchesOptions {
  readonly batchSize: number
  readonly seed: number
  /** In a new order each epoch; else as `indices` has them. */
  readonly shuffle: boolean
  /**
   * What becomes of samples that fill no batch. `left-out` (the default, for training): they wait for an epoch whose order
   * has them further ahead, and fewer samples than one batch are repeated. `padded` (to evaluate): in a last batch, filled up
   * with samples that `Batch.samples` does not count.
   */
  readonly rest?: 'left-out' | 'padded'
  readonly augment?: Augment
  /** Of decoded samples that are kept; others are decoded again in each epoch. Default 512 MiB. */
  readonly cacheBytes?: number
  /** In place of an own one of `cacheBytes`: of the same data set. */
  readonly cache?: SampleCache
}

/**
 * Samples of a data set in batches: each input stacked along its first axis, in its own type, and `label`, int64 [N], −1
 * where a sample has none and in rows that only repeat one. The order depends on seed and epoch alone, what augmentation
 * does on seed, epoch and sample: an epoch that begins at a later step goes on exactly.
 *
 * A batch is valid until the next is asked for: buffers are used again. In memory are the cache, two batches (the second
 * is decoded while the first is trained on) and a few samples.
 *
 * @throws DATA_EMPTY without indices; from its batches DATA_SHAPE where samples differ in shape, what the data set throws,
 * INTERRUPTED at the signal
 */
export function datasetBatches(
  dataset: Pick<Dataset, 'sample' | 'description'>,
  indices: readonly number[],
  options: DatasetBatchesOptions,
): BatchSource {
  const { batchSize, seed, augment, rest = 'left-out' } = options
  if (indices.length === 0)
    throw new EdgewrightError('DATA_EMPTY', 'There are no samples to make batches of.', {
      where: dataset.description,
    })
  if (!(Number.isSafeInteger(batchSize) && batchSize >= 1))
    throw new EdgewrightError('CONFIG_INVALID', 'A batch holds at least one sample.', {
      saw: `batch size ${batchSize}`,
    })
  const cache = options.cache ?? sampleCache(dataset, options.cacheBytes ?? 512 * 2 ** 20)
  const whole = indices.length / batchSize
  const steps = rest === 'padded' ? Math.ceil(whole) : Math.max(1, Math.floor(whole))
  return {
    length: indices.length,
    batchSize,
    steps,
    async *epoch(epoch, fromStep = 0, signal) {
      const order = [...indices]
      if (options.shuffle) shuffle(order, seededGenerator(mix(seed, epoch)))
      const change = augment
        ? (sample: Sample, index: number) => ({
            ...sample,
            inputs: augment(sample.inputs, mix(seed, epoch, index)),
          })
        : (sample: Sample) => sample
      const stop = { asked: false }
      const make = async (step: number, rows: Rows): Promise<Batch> => {
        const first = step * batchSize
        await fill(rows, order, first, cache, change, stop, signal)
        return { feeds: rows.feeds(), samples: Math.min(batchSize, order.length - first) }
      }
      const buffers = [new Rows(batchSize), new Rows(batchSize)] as const
      let next = fromStep < steps ? make(fromStep, buffers[fromStep % 2]!) : null
      try {
        for (let step = fromStep; next; step++) {
          const batch: Batch = await next
          next = step + 1 < steps ? make(step + 1, buffers[(step + 1) % 2]!) : null
          // awaited in its turn; until then a failure must not count as unhandled
          next?.catch(() => undefined)
          yield batch
          throwIfAborted(signal)
        }
      } finally {
        stop.asked = true
        await next?.catch(() => undefined)
      }
    },
  }
}

/** Puts the samples of one step into their rows; what is not kept is decoded a few ahead. */
async function fill(
  rows: Rows,
  order: readonly number[],
  first: number,
  cache: SampleCache,
  change: (sample: Sample, index: number) => Sample,
  stop: { readonly asked: boolean },
  signal: AbortSignal | undefined,
): Promise<void> {
  const put = (row: number, sample: Sample) => rows.put(row, sample, first + row < order.length)
  const missing = new Map<number, number[]>()
  for (let row = 0; row < rows.count; row++) {
    const index = order[(first + row) % order.length]!
    const sample = cache.kept(index)
    if (sample) put(row, change(sample, index))
    else missing.set(index, [...(missing.get(index) ?? []), row])
  }
  const places = missing.entries()
  for await (const sample of iterate(cache, missing.keys(), signal ? { signal } : {})) {
    if (stop.asked) return
    const [index, found] = places.next().value!
    const changed = change(sample, index)
    for (const row of found) put(row, changed)
  }
}

/** The buffers of one batch: of the shapes of the first sample that comes. */
class Rows {
  readonly count: number
  readonly #labels: BigInt64Array
  #inputs: ReadonlyMap<string, { readonly shape: readonly number[]; readonly all: Tensor }> | null = null

  constructor(count: number) {
    this.count = count
    this.#labels = new BigInt64Array(count)
  }

  put(row: number, { id, inputs, label }: Sample, counts: boolean): void {
    this.#labels[row] = counts && label !== null ? BigInt(label) : -1n
    this.#inputs ??= new Map(
      [...inputs].map(([name, one]) => [name, { shape: one.shape, all: stackOf(one, this.count) }]),
    )
    if (inputs.size !== this.#inputs.size)
      throw unlike(id, [...inputs.keys()].join(', '), [...this.#inputs.keys()].join(', '))
    for (const [name, tensor] of inputs) {
      const { shape, all } = this.#inputs.get(name) ?? {}
      if (!shape || !all) throw unlike(id, name, [...this.#inputs.keys()].join(', '))
      const { data, dtype } = tensor
      if (dtype !== all.dtype || data.length * this.count !== all.data.length || !equal(tensor.shape, shape))
        throw unlike(id, described(name, tensor), described(name, { dtype: all.dtype, shape }))
      all.data.set(data as never, row * data.length)
    }
  }

  feeds(): ReadonlyMap<string, Tensor> {
    const labels: Tensor = { dtype: 'int64', shape: [this.count], data: this.#labels }
    // an input of the network that has this name stays what it is
    return new Map([['label', labels], ...[...this.#inputs!].map(([name, { all }]) => [name, all] as const)])
  }
}

function stackOf({ dtype, shape, data }: Tensor, count: number): Tensor {
  const Make = data.constructor as new (length: number) => TensorData
  const [first = 1, ...more] = shape
  return { dtype, shape: [first * count, ...more], data: new Make(data.length * count) }
}

function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}

function described(name: string, { dtype, shape }: Pick<Tensor, 'dtype' | 'shape'>): string {
  return `${name}: ${dtype} [${shape.join(', ')}]`
}

function unlike(id: string, saw: string, expected: string): EdgewrightError {
  return new EdgewrightError('DATA_SHAPE', 'The samples of a batch must have one shape.', {
    where: id,
    saw: `${saw} beside ${expected}`,
    hint: 'Store all samples in the shape that the network takes.',
  })
}

/** One seed of several numbers. */
function mix(...numbers: readonly number[]): number {
  return (
    numbers.reduce((hash, number) => Math.imul(hash ^ number, 0x9e3779b1) ^ (hash >>> 15), 0x2545f491) >>> 0
  )
}
