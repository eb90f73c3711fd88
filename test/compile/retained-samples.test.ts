import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RetainedSamples } from '../../src/compile/retained-samples.ts'
import { randomDataset } from '../../src/data/random.ts'
import type { Dataset } from '../../src/data/types.ts'

function counted(length: number): { dataset: Dataset; decoded: number[] } {
  const decoded: number[] = []
  const dataset = randomDataset([{ name: 'x', dtype: 'float32', shape: [4] }], { length })
  const sample = (index: number) => {
    decoded.push(index)
    return dataset.sample(index)
  }
  return { dataset: { ...dataset, sample }, decoded }
}

test('samples are decoded once and come in the same order every time, no more than the limit', async () => {
  const { dataset, decoded } = counted(5)
  const samples = new RetainedSamples({ dataset, indices: [4, 2, 0, 1] }, new AbortController().signal, 3)
  assert.equal(samples.length, 3)
  for (let pass = 0; pass < 2; pass++) {
    const ids: string[] = []
    for await (const { id } of samples) ids.push(id)
    assert.deepEqual(ids, ['random[4]', 'random[2]', 'random[0]'])
  }
  assert.deepEqual(decoded.toSorted(), [0, 2, 4])
})

test('a pass over samples that are in memory ends when it is interrupted', async () => {
  const controller = new AbortController()
  const { dataset } = counted(3)
  const samples = new RetainedSamples({ dataset, indices: [0, 1, 2] }, controller.signal)
  for await (const _ of samples);
  let seen = 0
  await assert.rejects(
    async () => {
      for await (const _ of samples) if (++seen === 2) controller.abort()
    },
    { code: 'INTERRUPTED' },
  )
  assert.equal(seen, 2)
})
