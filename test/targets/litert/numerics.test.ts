import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersOf } from '../../../src/graph/constant.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { litert } from '../../../targets/litert/index.ts'
import { randomFeeds } from '../onnxruntime-run.ts'
import { convOp, SmallGraph } from '../small-graphs.ts'
import { compile, compileAndRun, options } from './run.ts'

const typeOf = (graph: Graph, name: string) => graph.values.get(name)!.type
const affine = (graph: Graph, name: string) => {
  const { scales, zeroPoints } = typeOf(graph, name).quantization!
  return [scales[0]!, zeroPoints[0]!]
}
const maxPool: Op = {
  kind: 'MaxPool',
  layout: 'channels-first',
  kernel: [2, 2],
  strides: [2, 2],
  dilations: [1, 1],
  padsBegin: [0, 0],
  padsEnd: [0, 0],
  ceilMode: false,
}

test('weights are symmetric in ±127 for each channel, biases int32 at the product of scales', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 8, 8), 8, {}, 'first')
  const { prepared } = await compileAndRun(g.finish(g.conv(x, 8, { group: 8 }, 'depthwise')))
  for (const name of ['first', 'depthwise']) {
    const node = prepared.graph.nodes.find((node) => node.name === name)!
    const [input, weights, bias] = node.inputs.map((input) => prepared.graph.values.get(input!)!)
    assert.equal(weights!.type.dtype, 'int8')
    assert.equal(weights!.type.quantization!.axis, 0)
    assert.ok(weights!.type.quantization!.zeroPoints.every((zero) => zero === 0))
    assert.ok(numbersOf(weights!.constant!).every((w) => w >= -127))
    assert.equal(bias!.type.dtype, 'int32')
    const [scale] = input!.type.quantization!.scales
    assert.deepEqual(
      bias!.type.quantization!.scales,
      weights!.type.quantization!.scales.map((w) => Math.fround(w * scale!)),
    )
  }
})

test('a dead channel with a large bias raises its weight scale until the bias fits int32', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 2, 4, 4)
  const w = g.constant([2, 2, 1, 1], [1e-12, 0, 0.5, -0.5])
  const y = g.node(convOp({ pad: 0 }), [x, w, g.constant([2], [3, 0.1])], 'conv')
  const { prepared, sqnrDb } = await compileAndRun(g.finish(y))
  const node = prepared.graph.nodes.find(({ name }) => name === 'conv')!
  const bias = prepared.graph.values.get(node.inputs[2]!)!
  const stored = numbersOf(bias.constant!)
  assert.ok(
    stored.every((b) => Math.abs(b) <= 2 ** 30),
    stored.join(),
  )
  assert.ok(Math.abs(stored[0]! * bias.type.quantization!.scales[0]! - 3) < 1e-3)
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

const fixedOutputs: [string, Op, [number, number]][] = [
  ['LOGISTIC', { kind: 'Sigmoid' }, [1 / 256, -128]],
  ['SOFTMAX', { kind: 'Softmax', axis: 1 }, [1 / 256, -128]],
  ['TANH', { kind: 'Tanh' }, [1 / 128, 0]],
  ['LOG_SOFTMAX', { kind: 'LogSoftmax', axis: 1 }, [16 / 256, 127]],
]
for (const [name, op, expected] of fixedOutputs)
  test(`${name} gives what the specification fixes`, async () => {
    const g = new SmallGraph()
    const fc: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }
    const logits = g.node(fc, [g.input('x', 1, 16), g.weights([8, 16]), g.weights([8])], 'fc')
    const graph = g.finish(g.node(op, [logits], 'last'))
    const feeds = [randomFeeds(graph, 1), randomFeeds(graph, 2)]
    const { prepared } = await compile(graph, feeds, { ...options, io: 'int8' })
    assert.deepEqual(affine(prepared.graph, 'last_out'), expected)
    assert.equal(prepared.integerOnly, true)
    // with float outputs it ends the network in float, all of which XNNPACK takes
    const float = await compileAndRun(graph)
    assert.ok(
      float.operators.at(-2) === 'DEQUANTIZE' && float.operators.at(-1) === name,
      float.operators.join(),
    )
    assert.ok(float.sqnrDb > 20, `${float.sqnrDb} dB`)
  })

test('what only moves data shares scale and zero point with its input', async () => {
  const g = new SmallGraph()
  const a = g.conv(g.input('x', 1, 4, 8, 8), 8, {}, 'a')
  const pooled = g.node(maxPool, [a], 'pool')
  const padded = g.node(
    { kind: 'Pad', mode: 'constant', padsBegin: [0, 0, 1, 1], padsEnd: [0, 0, 1, 1], value: 0 },
    [pooled],
    'pad',
  )
  const b = g.conv(padded, 8, { kernel: 1 }, 'b')
  const joined = g.node({ kind: 'Concat', axis: 1 }, [padded, b], 'concat')
  const { prepared, operators, sqnrDb } = await compileAndRun(g.finish(g.conv(joined, 4, {}, 'c')))
  const first = affine(prepared.graph, 'a_out')
  for (const name of ['pool_out', 'pad_out', 'concat_out'])
    assert.deepEqual(affine(prepared.graph, name), first, name)
  assert.deepEqual(affine(prepared.graph, 'b_out'), first)
  assert.equal(operators.filter((name) => name === 'QUANTIZE').length, 1)
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

test('branches bound to different parameters are requantized where they meet', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 4, 8, 8)
  const scores = g.node({ kind: 'Sigmoid' }, [g.conv(x, 2, {}, 'scores')], 'sigmoid')
  const boxes = g.node(
    { kind: 'Binary', fn: 'Mul' },
    [g.conv(x, 2, {}, 'boxes'), g.constant([1], [100])],
    'mul',
  )
  const joined = g.node({ kind: 'Concat', axis: 1 }, [scores, boxes], 'concat')
  const { prepared, operators } = await compileAndRun(g.finish(g.conv(joined, 2, {}, 'last')))
  const { graph } = prepared
  assert.deepEqual(affine(graph, 'sigmoid_out'), [1 / 256, -128])
  assert.deepEqual(affine(graph, 'mul_out'), affine(graph, 'concat_out'))
  assert.ok(affine(graph, 'concat_out')[0]! > 0.5)
  assert.ok(operators.indexOf('CONCATENATION') - operators.indexOf('QUANTIZE') > 0)
})

test('a Relu in a class that negatives widen stays as the fused activation of its operator', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 4, 8, 8)
  const a = g.node({ kind: 'Relu' }, [g.conv(x, 4, {}, 'a')], 'relu')
  const joined = g.node({ kind: 'Concat', axis: 1 }, [a, g.conv(x, 4, {}, 'b')], 'concat')
  const { prepared, operators, sqnrDb } = await compileAndRun(g.finish(joined))
  assert.notEqual(affine(prepared.graph, 'relu_out')[1], -128)
  assert.ok(prepared.graph.nodes.some(({ op }) => op.kind === 'Relu'))
  assert.ok(!operators.includes('RELU'), operators.join())
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

test('a clip that cannot be fused is a requantization to a range that ends there', async () => {
  const g = new SmallGraph()
  const a = g.conv(g.input('x', 1, 4, 8, 8), 4, {}, 'a')
  const clipped = g.node({ kind: 'Clip', min: -0.25, max: 0.5 }, [a], 'clip')
  const y = g.node({ kind: 'Binary', fn: 'Add' }, [g.conv(clipped, 4, {}, 'b'), a], 'sum')
  const { prepared, operators, sqnrDb } = await compileAndRun(g.finish(y))
  const [scale, zeroPoint] = affine(prepared.graph, 'clip_out')
  assert.ok((127 - zeroPoint!) * scale! <= 0.5 + scale! && (-128 - zeroPoint!) * scale! >= -0.25 - scale!)
  assert.deepEqual(
    operators.filter((name) => name !== 'TRANSPOSE'),
    ['QUANTIZE', 'CONV_2D', 'QUANTIZE', 'CONV_2D', 'ADD', 'DEQUANTIZE'],
  )
  assert.ok(sqnrDb > 25, `${sqnrDb} dB`)
})

test('scales too far apart for XNNPACK are brought within its ratio', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 4, 8, 8)
  const small = g.node(
    { kind: 'Binary', fn: 'Mul' },
    [g.conv(x, 4, {}, 'a'), g.constant([1], [1e-5])],
    'tiny',
  )
  const y = g.node({ kind: 'Binary', fn: 'Add' }, [small, g.conv(x, 4, {}, 'b')], 'sum')
  const { prepared, sqnrDb } = await compileAndRun(g.finish(y))
  const share = affine(prepared.graph, 'tiny_out')[0]! / affine(prepared.graph, 'sum_out_quantized')[0]!
  assert.ok(share >= 2 ** -10, String(share))
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

test('padding that is neither SAME nor VALID is a PAD of zeros, and of the lowest value before a max pool', async () => {
  const g = new SmallGraph()
  const a = g.conv(g.input('x', 1, 3, 16, 16), 8, { stride: 2, pad: 1 }, 'a')
  const pool: Op = { ...maxPool, kernel: [3, 3], padsBegin: [1, 1], padsEnd: [1, 1] }
  const { prepared, operators, sqnrDb } = await compileAndRun(
    g.finish(g.conv(g.node(pool, [a], 'pool'), 4, {}, 'b')),
  )
  assert.deepEqual(
    operators.filter((name) => name.startsWith('PAD') || name === 'MAX_POOL_2D'),
    ['PAD', 'PADV2', 'MAX_POOL_2D'],
  )
  assert.ok(prepared.graph.nodes.every(({ op }) => op.kind !== 'Pad' || Number.isFinite(op.value)))
  assert.ok(sqnrDb > 25, `${sqnrDb} dB`)
})

test('global and whole-extent average pools are a MEAN without kept axes', async () => {
  const g = new SmallGraph()
  const pooled = g.node({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [
    g.conv(g.input('x', 1, 3, 8, 8), 8),
  ])
  const fc: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
  const y = g.node(fc, [
    g.node({ kind: 'Reshape', shape: [1, 8] }, [pooled]),
    g.weights([8, 4]),
    g.weights([4]),
  ])
  const { operators, sqnrDb } = await compileAndRun(g.finish(y))
  assert.deepEqual(
    operators.filter((name) => name !== 'TRANSPOSE'),
    ['QUANTIZE', 'CONV_2D', 'MEAN', 'FULLY_CONNECTED', 'DEQUANTIZE'],
  )
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

test('boundary types: int8 as it is, uint8 shifted, float behind conversions', async () => {
  const g = new SmallGraph()
  const graph = g.finish(g.conv(g.input('x', 1, 3, 8, 8), 4, {}, 'a'))
  for (const io of ['int8', 'uint8', 'float'] as const) {
    const { emitted, prepared } = await compile(graph, [randomFeeds(graph, 1)], { ...options, io })
    const [input] = emitted.inputs
    assert.equal(input!.name, 'x')
    assert.equal(input!.dtype, io === 'float' ? 'float32' : io)
    assert.equal(prepared.integerOnly, true)
  }
})

test('an operator that TensorFlow Lite lacks is refused by name', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 8, 8), 4, {}, 'a')
  const nms: Op = {
    kind: 'Opaque',
    format: 'onnx',
    domain: '',
    opType: 'NonMaxSuppression',
    opset: 13,
    payload: new Uint8Array(),
    captures: [],
  }
  g.editor.addNode({
    name: 'nms',
    op: nms,
    inputs: [x],
    outputs: [{ name: 'y', type: typeOf(g.editor.finish(), 'x') ?? null }],
  })
  g.editor.outputs = ['y']
  const graph = g.editor.finish()
  assert.throws(() => litert.prepare(litert.tailor!(graph, options), new Map(), options), {
    code: 'OPERATOR_UNSUPPORTED',
    saw: 'NonMaxSuppression',
  })
  const row = litert.inspect(graph, options).find(({ name }) => name === 'nms')!
  assert.equal(row.placement, 'unsupported')
})
