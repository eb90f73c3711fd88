import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import { foldScaleAndShift } from '../../src/passes/fold-scale-and-shift.ts'
import { runPasses } from '../../src/passes/index.ts'
import { ChannelSums, insertBatchNorm, normalizable } from '../../src/train/insert-batch-norm.ts'
import { openNetwork } from '../../src/train/open-network.ts'
import { fixturesMissing } from '../fixtures.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'
import { difference, floatNetworks, readGraph, run, samplesOf } from './float-networks.ts'

/** Convolution, depthwise convolution, residual sum, a gate of one position, and a convolution that is the output. */
function gated(): Graph {
  const g = new SmallGraph('gated')
  const x = g.input('x', 1, 3, 8, 8)
  const first = g.node({ kind: 'Relu' }, [g.conv(x, 8, {}, 'first')])
  const depthwise = g.node({ kind: 'Relu' }, [g.conv(first, 8, { group: 8, bias: false }, 'depthwise')])
  const sum = g.node({ kind: 'Binary', fn: 'Add' }, [g.conv(depthwise, 8, { kernel: 1 }, 'point'), first])
  const pooled = g.node({ kind: 'Reduce', fn: 'Mean', axes: [2, 3], keepDims: true }, [sum])
  const gate = g.node({ kind: 'Sigmoid' }, [g.conv(pooled, 8, { kernel: 1 }, 'gate')])
  const scaled = g.node({ kind: 'Binary', fn: 'Mul' }, [sum, gate])
  return g.finish(g.conv(scaled, 4, { kernel: 1 }, 'scores'))
}

async function momentsOf(graph: Graph) {
  const places = normalizable(graph)
  const sums = places.map(({ axis }) => new ChannelSums(axis))
  for (const feeds of samplesOf(graph, 3)) {
    const results = await run({ ...graph, outputs: places.map(({ name }) => name) }, feeds)
    for (const [index, { name }] of places.entries()) sums[index]!.add(results.get(name)!)
  }
  return new Map(places.map(({ name }, index) => [name, sums[index]!.result()]))
}

/** Outputs stay what they were with batch norm inserted, and with it folded again. */
async function assertTransparent(graph: Graph): Promise<Graph> {
  const inserted = insertBatchNorm(graph, await momentsOf(graph))
  verifyGraph(inserted)
  const folded = await runPasses(inserted, [foldScaleAndShift])
  assert.ok(!folded.nodes.some(({ op }) => op.kind === 'BatchNormalization'), 'all of it folds')
  const names = (of: Graph) => of.nodes.filter(({ op }) => op.kind === 'Conv').map(({ name }) => name)
  assert.deepEqual(names(folded).sort(), names(graph).sort())
  const [feeds] = samplesOf(graph, 1)
  const wanted = await run(graph, feeds!)
  for (const changed of [inserted, folded]) {
    const found = await run(changed, feeds!)
    for (const name of graph.outputs)
      assert.ok(difference(wanted.get(name), found.get(name)) < 1e-4, `${name} is another`)
  }
  return inserted
}

test('batch norm stands behind what is wide enough, changes nothing, trains and folds again', async () => {
  const graph = gated()
  assert.deepEqual(
    normalizable(graph).map(({ name }) => name),
    ['first_out', 'depthwise_out', 'point_out'],
    'neither the gate, whose batch is too small, nor the output',
  )
  const inserted = await assertTransparent(graph)
  const network = openNetwork(inserted, { batchSize: 4, batchNorm: 'train' })
  assert.equal(network.statistics.length, 6, 'a mean and a variance each')
  assert.deepEqual(normalizable(inserted), [], 'a network with batch norm needs no other')
})

test('a kernel that two layers share is left alone: folded, it would have to be two', () => {
  const g = new SmallGraph('tied')
  const x = g.input('x', 1, 4, 6, 6)
  const kernel = g.weights([4, 4, 3, 3])
  const once = g.node(convOp(), [x, kernel], 'once')
  const twice = g.node(convOp(), [g.node({ kind: 'Relu' }, [once]), kernel], 'twice')
  const last = g.conv(g.node({ kind: 'Relu' }, [twice]), 2, {}, 'own')
  assert.deepEqual(
    normalizable(g.finish(g.node({ kind: 'Relu' }, [last]))).map(({ name }) => name),
    ['own_out'],
  )
})

test('moments over several samples are those of all of them together, in either layout', () => {
  const first = Float32Array.of(1, 2, 3, 4, 100, 200)
  const second = Float32Array.of(-1, 5, 9, 0, 300, 0)
  const moments = (numbers: number[]) => {
    const mean = numbers.reduce((a, b) => a + b) / numbers.length
    return { mean, variance: numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length }
  }
  for (const [axis, shape, channels] of [
    [
      1,
      [1, 2, 3],
      [
        [0, 1, 2],
        [3, 4, 5],
      ],
    ],
    [
      2,
      [1, 3, 2],
      [
        [0, 2, 4],
        [1, 3, 5],
      ],
    ],
  ] as const) {
    const sums = new ChannelSums(axis)
    for (const data of [first, second]) sums.add({ dtype: 'float32', shape, data })
    const { mean, variance } = sums.result()
    for (const [channel, at] of channels.entries()) {
      const wanted = moments([...at.map((i) => first[i]!), ...at.map((i) => second[i]!)])
      assert.ok(Math.abs(mean[channel]! - wanted.mean) < 1e-9)
      assert.ok(Math.abs(variance[channel]! - wanted.variance) < 1e-6 * wanted.variance)
    }
  }
})

test('a channel that never varies keeps its value', async () => {
  const g = new SmallGraph('dead')
  const x = g.input('x', 1, 1, 4, 4)
  const kernel = g.constant([2, 1, 1, 1], [1, 0])
  const made = g.node(convOp({ pad: 0 }), [x, kernel, g.constant([2], [0.5, 7])], 'layer')
  await assertTransparent(g.finish(g.node({ kind: 'Relu' }, [made])))
})

for (const name of ['ResNet8 (TFLite)', 'MobileNetV1 96 (TFLite)', 'MNIST (TFLite)', 'SqueezeNet'])
  test(`inserted and folded, batch norm leaves what it computes: ${name}`, {
    skip: fixturesMissing,
  }, async () => {
    await assertTransparent(await readGraph(floatNetworks[name]!))
  })
