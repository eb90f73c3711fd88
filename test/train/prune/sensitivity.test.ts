import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../../src/graph/ops.ts'
import { silentProgress } from '../../../src/progress.ts'
import { channelMap } from '../../../src/train/prune/channel-map.ts'
import { RunningCost } from '../../../src/train/prune/channels/cost.ts'
import { weightImportance } from '../../../src/train/prune/importance.ts'
import { sparsityOf } from '../../../src/train/prune/masks.ts'
import {
  channelSensitivityPlan,
  measureSensitivity,
  weightSensitivityPlan,
} from '../../../src/train/prune/sensitivity.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'

const add: Op = { kind: 'Binary', fn: 'Add' }

function residual() {
  const small = new SmallGraph()
  const stem = small.conv(small.input('x', 1, 3, 6, 6), 8, {}, 'stem')
  const inner = small.conv(small.node({ kind: 'Relu' }, [stem]), 3, {}, 'inner')
  const sum = small.node(add, [small.conv(inner, 8, {}, 'outer'), stem])
  return small.finish(small.conv(sum, 4, {}, 'head'))
}

test('each layer alone, by each share, without its least important channels', async () => {
  const map = channelMap(residual())
  const importance = weightImportance(map)
  const plan = channelSensitivityPlan(map, importance, { fractions: [0.1, 0.5, 1] })
  // a tenth of three is none; all of a layer cannot go
  assert.deepEqual(
    plan.map(({ layers, fraction }) => [layers.join('+'), fraction]),
    [
      ['stem+outer', 1 / 8],
      ['stem+outer', 1 / 2],
      ['inner', 2 / 3],
    ],
  )
  for (const { layers, pruned } of plan) {
    assert.ok(pruned.kind === 'channels')
    const { channels } = map.groups.find((group) => group.layers === layers)!
    const stays = channels.filter((id) => !pruned.removed.has(id))
    for (const gone of pruned.removed)
      for (const id of stays) assert.ok(importance.get(gone)! <= importance.get(id)!)
    assert.equal(
      new RunningCost(map.graph).total.macs - pruned.saved.macs,
      new RunningCost(pruned.graph()).total.macs,
    )
  }
  const { warnings: _, ...progress } = silentProgress()
  const results = await measureSensitivity(plan, async ({ fraction }) => -fraction, progress)
  assert.deepEqual(
    results.map(({ result }) => result),
    [-1 / 8, -1 / 2, -2 / 3],
  )
})

test('weights: each layer alone', () => {
  const weights = [
    { name: 'a', shape: [4, 4], values: Float32Array.from({ length: 16 }, (_, i) => i) },
    { name: 'b', shape: [2, 5], values: Float32Array.from({ length: 10 }, (_, i) => -i) },
  ]
  const plan = weightSensitivityPlan(weights, { fractions: [0.5] })
  assert.deepEqual(
    plan.map(
      ({ layers, pruned }) =>
        pruned.kind === 'weights' && [layers[0], [...pruned.masks.keys()], sparsityOf(pruned.masks)],
    ),
    [
      ['a', ['a'], 0.5],
      ['b', ['b'], 0.5],
    ],
  )
})

test('a signal ends it between two trials', async () => {
  const stop = new AbortController()
  const map = channelMap(residual())
  const plan = channelSensitivityPlan(map, weightImportance(map))
  let tried = 0
  const evaluate = async () => {
    if (++tried === 2) stop.abort()
    return 0
  }
  await assert.rejects(measureSensitivity(plan, evaluate, silentProgress(stop.signal)), {
    code: 'INTERRUPTED',
  })
  assert.equal(tried, 2)
})
