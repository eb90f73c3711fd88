import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createLitertEvaluator } from '../../../src/execute/litert.ts'
import { openModel } from '../../../src/formats/index.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import { constantOfNumbers } from '../../../src/graph/encode.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph, Value } from '../../../src/graph/types.ts'
import { floatPasses, runPasses } from '../../../src/passes/index.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { assertSameGraph } from '../../formats/tflite/same-graph.ts'
import { randomFeeds } from '../onnxruntime-run.ts'
import { SmallGraph } from '../small-graphs.ts'
import { compile, evaluatorOf, operatorsOf, options } from './run.ts'

const mnist = join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx')
const tiny = [
  'ad_float.tflite',
  'ic_resnet8_float.tflite',
  'kws_dscnn_float.onnx',
  'vww_float.tflite',
  'ad_autoencoder.h5',
  'ic_resnet8.h5',
  'vww_mobilenetv1_025_96.h5',
]

async function opened(path: string): Promise<Graph> {
  const [graph] = (await openModel(path)).graphs.values()
  return runPasses(graph!, floatPasses(evaluatorOf))
}

for (const scheme of ['float16', 'weight-only'] as const)
  describe(`weights behind a dequantization, ${scheme}`, () => {
    it('never change while the network runs: mnist.onnx', async () => holds(await opened(mnist), scheme))

    for (const name of tiny)
      it(`never change while the network runs: ${name}`, { skip: fixturesMissing }, async () =>
        holds(await opened(fixture(`mlperf-tiny/${name}`)), scheme),
      )

    it('never change where kernels of every order read them', async () => holds(everyOrder(), scheme))
  })

/** No transposition, the outputs of a file that has the same weights widened beforehand, and read as written. */
async function holds(graph: Graph, scheme: 'float16' | 'weight-only'): Promise<void> {
  const { bytes, prepared } = await compile(graph, [], { ...options, scheme })
  const operators = await operatorsOf(bytes)
  assert.ok(operators.includes('DEQUANTIZE'), operators.join())
  assert.equal(operators.filter((name) => name === 'TRANSPOSE').length, 0, operators.join())

  const stored = await createLitertEvaluator(bytes)
  const widened = await createLitertEvaluator(
    writeTflite(convertLayout(widen(prepared.graph), 'channels-last')),
  )
  const feed = randomFeeds(graph, 5)
  const [actual, expected] = [await stored.run(feed), await widened.run(feed)]
  await stored.close()
  await widened.close()
  for (const name of graph.outputs) {
    const [x, y] = [actual.get(name)!.data as Float32Array, expected.get(name)!.data as Float32Array]
    const largest = y.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const apart = x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0)
    assert.ok(largest > 0 && apart <= 1e-6 * largest, `${name}: ${apart} apart, ${largest} the largest`)
  }

  const [read] = (await readTflite({ bytes })).graphs.values()
  assert.ok(!read!.nodes.some(({ op }) => op.kind === 'Opaque'))
  const [again] = (await readTflite({ bytes: writeTflite(read!) })).graphs.values()
  assertSameGraph(again!, read!, scheme)
}

/** The graph with every dequantization of a constant done: real = (stored − zero point) · scale. */
function widen(graph: Graph): Graph {
  const editor = new GraphEditor(graph)
  for (const { op, inputs, outputs } of graph.nodes) {
    if (op.kind !== 'Cast' && op.kind !== 'Convert') continue
    const from = graph.values.get(inputs[0]!)!
    if (!from.constant) continue
    const reals = constantOfNumbers('float32', from.type.shape, realsOf(from))
    editor.redirect(outputs[0]!, editor.addConstant(`${outputs[0]}_widened`, reals))
  }
  return editor.finish()
}

function realsOf({ constant, type: { shape, quantization } }: Value): number[] {
  const numbers = numbersOf(constant!)
  if (!quantization) return numbers
  const { scales, zeroPoints, axis } = quantization
  const inner = axis === null ? 1 : shape.slice(axis + 1).reduce((product, size) => product * size, 1)
  return numbers.map((number, i) => {
    const channel = axis === null ? 0 : Math.floor(i / inner) % shape[axis]!
    return Math.fround((number - zeroPoints[channel]!) * scales[channel]!)
  })
}

/** One set of weights read by a convolution and, as [in, out], by a transposed one; a depthwise one; both matrix orders. */
function everyOrder(): Graph {
  const g = new SmallGraph('every_order')
  const window = { strides: [1, 1], dilations: [1, 1], padsBegin: [1, 1], padsEnd: [1, 1] }
  const layout = 'channels-first'
  const shared = g.weights([16, 16, 3, 3])
  const conv: Op = { kind: 'Conv', group: 1, layout, ...window }
  const back: Op = { kind: 'ConvTranspose', group: 1, layout, ...window, outputPadding: [0, 0] }
  // one channel alone needs no turning on the way in
  const first = g.conv(g.input('image', 1, 1, 8, 8), 16, {}, 'first')
  const a = g.node(conv, [first, shared], 'conv')
  const b = g.node(back, [a, shared], 'back')
  const wide = g.conv(b, 128, { kernel: 1 }, 'wide')
  const depthwise = g.node({ ...conv, group: 128 }, [wide, g.weights([128, 1, 3, 3])], 'depthwise')
  const pooled = g.node({ kind: 'GlobalAveragePool', layout }, [depthwise])
  const flat = g.node({ kind: 'Reshape', shape: [1, 128] }, [pooled])
  const square = g.weights([128, 128])
  const product: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }
  const c = g.node(product, [flat, square], 'as_stored')
  return g.finish(g.node({ ...product, transB: false }, [c, square, g.weights([1, 128])], 'turned'))
}
