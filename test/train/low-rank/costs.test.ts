import assert from 'node:assert/strict'
import { test } from 'node:test'
import { macsOf } from '../../../src/graph/macs.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { elementCount } from '../../../src/tensor.ts'
import { candidateOf } from '../../../src/train/low-rank/candidates.ts'
import { chooseRanks } from '../../../src/train/low-rank/choose-ranks.ts'
import { factorize } from '../../../src/train/low-rank/factorize.ts'
import { sortLayers } from '../../../src/train/low-rank/layers.ts'
import { convolution, networkOf, outputOf } from './networks.ts'

const windows = {
  'stride 2 with padding': { strides: [2, 2], padsBegin: [1, 1], padsEnd: [0, 1] },
  'stride 2 that leaves the border out': { strides: [2, 2] },
  'dilation 2': { dilations: [2, 2], padsBegin: [2, 2], padsEnd: [2, 2] },
  'stride along one axis': { strides: [1, 3], padsBegin: [1, 0], padsEnd: [1, 0] },
}

for (const [name, window] of Object.entries(windows))
  test(`costs of every kind of factors are those of the network they make: ${name}`, () => {
    const graph = convolution([10, 8, 3, 3], true, window)
    const [layer] = sortLayers(graph).layers
    const candidate = candidateOf(layer!, null)
    const kinds = new Set<string>()
    for (const option of candidate.options) {
      if (kinds.has(option.factors.method)) continue
      kinds.add(option.factors.method)
      const made = factorize(graph, new Map([[layer!.node.name, { candidate, option }]]))
      assert.deepEqual(costsOf(made), { weights: option.weights, macs: option.macs }, option.factors.method)
    }
    assert.deepEqual([...kinds].sort(), ['output', 'spatial', 'tucker'])
  })

test('ranks of convolutions are widths that kernels compute whole; those of matrices may be any', () => {
  const ranksOf = (graph: Graph) =>
    candidateOf(sortLayers(graph).layers[0]!, null).options.flatMap(({ factors }) =>
      factors.method === 'tucker' ? [factors.rank, factors.inputRank] : [factors.rank],
    )
  const made = ranksOf(convolution([48, 40, 3, 3], false))
  assert.ok(
    made.every((rank) => rank < 8 || rank % 8 === 0),
    `${made}`,
  )
  assert.ok(made.includes(16) && made.includes(3))
  const dense = networkOf([1, 48], (b, x, floats) => b.matMul(x, floats(48, 48)))
  assert.ok(ranksOf(dense).includes(19))
})

test('layers that stay whole say why', () => {
  const grouped = convolution([8, 4, 3, 3], false, { group: 2 })
  assert.deepEqual(
    sortLayers(grouped).whole.map(({ reason }) => reason),
    ['convolutions in groups'],
  )
  const tied = networkOf([1, 6], (b, x, floats) => {
    const w = floats(6, 6)
    return b.matMul(b.matMul(x, w), w)
  })
  const { layers, whole } = sortLayers(tied)
  assert.equal(layers.length, 0)
  assert.deepEqual(
    whole.map(({ reason }) => reason),
    ['weights that several layers share', 'weights that several layers share'],
  )
  const rows = networkOf([4, 6], (b, x, floats) =>
    b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }, [x, floats(6, 4), floats(4, 1)]),
  )
  assert.deepEqual(
    sortLayers(rows).whole.map(({ reason }) => reason),
    ['a bias that is a matrix'],
  )
})

test('weights that are not numbers are left alone', () => {
  const graph = convolution([6, 5, 1, 1], false, {}, (index, random) => (index === 7 ? Number.NaN : random))
  const { layers, whole } = sortLayers(graph)
  assert.equal(layers.length, 0)
  assert.equal(whole[0]!.reason, 'weights that are not numbers')
})

test('the first layer of a spectrogram, with one channel, can be factored too', () => {
  const graph = convolution([16, 1, 5, 4], true)
  const [layer] = sortLayers(graph).layers
  const methods = new Set(candidateOf(layer!, null).options.map(({ factors }) => factors.method))
  assert.deepEqual([...methods].sort(), ['output', 'spatial'])
})

test('what a layer does not use costs nothing: zeros, one direction, huge numbers', async () => {
  const weights: Record<string, (index: number, random: number) => number> = {
    zeros: () => 0,
    'rank 1': (index) => ((index % 12) + 1) * (Math.floor(index / 12) + 1),
    'huge and of rank 1': (index) => ((index % 12) + 1) * (Math.floor(index / 12) + 1) * 1e35,
  }
  for (const [name, weight] of Object.entries(weights)) {
    const graph = networkOf([1, 10], (b, x, floats) => b.matMul(x, floats(10, 12)), weight)
    const candidates = sortLayers(graph).layers.map((layer) => candidateOf(layer, null))
    const chosen = chooseRanks(candidates, { weights: 1 })
    assert.deepEqual(
      [...chosen.values()].map(({ option }) => option.weights),
      [22],
      name,
    )
    const factored = factorize(graph, chosen)
    const [expected, given] = [await outputOf(graph), await outputOf(factored)]
    const size = Math.max(1e-30, ...expected.map(Math.abs))
    for (const [i, value] of expected.entries())
      assert.ok(Math.abs(value - given[i]!) <= 1e-5 * size, `${name}: ${given[i]} instead of ${value}`)
  }
})

test('what the price of a budget leaves over is spent', () => {
  const graph = networkOf([1, 20], (b, x, floats) => b.matMul(b.matMul(x, floats(20, 30)), floats(30, 25)))
  const candidates = sortLayers(graph).layers.map((layer) => candidateOf(layer, null))
  const whole = candidates.reduce((sum, { layer }) => sum + layer.weights, 0)
  const cheapestStep = Math.max(...candidates.map(({ layer }) => layer.inputs + layer.outputs))
  for (const weights of [0.3, 0.5, 0.7]) {
    const chosen = chooseRanks(candidates, { weights })
    const left = candidates.reduce(
      (sum, { layer }) => sum + (chosen.get(layer.node.name)?.option.weights ?? layer.weights),
      0,
    )
    assert.ok(left <= weights * whole)
    assert.ok(left > weights * whole - cheapestStep, `${left} of ${weights * whole}`)
  }
})

test('a budget that is no share is refused, and one out of reach says what could be left', () => {
  const graph = convolution([6, 5, 3, 3], true)
  const candidates = sortLayers(graph).layers.map((layer) => candidateOf(layer, null))
  for (const weights of [0, -1, Number.NaN])
    assert.throws(() => chooseRanks(candidates, { weights }), { code: 'CONFIG_INVALID' })
  assert.throws(() => chooseRanks(candidates, {}), { code: 'CONFIG_INVALID' })
  assert.throws(() => chooseRanks(candidates, { weights: 0.001 }), /less than what can be left/)
})

function costsOf(graph: Graph): { weights: number; macs: number } {
  let [weights, macs] = [0, 0]
  for (const node of graph.nodes) {
    macs += macsOf(node, graph)
    if (node.op.kind === 'Conv') weights += elementCount(graph.values.get(node.inputs[1]!)!.type.shape)
  }
  return { weights, macs }
}
