import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { schemes } from '../../src/artifact/manifest.ts'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { decodeModel } from '../../src/formats/onnx/proto.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { argMax, SqnrMeter } from '../../src/quantize/fidelity.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import type { TargetOptions } from '../../targets/target.ts'
import { fixturesMissing } from '../fixtures.ts'
import { compileAndRun, executedOperators, x64Options } from './onnxruntime-run.ts'
import { exampleDigits, feedOf, keywordSpotting, type Task } from './onnxruntime-tasks.ts'
import { SmallGraph } from './small-graphs.ts'

const dynamic: TargetOptions = { ...x64Options, scheme: 'dynamic' }
const weightOnly: TargetOptions = { ...x64Options, scheme: 'weight-only' }
const fc = (transB: boolean, alpha = 1): Op => ({ kind: 'Gemm', alpha, beta: 1, transA: false, transB })

async function score(task: Task, options: TargetOptions) {
  assert.deepEqual(onnxruntime.wantedTensors(task.graph, options), [], 'needs no data')
  const { graph } = onnxruntime.prepare(task.graph, new Map(), options)
  const bytes = onnxruntime.emit(graph, options).files.get('model.onnx')!
  const float = await createOnnxEvaluator(readFileSync(task.path))
  const compiled = await createOnnxEvaluator(bytes)
  const meter = new SqnrMeter()
  const right = { float: 0, compiled: 0 }
  for (let i = 0; i < task.samples.length; i++) {
    const [a] = (await float.run(feedOf(task, i))).values()
    const [b] = (await compiled.run(feedOf(task, i))).values()
    meter.add(a!.data as Float32Array, b!.data as Float32Array)
    if (argMax(a!.data as Float32Array) === task.labels[i]) right.float++
    if (argMax(b!.data as Float32Array) === task.labels[i]) right.compiled++
  }
  await float.close()
  await compiled.close()
  const executed = await executedOperators(bytes, options)
  return { bytes, ratio: bytes.length / readFileSync(task.path).length, db: meter.db, right, executed }
}

type Row = [TargetOptions['scheme'], { leastDb: number; largest: number; integerProducts: number }]

function holds(name: string, load: () => Promise<Task>, skip: string | false, rows: readonly Row[]) {
  for (const [scheme, expected] of rows)
    test(`${name}, ${scheme}: accuracy, size and what ONNX Runtime executes`, { skip }, async (t) => {
      const { ratio, db, right, executed } = await score(await load(), { ...x64Options, scheme })
      t.diagnostic(
        `${db.toFixed(1)} dB, ${ratio.toFixed(3)} of the bytes, ${JSON.stringify({ right, executed })}`,
      )
      assert.ok(db >= expected.leastDb, `${db} dB`)
      assert.ok(ratio <= expected.largest, `${ratio} of the float file`)
      assert.ok(right.compiled >= right.float - 3, JSON.stringify(right))
      assert.equal(executed.DynamicQuantizeMatMul ?? 0, expected.integerProducts)
      for (const left of ['DequantizeLinear', 'Cast', 'MatMulNBits', 'ConvInteger'])
        assert.equal(executed[left], undefined, `${left} is left in what runs`)
    })
}

holds('keyword spotting', keywordSpotting, fixturesMissing, [
  ['weight-only', { leastDb: 33, largest: 0.4, integerProducts: 0 }],
  ['float16', { leastDb: 60, largest: 0.5, integerProducts: 0 }],
  ['dynamic', { leastDb: 33, largest: 0.4, integerProducts: 0 }],
])
holds('digits of the example', exampleDigits, false, [
  ['weight-only', { leastDb: 45, largest: 0.3, integerProducts: 0 }],
  ['float16', { leastDb: 60, largest: 0.52, integerProducts: 0 }],
  ['dynamic', { leastDb: 45, largest: 0.3, integerProducts: 1 }],
])

const opTypes = (bytes: Uint8Array) => decodeModel(bytes).graph!.node.map(({ opType }) => opType)
const countOf = (types: readonly string[], type: string) => types.filter((t) => t === type).length
const weightsOf = (graph: Graph, name: string) =>
  graph.values.get(graph.nodes.find((node) => node.name === name)!.inputs[1]!)!
const storedOf = (graph: Graph, name: string) => {
  const given = weightsOf(graph, name)
  const maker = graph.nodes.find(({ outputs }) => outputs.includes(given.name))
  return maker ? graph.values.get(maker.inputs[0]!)! : given
}
const largestOf = (graph: Graph, name: string) =>
  new Int8Array(storedOf(graph, name).constant!.bytes()).reduce((a, b) => Math.max(a, Math.abs(b)), 0)

/** Two products read one value; then a convolution. */
function products(): Graph {
  const g = new SmallGraph('products')
  const x = g.input('x', 4, 64)
  const a = g.node(fc(true), [x, g.weights([32, 64]), g.weights([32])], 'transposed')
  const b = g.node(fc(false), [x, g.weights([64, 32])], 'straight')
  const sum = g.node({ kind: 'Binary', fn: 'Add' }, [a, b])
  const image = g.node({ kind: 'Reshape', shape: [1, 8, 4, 4] }, [sum])
  return g.finish(g.conv(image, 64, {}, 'conv'))
}

test('dynamic: products that read one value share its quantization, with a scale for each column', async () => {
  const { bytes, prepared, executed, sqnrDb } = await compileAndRun(products(), dynamic)
  const types = opTypes(bytes)
  assert.equal(countOf(types, 'DynamicQuantizeLinear'), 1)
  assert.equal(countOf(types, 'MatMulInteger'), 2)
  assert.equal(executed.MatMulIntegerToFloat, 2)
  assert.equal(executed.Conv ?? executed.FusedConv, 1)
  for (const name of ['transposed', 'straight']) {
    const { type } = weightsOf(prepared.graph, name)
    assert.deepEqual([type.dtype, type.shape, type.quantization!.axis], ['int8', [64, 32], 1])
  }
  assert.ok(sqnrDb > 35, `${sqnrDb} dB`)
})

test('dynamic on x64 without VNNI: weights of integer products stay within ±64, those behind a conversion need not', () => {
  const plain: TargetOptions = { ...dynamic, cpu: { architecture: 'x86_64', features: ['avx2'] } }
  const { graph } = onnxruntime.prepare(products(), new Map(), plain)
  assert.equal(largestOf(graph, 'transposed'), 64)
  assert.equal(largestOf(graph, 'conv'), 127)
})

test('dynamic: a Gemm that is more than a product and a bias keeps its own form', async () => {
  const g = new SmallGraph()
  const out = g.node(fc(true, 2), [g.input('x', 2, 64), g.weights([32, 64]), g.weights([32])], 'doubled')
  const { bytes, sqnrDb } = await compileAndRun(g.finish(out), dynamic)
  assert.deepEqual(opTypes(bytes), ['Cast', 'Mul', 'Gemm'])
  assert.ok(sqnrDb > 40, `${sqnrDb} dB`)
})

test('dynamic: an input of zeros gives the bias, not NaN', async () => {
  const g = new SmallGraph()
  const bias = Array.from({ length: 32 }, (_, i) => i - 7)
  const out = g.node(fc(true), [g.input('x', 1, 64), g.weights([32, 64]), g.constant([32], bias)], 'fc')
  const { bytes } = await compileAndRun(g.finish(out), dynamic)
  const evaluator = await createOnnxEvaluator(bytes)
  const [result] = (
    await evaluator.run(new Map([['x', { dtype: 'float32', shape: [1, 64], data: new Float32Array(64) }]]))
  ).values()
  await evaluator.close()
  assert.deepEqual([...(result!.data as Float32Array)], bias)
})

test('weight-only: int8 in the file, float kernels in what runs', async () => {
  const { bytes, executed, prepared } = await compileAndRun(products(), weightOnly)
  assert.equal(executed.Gemm, 2)
  assert.equal(executed.MatMulNBits ?? executed.DequantizeLinear, undefined)
  assert.deepEqual(storedOf(prepared.graph, 'transposed').type.quantization!.axis, 0)
  const initializers = decodeModel(bytes).graph!.initializer
  assert.equal(initializers.filter(({ dataType }) => dataType === 3).length, 3)
})

test('weight-only: a scale for each output channel of a transposed convolution', async () => {
  const g = new SmallGraph()
  const op: Op = {
    kind: 'ConvTranspose',
    group: 1,
    layout: 'channels-first',
    strides: [2, 2],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
    outputPadding: [0, 0],
  }
  const out = g.node(op, [g.input('x', 1, 16, 5, 5), g.weights([16, 24, 2, 2])], 'up')
  const { prepared, sqnrDb } = await compileAndRun(g.finish(out), weightOnly)
  const { quantization } = storedOf(prepared.graph, 'up').type
  assert.deepEqual([quantization!.axis, quantization!.scales.length], [1, 24])
  assert.ok(sqnrDb > 40, `${sqnrDb} dB`)
})

test('float16: a constant beyond the range of float16 stays float32', () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 8)
  const far = g.node({ kind: 'Binary', fn: 'Mul' }, [x, g.constant([8], [1, 2, 3, 4, 5, 6, 7, 70000])], 'far')
  const near = g.node({ kind: 'Binary', fn: 'Mul' }, [far, g.constant([8], [1, 2, 3, 4, 5, 6, 7, 8])], 'near')
  const { graph } = onnxruntime.prepare(g.finish(near), new Map(), { ...x64Options, scheme: 'float16' })
  assert.equal(storedOf(graph, 'far').type.dtype, 'float32')
  assert.equal(storedOf(graph, 'near').type.dtype, 'float16')
})

test('what the recipe keeps in float, by node or by value, keeps float32 weights', () => {
  for (const options of [dynamic, weightOnly])
    for (const kept of ['straight', 'straight_out']) {
      const { graph } = onnxruntime.prepare(products(), new Map(), { ...options, keepFloat: [kept] })
      assert.equal(storedOf(graph, 'straight').type.dtype, 'float32', `${options.scheme} ${kept}`)
      assert.equal(storedOf(graph, 'transposed').type.dtype, 'int8')
    }
})

test('inspect under dynamic: the products compute on integers, the convolution in float', () => {
  const rows = onnxruntime.inspect(products(), dynamic)
  const precision = Object.fromEntries(rows.map((row) => [row.name, row.precision]))
  assert.equal(precision.transposed, 'int8')
  assert.equal(precision.straight, 'int8')
  assert.equal(precision.conv, 'float')
})

test('every scheme is taken, or refused with a reason', () => {
  for (const scheme of schemes)
    assert.notEqual(
      onnxruntime.schemes.includes(scheme),
      onnxruntime.refusals?.[scheme] !== undefined,
      scheme,
    )
})
