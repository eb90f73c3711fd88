import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { readOnnx } from '../../src/formats/onnx/read.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import { unsignedTwin } from '../../targets/onnxruntime/unsigned-twin.ts'
import type { TargetOptions } from '../../targets/target.ts'
import {
  arm64Options,
  compileAndRun,
  evaluatorOf,
  randomFeeds,
  sessionOf,
  x64Options,
} from './onnxruntime-run.ts'
import { convOp, SmallGraph } from './small-graphs.ts'

/** conv → relu → conv → global pool → gemm → softmax. */
function classifier(): Graph {
  const g = new SmallGraph('classifier')
  const a = g.node({ kind: 'Relu' }, [g.conv(g.input('image', 1, 3, 8, 8), 8, {}, 'first')], 'relu')
  const b = g.conv(a, 8, { group: 8 }, 'second')
  const pooled = g.node({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [b], 'pool')
  const flat = g.node({ kind: 'Reshape', shape: [1, 8] }, [pooled], 'flat')
  const gemm = g.node(
    { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true },
    [flat, g.weights([5, 8]), g.weights([5])],
    'fc',
  )
  return g.finish(g.node({ kind: 'Softmax', axis: 1 }, [gemm], 'softmax'))
}

const weightsOf = (graph: Graph, node: string) =>
  graph.values.get(graph.nodes.find(({ name }) => name === node)!.inputs[1]!)!

test('only tensors that decide a scale are calibrated, and what a layer with a bias reads', () => {
  assert.deepEqual(onnxruntime.wantedTensors(classifier(), x64Options), [
    'image',
    'relu_out',
    'second_out',
    'pool_out',
    'flat_out',
  ])
  assert.deepEqual(onnxruntime.wantedTensors(classifier(), { ...x64Options, scheme: 'float' }), [])
})

test('a rectified output starts at 0 and needs no operator of its own', async () => {
  for (const [options, lowest] of [
    [x64Options, 0],
    [arm64Options, -128],
  ] as const) {
    const { prepared } = await compileAndRun(classifier(), options)
    assert.deepEqual(prepared.graph.values.get('relu_out')!.type.quantization!.zeroPoints, [lowest])
    assert.ok(!prepared.graph.nodes.some((node) => node.op.kind === 'Relu'))
  }
})

test('a Clip bounds the range of the tensor that it makes', async () => {
  const g = new SmallGraph()
  const y = g.conv(
    g.node({ kind: 'Clip', min: 0, max: 0.25 }, [g.conv(g.input('x', 1, 3, 8, 8), 8)], 'clip'),
    4,
  )
  const { prepared } = await compileAndRun(g.finish(y), x64Options)
  const { scales } = prepared.graph.values.get('clip_out')!.type.quantization!
  assert.ok(scales[0]! * 255 <= 0.25 + 1e-6, String(scales[0]! * 255))
})

test('weights are symmetric int8 with a scale for each channel, biases int32 at the product of scales', async () => {
  const { prepared } = await compileAndRun(classifier(), arm64Options)
  for (const [node, channels] of [
    ['first', 8],
    ['second', 8],
    ['fc', 5],
  ] as const) {
    const { type } = weightsOf(prepared.graph, node)
    assert.equal(type.dtype, 'int8')
    assert.equal(type.quantization!.axis, 0)
    assert.deepEqual(type.quantization!.zeroPoints, new Array(channels).fill(0))
    const made = prepared.graph.nodes.find(({ name }) => name === node)!
    const bias = prepared.graph.values.get(made.inputs[2]!)!.type
    const input = prepared.graph.values.get(made.inputs[0]!)!.type.quantization!.scales[0]!
    assert.equal(bias.dtype, 'int32')
    assert.deepEqual(
      bias.quantization!.scales,
      type.quantization!.scales.map((scale) => Math.fround(scale * input)),
    )
  }
})

test('a board without per-channel weights gets one scale, and is told why', async () => {
  const options: TargetOptions = {
    ...arm64Options,
    constraints: [{ kind: 'per-tensor-weights', sentence: 'This unit takes one scale a tensor.' }],
  }
  const { prepared } = await compileAndRun(classifier(), options)
  assert.equal(weightsOf(prepared.graph, 'first').type.quantization!.axis, null)
  assert.ok(prepared.decisions.some(({ reason }) => reason === 'This unit takes one scale a tensor.'))
})

test('x64 without VNNI keeps weights within ±64, so that 16-bit sums cannot saturate', async () => {
  const options: TargetOptions = { ...x64Options, cpu: { architecture: 'x86_64', features: ['avx2'] } }
  const { prepared } = await compileAndRun(classifier(), options)
  const stored = new Int8Array(weightsOf(prepared.graph, 'first').constant!.bytes())
  assert.equal(Math.max(...stored.map(Math.abs)), 64)
})

test('a node kept in float stays float, by name of node or value', async () => {
  for (const name of ['second', 'second_out']) {
    const { prepared, executed } = await compileAndRun(classifier(), { ...x64Options, keepFloat: [name] })
    assert.equal(weightsOf(prepared.graph, 'second').type.dtype, 'float32')
    assert.equal(executed.QLinearConv, 1)
    // ONNX Runtime must not quantize its weights on load either
    assert.equal(executed.Conv ?? executed.FusedConv, 1)
    assert.ok(prepared.decisions.some(({ where, reason }) => where === 'second' && /recipe/.test(reason)))
  }
})

test('a board that does not compute in int8 gets the float network', () => {
  const options: TargetOptions = {
    ...arm64Options,
    constraints: [{ kind: 'no-int8', sentence: 'It has no int8.' }],
  }
  const { graph } = onnxruntime.prepare(classifier(), new Map(), options)
  assert.ok([...graph.values.values()].every((value) => value.type.quantization === null))
  assert.ok(
    onnxruntime
      .inspect(classifier(), options)
      .every((row) => row.precision === 'float' && row.reason === 'It has no int8.'),
  )
})

test('an integer region without a convolution or product stays float, and says so', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 3, 8, 8)
  const y = g.node({ kind: 'Binary', fn: 'Add' }, [x, g.node({ kind: 'LeakyRelu', alpha: 0.1 }, [x])])
  const prepared = onnxruntime.prepare(g.finish(y), new Map(), x64Options)
  assert.ok(prepared.graph.nodes.every((node) => node.op.kind !== 'Convert'))
  assert.match(prepared.decisions.map(({ reason }) => reason).join(), /no convolution or matrix product/)
})

for (const options of [x64Options, arm64Options])
  for (const io of ['int8', 'uint8'] as const)
    test(`--io ${io} for ${options.cpu.architecture}: inputs and outputs are ${io}, and mean the same`, async () => {
      const graph = classifier()
      const asked = { ...options, io }
      const feeds = Array.from({ length: 16 }, (_, i) => randomFeeds(graph, i))
      const ranges = await calibrate(graph, evaluatorOf, feeds, onnxruntime.wantedTensors(graph, asked))
      const emitted = onnxruntime.emit(onnxruntime.prepare(graph, ranges, asked).graph, asked)
      const [input] = emitted.inputs
      const [output] = emitted.outputs
      assert.deepEqual(
        [input!.dtype, output!.dtype, input!.name, output!.name],
        [io, io, 'image', 'softmax_out'],
      )
      assert.deepEqual(output!.quantization, {
        scales: [1 / 256],
        zeroPoints: [io === 'int8' ? -128 : 0],
        axis: null,
      })
      const evaluator = await createOnnxEvaluator(
        emitted.files.get('model.onnx')!,
        options === arm64Options ? { config: { 'session.qdqisint8allowed': '1' } } : {},
      )
      const float = await evaluatorOf(graph)
      const real = feeds[3]!.get('image')!
      const { scales, zeroPoints } = input!.quantization!
      const [low, high] = io === 'int8' ? [-128, 127] : [0, 255]
      const stored = Array.from(real.data as Float32Array, (x) =>
        Math.min(high, Math.max(low, Math.round(x / scales[0]!) + zeroPoints[0]!)),
      )
      const data = io === 'int8' ? Int8Array.from(stored) : Uint8Array.from(stored)
      const found = (await evaluator.run(new Map([['image', { dtype: io, shape: real.shape, data }]]))).get(
        'softmax_out',
      )!
      const expected = (await float.run(feeds[3]!)).get('softmax_out')!
      for (const [i, p] of [...(expected.data as Float32Array)].entries()) {
        const q = (Number(found.data[i]) - output!.quantization!.zeroPoints[0]!) / 256
        assert.ok(Math.abs(p - q) < 0.02, `${q} for ${p}`)
      }
    })

test('same graph, ranges and options: the same bytes', async () => {
  const a = await compileAndRun(classifier(), x64Options)
  const b = await compileAndRun(classifier(), x64Options)
  assert.deepEqual(a.bytes, b.bytes)
})

test('the unsigned twin of an ARM64 network gives the same numbers on x64 as its signed kernels', async () => {
  const graph = classifier()
  const { prepared, bytes } = await compileAndRun(graph, arm64Options)
  const signed = await createOnnxEvaluator(bytes, { config: { 'session.qdqisint8allowed': '1' } })
  const twin = await createOnnxEvaluator(writeOnnx(unsignedTwin(prepared.graph)))
  for (let seed = 0; seed < 20; seed++) {
    const feeds = randomFeeds(graph, seed)
    const [a] = (await signed.run(feeds)).values()
    const [b] = (await twin.run(feeds)).values()
    assert.deepEqual(b!.data, a!.data)
  }
})

test('a file that already carries Q/DQ keeps its scales', async () => {
  const { bytes, prepared } = await compileAndRun(classifier(), x64Options)
  const model = await readOnnx({ bytes })
  const [graph] = model.graphs.values()
  assert.deepEqual(onnxruntime.wantedTensors(graph!, x64Options), [])
  const again = onnxruntime.prepare(graph!, new Map(), x64Options)
  assert.match(again.decisions[0]!.reason, /kept as they are/)
  const scales = (typed: Graph) =>
    [...typed.values.values()].flatMap((value) => value.type.quantization?.scales ?? []).sort((a, b) => a - b)
  assert.deepEqual([...new Set(scales(again.graph))], [...new Set(scales(prepared.graph))])
  const evaluator = await createOnnxEvaluator(
    onnxruntime.emit(again.graph, x64Options).files.get('model.onnx')!,
  )
  const reference = await createOnnxEvaluator(bytes)
  const feeds = randomFeeds(classifier(), 5)
  const [a] = (await evaluator.run(feeds)).values()
  const [b] = (await reference.run(feeds)).values()
  assert.deepEqual(a!.data, b!.data)
})

test('inspect names each operator that stays in float, why, and what would mend it', () => {
  const g = new SmallGraph()
  const y = g.conv(g.node({ kind: 'Tanh' }, [g.conv(g.input('x', 1, 3, 8, 8), 8)]), 4)
  const rows = onnxruntime.inspect(g.finish(y), arm64Options)
  assert.deepEqual(
    rows.map(({ sourceOp, precision }) => [sourceOp, precision]),
    [
      ['Conv', 'int8'],
      ['Tanh', 'float'],
      ['Conv', 'int8'],
    ],
  )
  assert.match(rows[1]!.reason, /integer kernel.*Saw: Tanh/)
  assert.ok(rows[1]!.remedy)
  assert.equal(rows[1]!.basis, 'documented')
})

test('the runtime of each architecture is found with its digest', async () => {
  for (const architecture of ['aarch64', 'x86_64']) {
    const [build] = await onnxruntime.runtimes(architecture)
    assert.match(build!.need.builds[0]!.sha256, /^[0-9a-f]{64}$/)
    assert.ok(build!.need.builds[0]!.bytes > 10_000_000)
    assert.equal(build!.need.builds[0]!.glibc, '2.28')
  }
  await assert.rejects(onnxruntime.runtimes('armv7l'), { code: 'TARGET_CANNOT_RUN' })
})

test('a value that a subgraph uses by name stays float under that name', async () => {
  const g = new SmallGraph()
  const a = g.node({ kind: 'Relu' }, [g.conv(g.input('x', 1, 3, 4, 4), 4)], 'inner')
  const b = g.conv(a, 4)
  const op = {
    kind: 'Opaque',
    format: 'onnx',
    domain: '',
    opType: 'If',
    opset: 17,
    payload: new Uint8Array(),
    captures: [a],
  } as const
  const type = g.editor.type(b)
  g.editor.addNode({ name: 'if', op, inputs: [b], outputs: [{ name: 'y', type }] })
  const graph = g.finish('y')
  const ranges = new Map(
    onnxruntime.wantedTensors(graph, x64Options).map((name) => [name, { min: -1, max: 1 }]),
  )
  const typed = onnxruntime.prepare(graph, ranges, x64Options).graph
  assert.deepEqual(typed.values.get(a)!.type, graph.values.get(a)!.type)
  const maker = typed.nodes.find((node) => node.outputs.includes(a))!
  assert.equal(maker.op.kind, 'Convert')
})

test('a Relu that calibration never saw above 0 still gives 0 for what is below', async () => {
  for (const options of [x64Options, arm64Options]) {
    const g = new SmallGraph()
    const x = g.input('x', 1, 1, 2, 2)
    const c = g.node(convOp({ pad: 0 }), [x, g.constant([1, 1, 1, 1], [1])])
    const y = g.node(
      convOp({ pad: 0 }),
      [g.node({ kind: 'Relu' }, [c], 'relu'), g.constant([1, 1, 1, 1], [1])],
      'last',
    )
    const graph = g.finish(y)
    const ranges = new Map([
      ['x', { min: -4, max: 4 }],
      ['relu_out', { min: 0, max: 0 }],
      ['last_out', { min: -4, max: 4 }],
    ])
    const bytes = onnxruntime
      .emit(onnxruntime.prepare(graph, ranges, options).graph, options)
      .files.get('model.onnx')!
    const evaluator = await createOnnxEvaluator(bytes, sessionOf(options))
    const data = Float32Array.of(-4, -2, -1, 0)
    const [result] = (
      await evaluator.run(new Map([['x', { dtype: 'float32', shape: [1, 1, 2, 2], data }]]))
    ).values()
    assert.deepEqual(
      [...(result!.data as Float32Array)].map((v) => v + 0),
      [0, 0, 0, 0],
    )
  }
})

test('a Clip whose bounds do not hold 0 stays in float', async () => {
  const g = new SmallGraph()
  const clipped = g.node({ kind: 'Clip', min: 0.5, max: 1 }, [g.conv(g.input('x', 1, 3, 8, 8), 8)], 'clip')
  const { executed, sqnrDb } = await compileAndRun(g.finish(g.conv(clipped, 4)), x64Options, 40)
  assert.equal(executed.Clip, 1)
  assert.ok(sqnrDb > 30, String(sqnrDb))
})
