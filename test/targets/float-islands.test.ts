import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { joinFloatIslands } from '../../targets/float-islands.ts'
import { convOp, SmallGraph } from './small-graphs.ts'

const binary = (fn: 'Add' | 'Sub' | 'Mul' | 'Div'): Op => ({ kind: 'Binary', fn })
const unary = (fn: 'Sqrt' | 'Erf'): Op => ({ kind: 'Unary', fn })
const mean: Op = { kind: 'Reduce', fn: 'Mean', axes: [2], keepDims: true }
const matMul: Op = { kind: 'MatMul' }
const layerNorm: Op = { kind: 'LayerNormalization', axis: 2, epsilon: 1e-5 }
const real = new Set(['Unary', 'LayerNormalization', 'Resize'])

/** By name, with the kinds above and divisions on reals from the start. */
function joined(graph: Graph, floatBoundary = true): string[] {
  const isFloat = ({ op }: Graph['nodes'][number]) =>
    real.has(op.kind) || (op.kind === 'Binary' && op.fn === 'Div')
  return [...joinFloatIslands(graph, isFloat, floatBoundary)].map(({ name }) => name).sort()
}

const product = (g: SmallGraph, x: string, name?: string) => g.node(matMul, [x, g.weights([8, 8])], name)

test('all parts of a normalization run on reals where its root and its division do', () => {
  const g = new SmallGraph()
  const x = product(g, g.input('x', 1, 6, 8))
  const away = g.node(binary('Sub'), [x, g.node(mean, [x], 'mean')], 'away')
  const variance = g.node(mean, [g.node(binary('Mul'), [away, away], 'square')], 'variance')
  const safe = g.node(binary('Add'), [variance, g.constant([1], [1e-5])], 'safe')
  const normal = g.node(binary('Div'), [away, g.node(unary('Sqrt'), [safe])])
  const scaled = g.node(binary('Mul'), [normal, g.weights([8])], 'scaled')
  const shifted = g.node(binary('Add'), [scaled, g.weights([8])], 'shifted')
  // x goes on in integers too
  const rest = g.node(binary('Add'), [product(g, shifted), x], 'rest')
  const graph = g.finish(product(g, rest))
  assert.deepEqual(joined(graph), ['away', 'mean', 'safe', 'scaled', 'shifted', 'square', 'variance'])
})

test('sums of residual branches run on reals where normalizations alone read them, back to the first', () => {
  const g = new SmallGraph()
  let x = product(g, g.input('x', 1, 6, 8))
  for (const name of ['a', 'b', 'c'])
    x = g.node(binary('Add'), [x, product(g, g.node(layerNorm, [x, g.weights([8])]))], name)
  const normal = g.node(layerNorm, [x, g.weights([8])])
  assert.deepEqual(joined(g.finish(product(g, normal))), ['a', 'b', 'c'])
})

test('one sum that a product reads as well stays in integers, and those before it', () => {
  const g = new SmallGraph()
  let x = product(g, g.input('x', 1, 6, 8))
  for (const name of ['a', 'b', 'c'])
    x = g.node(binary('Add'), [x, product(g, g.node(layerNorm, [x, g.weights([8])]))], name)
  const outputs = [product(g, g.node(layerNorm, [x, g.weights([8])])), product(g, x)]
  assert.deepEqual(joined(g.finish(...outputs)), [])
})

test('what spells an activation around a function without an integer kernel joins it', () => {
  const g = new SmallGraph()
  const x = product(g, g.input('x', 1, 6, 8))
  const scaled = g.node(binary('Mul'), [x, g.constant([1], [Math.SQRT1_2])], 'scaled')
  const gate = g.node(binary('Add'), [g.node(unary('Erf'), [scaled]), g.constant([1], [1])], 'gate')
  const gated = g.node(binary('Mul'), [x, gate], 'gated')
  const half = g.node(binary('Mul'), [gated, g.constant([1], [0.5])], 'half')
  assert.deepEqual(joined(g.finish(product(g, half))), ['gate', 'gated', 'half', 'scaled'])
})

const resize: Op = {
  kind: 'Resize',
  mode: 'linear',
  sizes: [1, 4, 8, 8],
  scales: null,
  coordinateTransformation: 'half_pixel',
  nearestMode: 'floor',
  cubicCoefficient: -0.75,
  excludeOutside: false,
  extrapolationValue: 0,
  roi: null,
  antialias: false,
  layout: 'channels-first',
}

test('a sum of an island and of integers stays: it would cost one conversion more', () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 3, 4, 4)
  const large = g.node(resize, [g.conv(x, 4)])
  const skip = g.node({ ...convOp({ pad: 2 }), padsEnd: [4, 4] } as Op, [x, g.weights([4, 3, 3, 3])])
  const sum = g.node(binary('Add'), [large, skip], 'sum')
  assert.deepEqual(joined(g.finish(g.conv(sum, 4))), [])
})

test('a clip stays with the convolution before it and joins an island before it', () => {
  const g = new SmallGraph()
  const before = g.node({ kind: 'Relu' }, [g.conv(g.input('x', 1, 3, 4, 4), 4)], 'before')
  const after = g.node({ kind: 'Relu' }, [g.node(resize, [before])], 'after')
  assert.deepEqual(joined(g.finish(g.conv(after, 4))), ['after'])
})

test('without operators on reals nothing joins, whatever the network takes and gives', () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 6, 8)
  const graph = g.finish(g.node(binary('Add'), [product(g, g.node(binary('Mul'), [x, x])), x]))
  assert.deepEqual(joined(graph, true), [])
  assert.deepEqual(joined(graph, false), [])
})
