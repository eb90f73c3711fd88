import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { decodeModel } from '../../../src/formats/onnx/proto.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import type { Graph } from '../../../src/graph/types.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import { emulateHalf } from '../../../targets/tensorrt/emulate-half.ts'
import { halfPrecision } from '../../../targets/tensorrt/half.ts'
import { tensorrt } from '../../../targets/tensorrt/index.ts'
import { SmallGraph } from '../small-graphs.ts'
import { randomFeeds } from '../onnxruntime-run.ts'
import { residualBlocks, transformerBlock } from './networks.ts'
import { compile, feedOf, fidelity, options } from './run.ts'

const half: TargetOptions = { ...options, scheme: 'float16' }
const float32 = 1
const float16 = 10

function halved(graph: Graph, beyond?: ReadonlySet<string>): Graph {
  const made = halfPrecision(graph, beyond)
  assert.ok(typeof made !== 'string', String(made))
  return made
}

test('a float16 network keeps float32 at its boundary and is near to float', async () => {
  for (const graph of [residualBlocks(), transformerBlock()]) {
    const feeds = [randomFeeds(graph, 1), randomFeeds(graph, 2)]
    const { typed, emitted } = await compile(graph, feeds, half)
    const file = decodeModel(typed!).graph!
    for (const { type } of [...file.input, ...file.output]) assert.equal(type!.tensorType!.elemType, float32)
    const weights = file.initializer.filter(({ dims }) => dims.length > 1)
    assert.ok(weights.length > 0 && weights.every(({ dataType }) => dataType === float16))
    const db = await fidelity(graph, emitted.emulated!, feeds, half)
    assert.ok(db > 50 && db < 90, `${db} dB: float16 rounds to 2^-11`)
    const own = await fidelity(graph, typed!, feeds, half)
    assert.ok(own > 50, `${own} dB`)
  }
})

/** (40 x)² · ½ with x up to 10: 80,000 at most. */
function overflowing(): Graph {
  const g = new SmallGraph('overflow')
  const scaled = g.node({ kind: 'Binary', fn: 'Mul' }, [g.input('x', 1, 4), g.constant([1], [40])], 'scaled')
  const square = g.node({ kind: 'Binary', fn: 'Mul' }, [scaled, scaled], 'square')
  return g.finish(g.node({ kind: 'Binary', fn: 'Mul' }, [square, g.constant([1], [0.001])], 'small'))
}

test('an overflow of float16 shows on this computer', async () => {
  const graph = overflowing()
  const evaluator = await createOnnxEvaluator(writeOnnx(emulateHalf(halved(graph))))
  const [result] = (await evaluator.run(feedOf(graph, Float32Array.of(1, 2, 5, 10)))).values()
  assert.deepEqual([...(result!.data as Float32Array)].map(Number.isFinite), [true, true, true, false])
  await evaluator.close()
})

test('what samples showed beyond float16 stays float32, and no builder may choose float16 for it', async () => {
  const graph = overflowing()
  const feeds = [feedOf(graph, Float32Array.of(-10, 3, 2, 1))]
  const { prepared, emitted } = await compile(graph, feeds, half)
  assert.deepEqual([...prepared.beyondFloat16!], ['square_out'])
  assert.ok(prepared.decisions.some(({ where, reason }) => where === 'square_out' && /beyond/.test(reason)))
  const db = await fidelity(graph, emitted.emulated!, [feedOf(graph, Float32Array.of(10, -10, 9, 8))], half)
  assert.ok(db > 60, `${db} dB`)
  const plan = tensorrt.preparation!(emitted, prepared, half)
  assert.ok(plan && 'kind' in plan)
  assert.deepEqual(plan.weaklyTyped.allow, [])
})

test('sums and powers stay float32 with what feeds them alone; an epsilon does not vanish', () => {
  const g = new SmallGraph('norm')
  const x = g.input('x', 1, 8)
  const square = g.node({ kind: 'Binary', fn: 'Mul' }, [x, x], 'square')
  const mean = g.node({ kind: 'Reduce', fn: 'Mean', axes: [1], keepDims: true }, [square], 'mean')
  const safe = g.node({ kind: 'Binary', fn: 'Add' }, [mean, g.constant([1], [1e-9])], 'safe')
  const y = g.node({ kind: 'Relu' }, [g.node({ kind: 'Binary', fn: 'Mul' }, [x, safe], 'product')], 'relu')
  const made = halved(g.finish(y))
  const dtype = (name: string) => made.values.get(name)!.type.dtype
  for (const name of ['square_out', 'mean_out', 'safe_out']) assert.equal(dtype(name), 'float32', name)
  assert.equal(dtype('product_out'), 'float16')
})

test('a network in float16 with names that conversions would take', async () => {
  const g = new SmallGraph('names')
  const x = g.input('x', 1, 4)
  const a = g.node({ kind: 'Relu' }, [x], 'cast_x_half')
  const b = g.node({ kind: 'Unary', fn: 'Neg' }, [a], 'x_half')
  const graph = g.finish(g.node({ kind: 'Binary', fn: 'Add' }, [a, b], 'round_x_half_out'), b)
  const { typed, emitted } = await compile(graph, [randomFeeds(graph, 1)], half)
  for (const bytes of [typed!, emitted.emulated!]) await (await createOnnxEvaluator(bytes)).close()
})

test('numbers beyond float16 beside int8: the float32 file alone, with the reason', async () => {
  const g = new SmallGraph('large')
  const graph = g.finish(g.conv(g.input('x', 1, 16, 6, 6), 16, {}, 'conv'))
  const size = 16 * 36
  const feed = feedOf(
    graph,
    Float32Array.from({ length: size }, (_, i) => (i % 7) * 20_000),
  )
  const { prepared, typed, emitted } = await compile(graph, [feed])
  assert.equal(typed, undefined)
  const { decisions } = tensorrt.complete!(tensorrt.emit(prepared.graph, options), prepared, options)
  assert.match(decisions[0]!.reason, /beyond float16.*TensorRT 11 computes in float32/)
  const plan = tensorrt.preparation!(emitted, prepared, options)
  assert.ok(plan && 'kind' in plan)
  assert.equal(plan.stronglyTyped.model, plan.weaklyTyped.model)
  assert.deepEqual(plan.weaklyTyped.allow, ['int8'])
})
