import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Network, NetworkValues } from '../../src/train/network.ts'
import { openBestEpoch } from '../../src/tune/best-epoch.ts'
import { temporaryFolder } from '../data/temporary.ts'

/** One weight, whose distance from 3 is the loss. */
const network = {
  parameters: [{ name: 'w', shape: [1], initial: Float32Array.of(0), trainable: true, decay: false }],
  statistics: [],
} as unknown as Network
const at = (w: number): NetworkValues => new Map([['w', Float32Array.of(w)]])
const loss = async (values: NetworkValues) => Math.abs(values.get('w')![0]! - 3)

async function followed(path: string, weights: readonly number[], stopAfter = weights.length) {
  const options = { epochs: weights.length, loss, path, digest: 'same' }
  let best = await openBestEpoch(network, { ...options, resume: false })
  for (const [epoch, w] of weights.entries()) {
    if (epoch === stopAfter) {
      best = await openBestEpoch(network, { ...options, resume: true })
      // the last epoch is gone over again
      await best.seen(epoch - 1, at(weights[epoch - 1]!))
    }
    await best.seen(epoch, at(w))
  }
  const { values, ...kept } = await best.kept()
  return { ...kept, w: values.get('w')![0] }
}

test('what loses least is kept: an epoch, the mean of the later ones, or the start', async (t) => {
  const path = join(await temporaryFolder(t), 'best.checkpoint')
  assert.deepEqual(await followed(path, [9, 2.5, 8, 8]), { from: 1, before: 3, after: 0.5, w: 2.5 })
  assert.deepEqual(await followed(path, [9, 9, 2, 4.25]), { from: 'mean', before: 3, after: 0.125, w: 3.125 })
  assert.deepEqual(await followed(path, [9, -1, 8, 8]), { from: 'start', before: 3, after: 3, w: 0 })
  assert.deepEqual(await followed(path, [Number.NaN, Number.NaN]), {
    from: 'start',
    before: 3,
    after: 3,
    w: 0,
  })
})

test('a training that was stopped keeps what one that was not keeps', async (t) => {
  const path = join(await temporaryFolder(t), 'best.checkpoint')
  for (const weights of [
    [9, 2.3, 8, 8, 8.1, 7],
    [9, 9, 9, 2.7, 3.1, 3.6],
  ]) {
    const whole = await followed(path, weights)
    for (const stop of [1, 2, 3, 4, 5]) assert.deepEqual(await followed(path, weights, stop), whole)
  }
})

test('what was kept of another training is refused', async (t) => {
  const path = join(await temporaryFolder(t), 'best.checkpoint')
  await followed(path, [1, 2])
  await assert.rejects(openBestEpoch(network, { epochs: 2, loss, path, digest: 'other', resume: true }), {
    code: 'CHECKPOINT_INVALID',
  })
})
