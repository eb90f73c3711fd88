import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersOf } from '../../src/graph/constant.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import { findRescaling, type Rescaling, rescale } from '../../src/passes/rescale-channels.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { assertSameFunction } from './run-pass.ts'

const norm: Op = { kind: 'LayerNormalization', axis: 2, epsilon: 1e-5 }
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
const matMul: Op = { kind: 'MatMul' }
const binary = (fn: 'Add' | 'Sub' | 'Mul' | 'Div'): Op => ({ kind: 'Binary', fn })
const reshape = (...shape: number[]): Op => ({ kind: 'Reshape', shape })
const transpose = (...perm: number[]): Op => ({ kind: 'Transpose', perm })
const mean: Op = { kind: 'Reduce', fn: 'Mean', axes: [2], keepDims: true }
const gelu: Op = { kind: 'Gelu', approximate: 'none' }

const factorsOf = (channels: number) => Array.from({ length: channels }, (_, i) => 1.5 ** (i - 2))

function found(graph: Graph, value: string, axis: number): Rescaling {
  const rescaling = findRescaling(graph, value, axis)
  assert.ok(typeof rescaling !== 'string', String(rescaling))
  return rescaling
}

async function rescaled(graph: Graph, value: string, axis: number): Promise<Graph> {
  const rescaling = found(graph, value, axis)
  const result = rescale(graph, [{ rescaling, factors: factorsOf(rescaling.channels) }])
  verifyGraph(result)
  await assertSameFunction(graph, result)
  return result
}

const constantsOf = (graph: Graph, name: string) =>
  graph.nodes
    .find((node) => node.name === name)!
    .inputs.slice(1)
    .map((input) => numbersOf(graph.values.get(input!)!.constant!))

test('scale and bias of a normalization are divided, rows of every matrix that reads it multiplied', () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 2, 2)
  const normal = g.node(norm, [x, g.constant([2], [3, 5]), g.constant([2], [1, -2])], 'norm')
  const a = g.node(matMul, [normal, g.constant([2, 2], [1, 2, 3, 4])], 'a')
  const b = g.node(matMul, [normal, g.constant([2, 1], [10, 20])], 'b')
  const graph = g.finish(a, b)
  const rescaling = found(graph, normal, 2)
  const result = rescale(graph, [{ rescaling, factors: [2, 0.5] }])
  assert.deepEqual(constantsOf(result, 'norm'), [
    [1.5, 10],
    [0.5, -4],
  ])
  assert.deepEqual(constantsOf(result, 'a'), [[2, 4, 1.5, 2]])
  assert.deepEqual(constantsOf(result, 'b'), [[20, 10]])
})

test('query, key and value behind reshapes of their own take one vector of factors', async () => {
  const g = new SmallGraph()
  const normal = g.node(norm, [g.input('x', 1, 6, 8), g.weights([8], 0.5, 1), g.weights([8])])
  const read = (transB: boolean) => {
    const rows = g.node(reshape(6, 8), [normal])
    return g.node({ ...gemm, transB }, [rows, g.weights(transB ? [5, 8] : [8, 5]), g.weights([5])])
  }
  const outputs = [read(false), read(true), g.node(matMul, [normal, g.weights([8, 3])])]
  const graph = g.finish(...outputs)
  const first = graph.nodes.find(({ op }) => op.kind === 'Gemm')!
  assert.equal(found(graph, first.inputs[0]!, 1).readers.length, 3)
  await rescaled(graph, first.inputs[0]!, 1)
})

test('a normalization written out as PyTorch and our own lowering do, and as TensorFlow does', async () => {
  for (const form of ['pytorch', 'tensorflow'] as const) {
    const g = new SmallGraph()
    const x = g.input('x', 1, 6, 8)
    const centre = g.node(mean, [x])
    const away = g.node(binary('Sub'), [x, centre])
    const variance = g.node(mean, [g.node(binary('Mul'), [away, away])])
    const safe = g.node(binary('Add'), [variance, g.constant([], [1e-3])])
    const deviation = g.node({ kind: 'Unary', fn: 'Sqrt' }, [safe])
    const [gamma, beta] = [g.weights([8], 0.5, 1), g.weights([8])]
    let normal: string
    if (form === 'pytorch') {
      const scaled = g.node(binary('Mul'), [g.node(binary('Div'), [away, deviation]), gamma])
      normal = g.node(binary('Add'), [scaled, beta])
    } else {
      // x · (γ/σ) + (β − μ · (γ/σ))
      const slope = g.node(binary('Mul'), [g.node({ kind: 'Unary', fn: 'Reciprocal' }, [deviation]), gamma])
      const shift = g.node(binary('Sub'), [beta, g.node(binary('Mul'), [centre, slope])])
      normal = g.node(binary('Add'), [g.node(binary('Mul'), [x, slope]), shift])
    }
    const token = g.node({ kind: 'Gather', axis: 1 }, [normal, g.integers([], [0n])])
    const outputs = [
      g.node(matMul, [normal, g.weights([8, 4])]),
      g.node({ ...gemm, transB: true }, [token, g.weights([3, 8]), null]),
    ]
    const graph = g.finish(...outputs)
    const rescaling = found(graph, token, 1)
    assert.equal(rescaling.divided.length, 2, form)
    assert.equal(rescaling.readers.length, 2)
    assert.deepEqual(rescaling.makers, [])
    await rescaled(graph, token, 1)
  }
})

/** Two heads of four channels over six tokens. */
function attention(g: SmallGraph, x: string) {
  const heads = (name: string) => {
    const rows = g.node(gemm, [g.node(reshape(6, 8), [x]), g.weights([8, 8]), g.weights([8])], name)
    return g.node(transpose(0, 2, 1, 3), [g.node(reshape(1, 6, 2, 4), [rows])])
  }
  const keys = g.node(transpose(0, 1, 3, 2), [heads('key')])
  const scores = g.node({ kind: 'Softmax', axis: 3 }, [g.node(matMul, [heads('query'), keys])])
  const mixed = g.node(transpose(0, 2, 1, 3), [g.node(matMul, [scores, heads('value')])])
  const rows = g.node(reshape(6, 8), [mixed])
  return { rows, out: g.node(gemm, [rows, g.weights([8, 8]), g.weights([8])], 'out') }
}

test('what attention mixes is divided in the columns of its values, head by head', async () => {
  const g = new SmallGraph()
  const { rows, out } = attention(g, g.input('x', 1, 6, 8))
  const graph = g.finish(out)
  const rescaling = found(graph, rows, 1)
  assert.deepEqual(
    [rescaling.makers.map(({ node }) => node.name), rescaling.readers.map(({ node }) => node.name)],
    [['value'], ['out']],
  )
  await rescaled(graph, rows, 1)
})

test('a layer may be changed on both sides', async () => {
  const g = new SmallGraph()
  const normal = g.node(norm, [g.input('x', 1, 6, 8), g.weights([8], 0.5, 1), g.weights([8])])
  const { rows, out } = attention(g, normal)
  const graph = g.finish(out)
  const changes = [found(graph, normal, 2), found(graph, rows, 1)].map((rescaling) => ({
    rescaling,
    factors: factorsOf(8),
  }))
  const result = rescale(graph, changes)
  await assertSameFunction(graph, result)
  const value = constantsOf(result, 'value')
  const before = constantsOf(graph, 'value')
  // row 1, column 3: times the factor of what it reads, by that of what it makes
  assert.ok(Math.abs(value[0]![11]! - before[0]![11]! * 1.5 ** (1 - 2 - (3 - 2))) < 1e-6)
  assert.ok(Math.abs(value[1]![3]! - before[1]![3]! / 1.5) < 1e-6)
})

test('a normalization over channels of a pointwise convolution', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 4, 3, 3)
  const each = [4]
  const normal = g.node({ kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }, [
    x,
    g.weights(each, 0.5, 1),
    g.weights(each),
    g.weights(each),
    g.weights(each, 0.2, 0.5),
  ])
  await rescaled(g.finish(g.conv(normal, 6, { kernel: 1 }), g.conv(normal, 4, { group: 2 })), normal, 1)
})

test('nothing is found where a factor would not come out again', () => {
  const normalOf = (g: SmallGraph) =>
    g.node(norm, [g.input('x', 1, 6, 8), g.weights([8], 0.5, 1), g.weights([8])], 'norm')
  const read = (g: SmallGraph, value: string) => g.node(matMul, [value, g.weights([8, 8])], 'read')
  const obstacles: Record<string, (g: SmallGraph) => { value: string; outputs: string[] }> = {
    'n1 reads it too': (g) => {
      const value = normalOf(g)
      const product = read(g, value)
      return { value, outputs: [g.node(binary('Add'), [value, product], 'n1')] }
    },
    'norm_out is an output of the graph': (g) => {
      const value = normalOf(g)
      return { value, outputs: [read(g, value), value] }
    },
    'gelu does not commute with factors': (g) => {
      const value = g.node(gelu, [normalOf(g)], 'gelu')
      return { value, outputs: [read(g, value)] }
    },
    'x is an input of the graph': (g) => {
      const value = g.input('x', 1, 6, 8)
      return { value, outputs: [read(g, value)] }
    },
    'half has a scale or bias that is not one number a channel': (g) => {
      const value = g.node(binary('Mul'), [normalOf(g), g.constant([], [0.5])], 'half')
      return { value, outputs: [read(g, value)] }
    },
    'neither factor of product can be divided': (g) => {
      const x = g.input('x', 1, 6, 8)
      const value = g.node(binary('Mul'), [x, g.node(gelu, [x])], 'product')
      return { value, outputs: [read(g, value)] }
    },
    'read reads the channels along another axis': (g) => {
      const value = normalOf(g)
      const turned = g.node(transpose(0, 2, 1), [value])
      return { value, outputs: [g.node(matMul, [turned, g.weights([6, 2])], 'read')] }
    },
    'square reads it too': (g) => {
      const value = normalOf(g)
      return { value, outputs: [read(g, value), g.node(binary('Mul'), [value, value], 'square')] }
    },
  }
  for (const [expected, build] of Object.entries(obstacles)) {
    const g = new SmallGraph()
    const { value, outputs } = build(g)
    assert.equal(findRescaling(g.finish(...outputs), value, 2), expected)
  }
})

test('a layer that also makes a part of what it reads is not left half changed', async () => {
  const g = new SmallGraph()
  const first = g.node(matMul, [g.input('x', 1, 6, 8), g.weights([8, 8])], 'first')
  const second = g.node(matMul, [first, g.weights([8, 8])], 'second')
  const sum = g.node(binary('Add'), [first, second], 'sum')
  const graph = g.finish(g.node(matMul, [sum, g.weights([8, 2])], 'last'))
  const rescaling = found(graph, sum, 2)
  assert.deepEqual(rescaling.makers.map(({ node }) => node.name).sort(), ['first', 'second'])
  assert.deepEqual(rescaling.readers.map(({ node }) => node.name).sort(), ['last', 'second'])
  await rescaled(graph, sum, 2)
})
