import assert from 'node:assert/strict'
import { test } from 'node:test'
import { executeGraph } from '../../src/compile/execute-graph.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import { constantOf } from '../../src/graph/constant.ts'
import type { Op } from '../../src/graph/ops.ts'
import { type GramMatrices, GramSums, spreadPositions } from '../../src/quantize/gram.ts'
import { layerRows } from '../../src/quantize/gram-rows.ts'
import { outputError } from '../../src/quantize/rounding.ts'
import { elementCount } from '../../src/tensor.ts'
import { noise } from './noise.ts'

const layouts = ['channels-first', 'channels-last'] as const
const plain = async (rows: Float32Array, count: number, width: number) => {
  const product = new Float32Array(width * width)
  for (let row = 0; row < count; row++)
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++)
        product[i * width + j]! += rows[row * width + i]! * rows[row * width + j]!
  return product
}

/** A layer run by ONNX Runtime with float weights and again with integers: the mean squared difference. */
async function measuredError(
  op: Op,
  weightShape: readonly number[],
  inputShape: readonly number[],
  outputShape: readonly number[],
  centred: boolean,
) {
  const random = noise(7)
  const x = Float32Array.from({ length: elementCount(inputShape) }, () => Math.max(0, random() + 0.3))
  const weights = Float32Array.from({ length: elementCount(weightShape) }, random)
  const scale = 0.11
  const nearest = Int8Array.from(weights, (w) => Math.round(w / scale))
  const run = async (numbers: Float32Array) => {
    const editor = GraphEditor.empty('layer')
    editor.addInput('x', { dtype: 'float32', shape: inputShape, quantization: null })
    editor.addConstant('w', constantOf('float32', weightShape, numbers), null)
    const type = { dtype: 'float32', shape: outputShape, quantization: null } as const
    editor.addNode({ name: 'y', op, inputs: ['x', 'w'], outputs: [{ name: 'y', type }] })
    editor.outputs = ['y']
    const evaluator = await executeGraph(editor.finish())
    const results = await evaluator.run(new Map([['x', { dtype: 'float32', shape: inputShape, data: x }]]))
    await evaluator.close()
    return results.get('y')!.data as Float32Array
  }
  const [float, integer] = [await run(weights), await run(Float32Array.from(nearest, (q) => q * scale))]
  const rows = layerRows({ op }, weightShape, inputShape, outputShape)!
  const sums = new GramSums(rows, plain)
  await sums.add(x, spreadPositions(rows.positions, rows.positions, 0))
  const gram = await sums.matrices(centred)
  const request = { weights, shape: weightShape, axis: null, scales: [scale], limit: 127, nearest }
  const last = !('layout' in op) || op.layout === 'channels-last'
  const perImage = float.length / inputShape[0]!
  const channelOf = (at: number) =>
    last ? at % rows.channels : Math.floor((at % perImage) / (perImage / rows.channels))
  const differences = Array.from({ length: rows.channels }, (_, channel) =>
    Array.from(float, (y, at) => integer[at]! - y).filter((_, at) => channelOf(at) === channel),
  )
  const direct = differences.reduce((sum, one) => {
    const mean = centred ? one.reduce((a, b) => a + b, 0) / one.length : 0
    return sum + one.reduce((a, d) => a + (d - mean) ** 2, 0) / one.length
  }, 0)
  return { direct, byMatrix: outputError(request, nearest, rows, gram), gram, rows }
}

const window = { strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }

for (const centred of [false, true])
  for (const layout of layouts) {
    const shape = (batch: number, channels: number, height: number, width: number) =>
      layout === 'channels-first' ? [batch, channels, height, width] : [batch, height, width, channels]
    const cases: [string, Op, number[], number[], number[]][] = [
      [
        'padding, strides and dilation that differ by axis',
        {
          kind: 'Conv',
          group: 1,
          layout,
          strides: [2, 1],
          dilations: [1, 2],
          padsBegin: [1, 0],
          padsEnd: [0, 3],
        },
        [4, 3, 3, 2],
        shape(2, 3, 7, 5),
        shape(2, 4, 3, 6),
      ],
      [
        'two groups',
        { kind: 'Conv', group: 2, layout, ...window },
        [6, 2, 2, 2],
        shape(1, 4, 5, 4),
        shape(1, 6, 4, 3),
      ],
      [
        'depthwise with two filters a channel',
        { kind: 'Conv', group: 3, layout, ...window, padsBegin: [1, 1], padsEnd: [1, 1] },
        [6, 1, 3, 3],
        shape(1, 3, 6, 5),
        shape(1, 6, 6, 5),
      ],
      [
        'rows wide enough for the product',
        { kind: 'Conv', group: 1, layout, ...window },
        [3, 20, 2, 2],
        shape(1, 20, 6, 6),
        shape(1, 3, 5, 5),
      ],
    ]
    for (const [name, op, weightShape, inputShape, outputShape] of cases)
      test(`the Gram matrix gives the output error of a real convolution: ${name}, ${layout}, ${centred ? 'about the mean' : 'as it is'}`, async () => {
        const { direct, byMatrix } = await measuredError(op, weightShape, inputShape, outputShape, centred)
        assert.ok(direct > 0)
        assert.ok(Math.abs(byMatrix / direct - 1) < 1e-4, `${byMatrix} by the matrix, ${direct} seen`)
      })
  }

for (const transB of [false, true])
  test(`and of a Gemm with transB ${transB}, and of a MatMul over more than two axes`, async () => {
    const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB } as const
    const ofGemm = await measuredError(gemm, transB ? [5, 7] : [7, 5], [9, 7], [9, 5], true)
    assert.ok(Math.abs(ofGemm.byMatrix / ofGemm.direct - 1) < 1e-4)
    const ofMatMul = await measuredError({ kind: 'MatMul' }, [7, 5], [2, 3, 7], [2, 3, 5], false)
    assert.ok(Math.abs(ofMatMul.byMatrix / ofMatMul.direct - 1) < 1e-4)
  })

test('rows at the border hold zeros: a kernel of two over three elements with one of padding', async () => {
  const op = {
    kind: 'Conv',
    group: 1,
    layout: 'channels-first',
    strides: [1],
    dilations: [1],
    padsBegin: [1],
    padsEnd: [0],
  } as const
  const rows = layerRows({ op }, [1, 1, 2], [1, 1, 3], [1, 1, 3])!
  const sums = new GramSums(rows, plain)
  await sums.add([2, 3, 5], [0, 1, 2])
  const raw: GramMatrices = await sums.matrices(false)
  // rows (0, 2), (2, 3), (3, 5)
  assert.deepEqual([...raw.groups[0]!], [13 / 3, 21 / 3, 21 / 3, 38 / 3])
  const { groups } = await sums.matrices(true)
  const [a, b] = [5 / 3, 10 / 3]
  const expected = [13 / 3 - a * a, 7 - a * b, 7 - a * b, 38 / 3 - b * b]
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(groups[0]![i]! - value) < 1e-12)
})

test('what is no product of rows and weights has none: transposed convolutions, transposed or stacked operands', () => {
  const transposed = {
    kind: 'ConvTranspose',
    group: 1,
    outputPadding: [0, 0],
    layout: 'channels-first',
    ...window,
  } as const
  assert.equal(layerRows({ op: transposed }, [3, 2, 2, 2], [1, 3, 4, 4], [1, 2, 5, 5]), undefined)
  const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: true, transB: false } as const
  assert.equal(layerRows({ op: gemm }, [4, 3], [4, 2], [2, 3]), undefined)
  assert.equal(layerRows({ op: { kind: 'MatMul' } }, [2, 4, 3], [2, 5, 4], [2, 5, 3]), undefined)
})

test('positions are spread over all rows and columns, never the same twice, and differ between samples', () => {
  const width = 14
  const first = spreadPositions(width * width, 49, 0)
  assert.equal(new Set(first).size, 49)
  assert.equal(new Set(first.map((position) => position % width)).size, width)
  assert.equal(new Set(first.map((position) => Math.floor(position / width))).size, width)
  const four = [0, 1, 2, 3].flatMap((sample) => spreadPositions(width * width, 49, sample))
  assert.equal(new Set(four).size, width * width)
  assert.deepEqual(spreadPositions(3, 5, 2), [0, 1, 2])
  assert.deepEqual(spreadPositions(1, 1, 4), [0])
})
