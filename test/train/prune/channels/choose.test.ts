import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSource } from '../../../../src/compile/source.ts'
import type { Op } from '../../../../src/graph/ops.ts'
import type { Graph } from '../../../../src/graph/types.ts'
import { silentProgress } from '../../../../src/progress.ts'
import { chooseChannels } from '../../../../src/train/prune/channels/choose.ts'
import { RunningCost } from '../../../../src/train/prune/channels/cost.ts'
import { channelGroups } from '../../../../src/train/prune/channels/groups.ts'
import { randomImportance } from '../../../../src/train/prune/channels/importance.ts'
import { removeChannels } from '../../../../src/train/prune/channels/remove.ts'
import { fixture, fixturesMissing } from '../../../fixtures.ts'
import { SmallGraph } from '../../../targets/small-graphs.ts'

const relu: Op = { kind: 'Relu' }

/** Two layers that may shrink: 5 and 6 channels. */
function smallNetwork(): Graph {
  const small = new SmallGraph()
  const a = small.node(relu, [small.conv(small.input('x', 1, 3, 6, 6), 5, {}, 'a')])
  const b = small.node(relu, [small.conv(a, 6, { stride: 2 }, 'b')])
  return small.finish(small.conv(b, 4, {}, 'c'))
}

/** The least that is lost by any choice that keeps the budget and a channel a layer. */
function cheapest(graph: Graph, importance: ReadonlyMap<number, number>, macs: number): number {
  const groups = channelGroups(graph)
  const cost = new RunningCost(graph)
  let best = Number.POSITIVE_INFINITY
  for (let bits = 0; bits < 2 ** groups.length; bits++) {
    const removed = groups.filter((_, index) => (bits >> index) & 1).map(({ id }) => id)
    if (!cost.canLose(removed) || cost.total.macs - cost.savedBy(removed).macs > macs * cost.total.macs)
      continue
    best = Math.min(
      best,
      removed.reduce((sum, id) => sum + importance.get(id)!, 0),
    )
  }
  return best
}

test('the greedy choice is close to the best of all choices', () => {
  const graph = smallNetwork()
  const groups = channelGroups(graph)
  const ratios: number[] = []
  for (let seed = 1; seed <= 12; seed++)
    for (const macs of [0.75, 0.5, 0.25]) {
      const importance = randomImportance(groups, seed)
      const { removed, after, before, met } = chooseChannels(graph, importance, { macs }, { maxPerLayer: 1 })
      assert.ok(met && after.macs <= macs * before.macs)
      const lost = [...removed].reduce((sum, id) => sum + importance.get(id)!, 0)
      ratios.push(lost / cheapest(graph, importance, macs))
    }
  assert.ok(ratios.every((ratio) => ratio >= 1 - 1e-12))
  const mean = ratios.reduce((a, b) => a + b) / ratios.length
  assert.ok(mean < 1.25, `${mean} times the least on average`)
})

test('of equal importance the channel that saves most goes, counted anew after each', () => {
  const graph = smallNetwork()
  const groups = channelGroups(graph)
  const importance = new Map(groups.map(({ id }) => [id, 1]))
  const cost = new RunningCost(graph)
  const { removed } = chooseChannels(graph, importance, { macs: 0.3 }, { maxPerLayer: 1 })
  const gone = new Set<number>()
  for (const id of removed) {
    const left = groups.filter((group) => cost.canLose([group.id]) && !gone.has(group.id))
    const most = Math.max(...left.map((group) => cost.savedBy([group.id]).macs))
    assert.equal(cost.savedBy([id]).macs, most)
    cost.remove([id])
    gone.add(id)
  }
})
test('a channel that is worth nothing goes first, one that is worth most stays', () => {
  const graph = smallNetwork()
  const groups = channelGroups(graph)
  const [dear, cheap] = [groups[2]!.id, groups[7]!.id]
  const importance = new Map(groups.map(({ id }) => [id, id === dear ? 1e6 : id === cheap ? 0 : 1]))
  const { removed } = chooseChannels(graph, importance, { macs: 0.3 }, { maxPerLayer: 1 })
  assert.equal([...removed][0], cheap)
  assert.ok(!removed.has(dear))
})

test('kept channels are multiples, layers keep their share, budgets count both ways', {
  skip: fixturesMissing,
}, async () => {
  const path = fixture('mlperf-tiny/ic_resnet8_float.tflite')
  const { graph } = await openSource({ model: path, shapes: {} }, silentProgress())
  const importance = randomImportance(channelGroups(graph), 1)
  const byEight = chooseChannels(graph, importance, { macs: 0.5 }, { multiple: 8 })
  assert.ok(byEight.met)
  for (const { channels, removed } of byEight.layers) assert.equal((channels - removed) % 8, 0)
  const pruned = removeChannels(graph, byEight.removed)
  assert.deepEqual(new RunningCost(pruned).total, byEight.after)
  const even = chooseChannels(graph, importance, { macs: 0.5 }, { maxPerLayer: 0.5 })
  assert.ok(even.layers.every(({ channels, removed }) => removed <= channels / 2))
  const both = chooseChannels(graph, importance, { macs: 0.6, weights: 0.3 })
  assert.ok(
    both.met && both.after.weights <= 0.3 * both.before.weights && both.after.macs <= 0.6 * both.before.macs,
  )
  const again = chooseChannels(graph, importance, { macs: 0.6, weights: 0.3 })
  assert.deepEqual([...again.removed], [...both.removed])
})

test('a budget that no choice reaches is told, with all removed that may be', () => {
  const graph = smallNetwork()
  const importance = new Map(channelGroups(graph).map(({ id }) => [id, 1]))
  const { met, layers } = chooseChannels(graph, importance, { macs: 0.001 }, { maxPerLayer: 1 })
  assert.equal(met, false)
  assert.deepEqual(
    layers.map(({ channels, removed }) => channels - removed),
    [1, 1],
  )
})
