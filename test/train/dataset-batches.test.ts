import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Dataset, Sample } from '../../src/data/types.ts'
import type { Batch, BatchSource } from '../../src/train/batches.ts'
import { type DatasetBatchesOptions, datasetBatches } from '../../src/train/dataset-batches.ts'
import { sampleCache } from '../../src/train/sample-cache.ts'

type Samples = Pick<Dataset, 'sample' | 'description'>

/** Samples that hold their own index, class index modulo 10, every seventh without one; counts what is decoded. */
function numbered(elements = 2): Samples & { decoded: number[]; running: number; mostRunning: number } {
  const samples = {
    description: 'numbered samples',
    decoded: [] as number[],
    running: 0,
    mostRunning: 0,
    async sample(index: number): Promise<Sample> {
      samples.decoded.push(index)
      samples.mostRunning = Math.max(samples.mostRunning, ++samples.running)
      await new Promise((resolve) => setImmediate(resolve))
      samples.running--
      const inputs = new Map([
        [
          'x',
          { dtype: 'float32' as const, shape: [1, elements], data: new Float32Array(elements).fill(index) },
        ],
        ['flag', { dtype: 'uint8' as const, shape: [1], data: Uint8Array.of(index % 2) }],
      ])
      return { id: `sample ${index}`, inputs, label: index % 7 === 0 ? null : index % 10 }
    },
  }
  return samples
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)
const defaults: DatasetBatchesOptions = { batchSize: 4, seed: 5, shuffle: true }

/** First element of each row of `x`: the sample's index where nothing changed it. */
function rowsOf({ feeds }: Batch): number[] {
  const { data, shape } = feeds.get('x')!
  return upTo(shape[0]!).map((row) => Number(data[(row * data.length) / shape[0]!]))
}

async function rows(source: BatchSource, epoch: number, fromStep?: number): Promise<number[][]> {
  const all = []
  for await (const batch of source.epoch(epoch, fromStep)) all.push(rowsOf(batch))
  return all
}

test('inputs are stacked in their own types, labels are int64 with −1 where there is none', async () => {
  const source = datasetBatches(numbered(), upTo(8), { ...defaults, shuffle: false })
  const first = await source.epoch(0).next()
  const { feeds, samples } = first.value as Batch
  assert.equal(samples, 4)
  assert.deepEqual(feeds.get('x'), {
    dtype: 'float32',
    shape: [4, 2],
    data: Float32Array.of(0, 0, 1, 1, 2, 2, 3, 3),
  })
  assert.deepEqual(feeds.get('flag'), { dtype: 'uint8', shape: [4], data: Uint8Array.of(0, 1, 0, 1) })
  assert.deepEqual(feeds.get('label'), {
    dtype: 'int64',
    shape: [4],
    data: BigInt64Array.of(-1n, 1n, 2n, 3n),
  })
})

test('each epoch has an order of its own, decided by seed and epoch alone', async () => {
  const indices = upTo(23).map((index) => 100 + index)
  const source = datasetBatches(numbered(), indices, defaults)
  assert.equal(source.steps, 5)
  const [first, second] = [await rows(source, 0), await rows(source, 1)]
  assert.notDeepEqual(first, second)
  for (const epoch of [first, second]) {
    const seen = epoch.flat()
    assert.equal(seen.length, 20)
    assert.equal(new Set(seen).size, 20, 'no sample twice')
    assert.ok(seen.every((index) => indices.includes(index)))
  }
  assert.deepEqual(await rows(datasetBatches(numbered(), indices, defaults), 1), second)
  assert.notDeepEqual(await rows(datasetBatches(numbered(), indices, { ...defaults, seed: 6 }), 1), second)
  const leftOut = (epoch: number[][]) => indices.filter((index) => !epoch.flat().includes(index))
  assert.notDeepEqual(leftOut(first), leftOut(second))
})

test('positions of a sample are spread evenly over many epochs', async () => {
  const source = datasetBatches(numbered(), upTo(8), { ...defaults, batchSize: 8 })
  const counts = Array.from({ length: 8 }, () => new Array<number>(8).fill(0))
  for (let epoch = 0; epoch < 1600; epoch++)
    for (const [order] of [await rows(source, epoch)])
      order!.forEach((index, place) => {
        counts[index]![place]!++
      })
  // 64 cells of 200 expected: chi-squared of 49 degrees of freedom is below 94 but for one seed in 10,000
  const chi = counts.flat().reduce((sum, count) => sum + (count - 200) ** 2 / 200, 0)
  assert.ok(chi < 94, `chi-squared ${chi}`)
})

test('an epoch taken up at any step gives the very batches that it would have given', async () => {
  const augment: DatasetBatchesOptions['augment'] = (inputs, seed) => {
    const x = inputs.get('x')!
    return new Map([
      ...inputs,
      ['x', { ...x, data: (x.data as Float32Array).map((v) => v + seed / 2 ** 33) }],
    ])
  }
  const options = { ...defaults, augment }
  const whole = await rows(datasetBatches(numbered(), upTo(22), options), 3)
  assert.ok(whole.flat().some((value) => !Number.isInteger(value)))
  for (let step = 0; step <= whole.length; step++)
    for (const cacheBytes of [0, 2 ** 20]) {
      const source = datasetBatches(numbered(), upTo(22), { ...options, cacheBytes })
      assert.deepEqual(await rows(source, 3, step), whole.slice(step))
    }
})

test('augmentation is drawn anew in each epoch, for each sample, and leaves what is kept as it was', async () => {
  const seeds = new Map<number, number[]>()
  const samples = numbered()
  const augment: DatasetBatchesOptions['augment'] = (inputs, seed) => {
    const x = inputs.get('x')!
    const index = x.data[0] as number
    seeds.set(index, [...(seeds.get(index) ?? []), seed])
    return new Map([...inputs, ['x', { ...x, data: new Float32Array(2).fill(-1) }]])
  }
  const source = datasetBatches(samples, upTo(8), { ...defaults, augment })
  for (let epoch = 0; epoch < 3; epoch++)
    assert.deepEqual((await rows(source, epoch)).flat(), Array(8).fill(-1))
  assert.deepEqual([...seeds.keys()].sort(), upTo(8), 'the sample comes unchanged each time')
  assert.equal(new Set([...seeds.values()].flat()).size, 24)
  assert.equal(samples.decoded.length, 8)
})

test('fewer samples than a batch are repeated, and only the first of each counts', async () => {
  const source = datasetBatches(numbered(), [11, 12, 13], { ...defaults, shuffle: false, batchSize: 5 })
  assert.equal(source.steps, 1)
  for await (const batch of source.epoch(0)) {
    assert.equal(batch.samples, 3)
    assert.deepEqual(rowsOf(batch), [11, 12, 13, 11, 12])
    assert.deepEqual([...batch.feeds.get('label')!.data], [1n, 2n, 3n, -1n, -1n])
  }
})

test('to evaluate, samples come in order and each counts once', async () => {
  for (const length of [1, 4, 5, 8, 10]) {
    const source = datasetBatches(numbered(), upTo(length), { ...defaults, shuffle: false, rest: 'padded' })
    assert.equal(source.steps, Math.ceil(length / 4))
    const counted: number[] = []
    for await (const batch of source.epoch(0)) {
      assert.equal(batch.feeds.get('x')!.shape[0], 4)
      counted.push(...rowsOf(batch).slice(0, batch.samples))
    }
    assert.deepEqual(counted, upTo(length))
  }
})

test('a data set that fits the cache is decoded once', async () => {
  const samples = numbered()
  const source = datasetBatches(samples, upTo(12), defaults)
  for (let epoch = 0; epoch < 3; epoch++) await rows(source, epoch)
  assert.deepEqual(
    samples.decoded.sort((a, b) => a - b),
    upTo(12),
  )
})

test('a data set larger than the cache stays within its bound and gives the same batches', async () => {
  const elements = 1024
  const samples = numbered(elements)
  const cache = sampleCache(samples, 10 * 5000)
  const bounded = datasetBatches(samples, upTo(40), { ...defaults, cache })
  const whole = datasetBatches(numbered(elements), upTo(40), defaults)
  for (let epoch = 0; epoch < 3; epoch++) {
    assert.deepEqual(await rows(bounded, epoch), await rows(whole, epoch))
    assert.ok(cache.bytes <= 10 * 5000, `${cache.bytes} bytes`)
  }
  const kept = upTo(40).filter((index) => cache.kept(index)).length
  assert.equal(kept, 10, 'of 4,097 bytes and what is around them')
  assert.equal(samples.decoded.length, 40 + 2 * 30)
})

test('epochs over 600 MB of samples need little more memory than cache and batches', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const source = datasetBatches(numbered(2 ** 18), upTo(300), { ...defaults, cacheBytes: 8 * 2 ** 20 })
  collect()
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  for (const epoch of [0, 1])
    for await (const _ of source.epoch(epoch)) {
      collect()
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
  // 7 samples kept, 2 batches of 4, 3 being decoded, 1 before it is put into its row
  assert.ok(most < 32 * 2 ** 20, `${(most / 2 ** 20).toFixed(1)} MiB`)
})

test('samples that are views of one buffer count it once, and whole', async () => {
  const all = new Float32Array(1000)
  const dataset: Samples = {
    description: 'views',
    sample: async (index) => ({
      id: `${index}`,
      label: null,
      inputs: new Map([
        ['x', { dtype: 'float32', shape: [1, 10], data: all.subarray(10 * index, 10 * index + 10) }],
      ]),
    }),
  }
  const fits = sampleCache(dataset, 4000 + 100 * 600)
  for (const index of upTo(100)) await fits.sample(index)
  assert.ok(upTo(100).every((index) => fits.kept(index)))
  const small = sampleCache(dataset, 3999)
  for (const index of upTo(100)) await small.sample(index)
  assert.equal(small.bytes, 0, 'one view would keep all 4,000 bytes')
})

test('little is decoded ahead of use: one batch and a few samples', async () => {
  const samples = numbered()
  const batches = datasetBatches(samples, upTo(400), defaults).epoch(0)
  await batches.next()
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(samples.decoded.length, 8)
  assert.ok(samples.mostRunning <= 3)
  await batches.return()
})

test('a batch stays as it is while the next is made', async () => {
  const batches = datasetBatches(numbered(), upTo(40), defaults).epoch(0)
  for (let step = 0; step < 10; step++) {
    const { value } = await batches.next()
    const before = rowsOf(value as Batch)
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(rowsOf(value as Batch), before)
  }
})

test('the signal ends an epoch, and an ended one leaves nothing running', async () => {
  const samples = numbered()
  const abort = new AbortController()
  const source = datasetBatches(samples, upTo(400), { ...defaults, cacheBytes: 0 })
  await assert.rejects(
    async () => {
      for await (const _ of source.epoch(0, 0, abort.signal)) abort.abort()
    },
    { code: 'INTERRUPTED' },
  )
  await assert.rejects(source.epoch(0, 0, abort.signal).next(), { code: 'INTERRUPTED' })
  for await (const _ of source.epoch(1)) break
  const { length } = samples.decoded
  assert.equal(samples.running, 0)
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(samples.decoded.length, length)
})

test('a sample that cannot be read, or is unlike the others, ends the epoch with its own words', async () => {
  const broken = numbered()
  const failing: Samples = {
    ...broken,
    sample: (index) => (index === 6 ? Promise.reject(new Error('picture 6 is cut')) : broken.sample(index)),
  }
  await assert.rejects(rows(datasetBatches(failing, upTo(8), defaults), 0), /picture 6 is cut/)
  for (const inputs of [
    new Map([['x', { dtype: 'float32' as const, shape: [1, 3], data: new Float32Array(3) }]]),
    new Map([
      ...(await broken.sample(1)).inputs,
      ['y', { dtype: 'uint8' as const, shape: [1], data: new Uint8Array(1) }],
    ]),
    new Map([
      ...(await broken.sample(1)).inputs,
      ['x', { dtype: 'float32' as const, shape: [2, 1], data: new Float32Array(2) }],
    ]),
  ]) {
    const odd: Samples = {
      ...broken,
      sample: async (index) => (index === 6 ? { id: 'the odd one', label: 1, inputs } : broken.sample(index)),
    }
    await assert.rejects(rows(datasetBatches(odd, upTo(8), { ...defaults, shuffle: false }), 0), {
      code: 'DATA_SHAPE',
      where: 'the odd one',
    })
    assert.equal(broken.running, 0)
  }
})

test('no samples, or a batch of none, are refused', () => {
  assert.throws(() => datasetBatches(numbered(), [], defaults), { code: 'DATA_EMPTY' })
  for (const batchSize of [0, -1, 1.5, Number.NaN])
    assert.throws(() => datasetBatches(numbered(), [1], { ...defaults, batchSize }), {
      code: 'CONFIG_INVALID',
    })
})
