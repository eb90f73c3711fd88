import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import { ChannelStatistics, channelStatisticsOf } from '../../src/quantize/channel-statistics.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

test('mean, mean square, min and max of channels, wherever their axis stands', () => {
  const last = new ChannelStatistics([1, 2, 2, 3], 3)
  const first = new ChannelStatistics([1, 3, 2, 2], 1)
  last.observe(Float32Array.of(1, 10, -100, 2, 20, 200, 3, 30, 300, 4, 40, 400))
  first.observe(Float32Array.of(1, 2, 3, 4, 10, 20, 30, 40, -100, 200, 300, 400))
  for (const statistics of [last, first]) {
    statistics.observe(Float32Array.from({ length: 12 }, () => 0))
    const { mean, meanOfSquares, min, max } = statistics.result()
    assert.deepEqual([...mean], [1.25, 12.5, 100])
    assert.deepEqual([...meanOfSquares], [30 / 8, 3000 / 8, 300_000 / 8])
    assert.deepEqual([...min], [0, 0, -100])
    assert.deepEqual([...max], [4, 40, 400])
  }
})

test('zeros where nothing was seen', () => {
  const { mean, min, max } = new ChannelStatistics([1, 2], 1).result()
  assert.deepEqual(
    [[...mean], [...min], [...max]],
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  )
})

test('both layouts of one tensor agree', () => {
  const next = randomNumbers(8)
  const channels = 5
  const positions = 7
  const planes = Float32Array.from({ length: channels * positions }, () => next() - 0.5)
  const rows = Float32Array.from(
    planes,
    (_, i) => planes[(i % channels) * positions + Math.floor(i / channels)]!,
  )
  const first = new ChannelStatistics([1, channels, positions], 1)
  const last = new ChannelStatistics([1, positions, channels], 2)
  first.observe(planes)
  last.observe(rows)
  const [a, b] = [first.result(), last.result()]
  assert.deepEqual([a.min, a.max], [b.min, b.max])
  for (const key of ['mean', 'meanOfSquares'] as const)
    for (let i = 0; i < channels; i++) assert.ok(Math.abs(a[key][i]! - b[key][i]!) < 1e-15)
})

/** conv → relu → reshape → relu, channels first. */
function network() {
  const g = new SmallGraph()
  const x = g.input('x', 1, 2, 3, 3)
  const conv = g.node(
    {
      kind: 'Conv',
      group: 1,
      layout: 'channels-first',
      strides: [1, 1],
      dilations: [1, 1],
      padsBegin: [0, 0],
      padsEnd: [0, 0],
    },
    [x, g.constant([4, 2, 1, 1], [1, 2, 3, 4, 5, 6, 7, 8])],
    'conv',
  )
  const relu = g.node({ kind: 'Relu' }, [conv], 'relu')
  const flat = g.node({ kind: 'Reshape', shape: [1, 36] }, [relu], 'flat')
  return g.finish(flat)
}

test('only what a weighted layer reads has statistics, unless more is asked for', () => {
  const graph = network()
  const all = ['x', 'conv_out', 'relu_out', 'flat_out']
  assert.deepEqual([...channelStatisticsOf(graph, all).keys()], ['x'])
  assert.deepEqual([...channelStatisticsOf(graph, [], new Set(all)).keys()], ['x', 'conv_out', 'relu_out'])
})

test('an activation function keeps the channels of the layer before it; a reshape hides them', () => {
  const statistics = channelStatisticsOf(network(), [], new Set(['relu_out', 'flat_out']))
  assert.equal(statistics.get('relu_out')!.result().mean.length, 4)
  assert.equal(statistics.get('flat_out'), undefined)
})

test('what a layer reads turned round has its channels along another axis', () => {
  const g = new SmallGraph()
  const turned = g.node({ kind: 'Transpose', perm: [0, 3, 1, 2] }, [g.input('x', 1, 5, 6, 2)], 'turned')
  const conv = {
    kind: 'Conv',
    group: 1,
    layout: 'channels-first',
    strides: [1, 1],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
  } as const
  const graph = g.finish(g.node(conv, [turned, g.constant([1, 2, 1, 1], [1, 2])], 'conv'))
  const statistics = channelStatisticsOf(graph, ['x', 'turned_out'])
  const planes = Float32Array.from({ length: 60 }, (_, i) => (i < 30 ? 1 : 2))
  const rows = Float32Array.from({ length: 60 }, (_, i) => (i % 2) + 1)
  statistics.get('turned_out')!.observe(planes)
  statistics.get('x')!.observe(rows)
  assert.deepEqual(statistics.get('x')!.result(), statistics.get('turned_out')!.result())
})
