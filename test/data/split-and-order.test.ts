import assert from 'node:assert/strict'
import { test } from 'node:test'
import { iterate } from '../../src/data/iterate.ts'
import { randomDataset } from '../../src/data/random.ts'
import { splitDataset } from '../../src/data/split.ts'
import type { Sample } from '../../src/data/types.ts'
import { errorOf } from './temporary.ts'

test('the parts are disjoint, cover all samples and are the same for a seed', () => {
  for (const length of [1, 2, 3, 4, 7, 50, 999, 5000]) {
    const split = splitDataset(length, {}, 7)
    const all = [...split.calibration, ...split.selection, ...split.evaluation]
    assert.deepEqual(
      [...all].sort((a, b) => a - b),
      Array.from({ length }, (_, i) => i),
    )
    assert.deepEqual(splitDataset(length, {}, 7), split)
    assert.ok(split.calibration.length >= 1)
    if (length > 1) assert.ok(split.evaluation.length >= 1)
    if (length > 2) assert.ok(split.selection.length >= 1)
  }
  assert.notDeepEqual(splitDataset(50, {}, 1), splitDataset(50, {}, 2))
})

test('classes keep their proportions in every part, however rare', () => {
  const labels = Array.from({ length: 1000 }, (_, i) => (i < 600 ? 0 : i < 900 ? 1 : 2))
  const split = splitDataset(1000, { calibration: 100, selection: 0.2 }, 3, labels)
  assert.deepEqual(
    [split.calibration.length, split.selection.length, split.evaluation.length],
    [100, 200, 700],
  )
  for (const part of Object.values(split))
    [0.6, 0.3, 0.1].forEach((share, label) => {
      const count = part.filter((index: number) => labels[index] === label).length
      assert.ok(Math.abs(count - share * part.length) <= 1, `class ${label}: ${count} of ${part.length}`)
    })
})

test('more samples than there are is an error that says how many', () => {
  assert.throws(
    () => splitDataset(500, { calibration: 400, evaluation: 200 }, 0),
    errorOf('RECIPE_INVALID', { saw: /400 \+ 0 \+ 200 of 500/ }),
  )
  assert.throws(() => splitDataset(0, {}, 0), errorOf('DATA_EMPTY'))
})

test('other calibration data leaves all samples to selection and evaluation', () => {
  const split = splitDataset(8, { calibration: 0 }, 0)
  assert.equal(split.calibration.length, 0)
  assert.equal(split.selection.length + split.evaluation.length, 8)
})

function slowDataset(fails = -1) {
  const state = { running: 0, most: 0, started: 0 }
  const sample = async (index: number): Promise<Sample> => {
    state.started++
    state.most = Math.max(state.most, ++state.running)
    await new Promise((resolve) => setTimeout(resolve, index % 2 === 0 ? 6 : 1))
    state.running--
    if (index === fails) throw new Error(`sample ${index}`)
    return { id: String(index), inputs: new Map(), label: null }
  }
  return { state, sample }
}

test('samples come in order, with no more than the prefetch decoding ahead', async () => {
  const dataset = slowDataset()
  const seen: string[] = []
  for await (const sample of iterate(dataset, [5, 2, 9, 4, 1, 0], { prefetch: 3 })) seen.push(sample.id)
  assert.deepEqual(seen, ['5', '2', '9', '4', '1', '0'])
  assert.equal(dataset.state.most, 3)
})

test('a consumer that stops early leaves nothing running', async () => {
  const dataset = slowDataset()
  for await (const sample of iterate(dataset, Array(100).keys(), { prefetch: 4 }))
    if (sample.id === '1') break
  assert.equal(dataset.state.running, 0)
  assert.ok(dataset.state.started <= 6)
})

test('a sample that fails to decode fails at its place, after those before it', async () => {
  const seen: string[] = []
  await assert.rejects(async () => {
    for await (const sample of iterate(slowDataset(2), [0, 1, 2, 3])) seen.push(sample.id)
  }, /sample 2/)
  assert.deepEqual(seen, ['0', '1'])
})

test('an abort during a wait that never ends stops it', async () => {
  const controller = new AbortController()
  const stuck = { sample: () => new Promise<Sample>(() => undefined) }
  setTimeout(() => controller.abort(), 10)
  await assert.rejects(iterate(stuck, [0], { signal: controller.signal }).next(), errorOf('INTERRUPTED'))
})

test('memory while iterating does not grow with the number of samples', async () => {
  const dataset = {
    sample: async (index: number): Promise<Sample> => {
      const x = { dtype: 'uint8' as const, shape: [1 << 20], data: new Uint8Array(1 << 20) }
      return { id: String(index), inputs: new Map([['x', x]]), label: null }
    },
  }
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  for await (const _ of iterate(dataset, Array(400).keys(), { signal: new AbortController().signal }))
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  assert.ok(most < 200 * 2 ** 20, `${most} bytes of 400 MB were held at once`)
})

test('random inputs are the same for a seed, in any order of reading', async () => {
  const inputs = [
    { name: 'a', dtype: 'float32', shape: [1, 1000] },
    { name: 'b', dtype: 'int8', shape: [1, 1000] },
    { name: 'c', dtype: 'int64', shape: [1, 50] },
  ] as const
  const [first, second] = [randomDataset(inputs, { seed: 5 }), randomDataset(inputs, { seed: 5 })]
  await first.sample(0)
  const [one, other] = [await first.sample(3), await second.sample(3)]
  assert.deepEqual(one, other)
  assert.equal(await first.digest(), await second.digest())
  assert.notDeepEqual(one.inputs.get('a'), (await first.sample(4)).inputs.get('a'))
  const normal = [...(one.inputs.get('a')!.data as Float32Array)]
  const mean = normal.reduce((sum, value) => sum + value, 0) / 1000
  const variance = normal.reduce((sum, value) => sum + value * value, 0) / 1000 - mean * mean
  assert.ok(Math.abs(mean) < 0.15 && Math.abs(variance - 1) < 0.2, `mean ${mean}, variance ${variance}`)
  const bytes = one.inputs.get('b')!.data as Int8Array
  assert.ok(Math.min(...bytes) < -120 && Math.max(...bytes) > 120)
  assert.ok([...(one.inputs.get('c')!.data as BigInt64Array)].every((value) => value === 0n || value === 1n))
})
