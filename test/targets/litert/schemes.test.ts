import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { SmallGraph } from '../small-graphs.ts'
import { compileAndRun, options } from './run.ts'

const fc: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }

/** conv → relu → depthwise → mean → fully connected → softmax; only the pointwise weights reach 1024 elements. */
function classifier(): Graph {
  const g = new SmallGraph('classifier')
  const a = g.node({ kind: 'Relu' }, [
    g.conv(g.input('image', 1, 3, 16, 16), 32, { stride: 2, pad: 0 }, 'first'),
  ])
  const b = g.conv(g.conv(a, 32, { group: 32 }, 'depthwise'), 48, { kernel: 1 }, 'pointwise')
  const pooled = g.node({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [b])
  const flat = g.node({ kind: 'Reshape', shape: [1, 48] }, [pooled])
  return g.finish(
    g.node({ kind: 'Softmax', axis: 1 }, [g.node(fc, [flat, g.weights([10, 48]), g.weights([10])], 'fc')]),
  )
}

const weightsOf = (graph: Graph, name: string) =>
  graph.values.get(graph.nodes.find((node) => node.name === name)!.inputs[1]!)!

test('int16x8: int16 activations around zero, int8 weights, int64 biases, nearer to float than int8', async () => {
  const int8 = await compileAndRun(classifier())
  const { prepared, sqnrDb } = await compileAndRun(classifier(), { ...options, scheme: 'int16x8' })
  const { graph } = prepared
  const conv = graph.nodes.find(({ name }) => name === 'pointwise')!
  const [input, weights, bias] = conv.inputs.map((name) => graph.values.get(name!)!.type)
  assert.equal(input!.dtype, 'int16')
  assert.deepEqual(input!.quantization!.zeroPoints, [0])
  assert.equal(weights!.dtype, 'int8')
  assert.equal(bias!.dtype, 'int64')
  assert.ok(sqnrDb > int8.sqnrDb, `${sqnrDb} dB, int8 ${int8.sqnrDb} dB`)
})

test('dynamic: int8 weights of 1024 elements or more go to the kernel, activations stay real', async () => {
  const { prepared, operators, sqnrDb } = await compileAndRun(classifier(), { ...options, scheme: 'dynamic' })
  assert.equal(weightsOf(prepared.graph, 'pointwise').type.dtype, 'int8')
  assert.equal(weightsOf(prepared.graph, 'depthwise').type.dtype, 'float32')
  assert.ok(!operators.includes('DEQUANTIZE') && !operators.includes('QUANTIZE'), operators.join())
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

test('weight-only: int8 weights stand behind a dequantization', async () => {
  const { operators, sqnrDb } = await compileAndRun(classifier(), { ...options, scheme: 'weight-only' })
  assert.equal(operators.filter((name) => name === 'DEQUANTIZE').length, 1)
  assert.ok(sqnrDb > 40, `${sqnrDb} dB`)
})

test('float16: half the bytes, within float16 of the float file', async () => {
  const float = await compileAndRun(classifier(), { ...options, scheme: 'float' })
  const { bytes, operators, sqnrDb } = await compileAndRun(classifier(), { ...options, scheme: 'float16' })
  assert.ok(float.sqnrDb > 100, `${float.sqnrDb} dB`)
  assert.ok(operators.includes('DEQUANTIZE'))
  assert.ok(sqnrDb > 55, `${sqnrDb} dB`)
  assert.ok(bytes.length < 0.75 * float.bytes.length, `${bytes.length} beside ${float.bytes.length}`)
})

test('what the recipe keeps in float stays float under every scheme', async () => {
  const keepFloat = ['pointwise']
  for (const scheme of ['full-int8', 'dynamic', 'weight-only'] as const) {
    const { prepared } = await compileAndRun(classifier(), { ...options, scheme, keepFloat })
    assert.equal(weightsOf(prepared.graph, 'pointwise').type.dtype, 'float32', scheme)
  }
})
