import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { randomTensor } from '../../src/execute/random.ts'
import { readOnnx } from '../../src/formats/onnx/read.ts'
import { constantOf, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Layout, Op, Resize } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import { convertLayout, layoutPass } from '../../src/passes/layout.ts'
import { runPasses } from '../../src/passes/pass.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'
import { evaluatorOf } from './run-pass.ts'

const relu: Op = { kind: 'Relu' }
const binary = (fn: 'Add' | 'Mul' | 'Sub' | 'Max'): Op => ({ kind: 'Binary', fn })
const transpose = (...perm: number[]): Op => ({ kind: 'Transpose', perm })
const reshape = (...shape: number[]): Op => ({ kind: 'Reshape', shape })
const toLast = transpose(0, 2, 3, 1)
const globalPool: Op = { kind: 'GlobalAveragePool', layout: 'channels-first' }
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }

const moves = (graph: Graph) => graph.nodes.filter(({ op }) => op.kind === 'Transpose').length

/** To channels last and back; both hold together, none keeps an operator of the other layout, and nothing changes. */
async function roundTrip(graph: Graph) {
  const last = convertLayout(graph, 'channels-last')
  const first = convertLayout(last, 'channels-first')
  for (const [result, to] of [
    [last, 'channels-last'],
    [first, 'channels-first'],
  ] as const) {
    verifyGraph(result)
    assert.deepEqual(
      layouts(result).filter((layout) => layout !== to),
      [],
    )
    assert.deepEqual([result.inputs, result.outputs], [graph.inputs, graph.outputs])
    for (const name of [...graph.inputs, ...graph.outputs])
      assert.deepEqual(result.values.get(name)!.type, graph.values.get(name)!.type)
  }
  await assertClose(graph, first)
  return { last, first, kinds: last.nodes.map(({ op }) => op.kind), moves: [moves(last), moves(first)] }
}

async function assertClose(before: Graph, after: Graph, tolerance = 1e-6): Promise<void> {
  const feeds = new Map(
    before.inputs.map((name, i) => [name, randomTensor(before.values.get(name)!.type, i + 3)]),
  )
  const [a, b] = [await evaluatorOf(before), await evaluatorOf(after)]
  const [expected, found] = [await a.run(feeds), await b.run(feeds)]
  await Promise.all([a.close(), b.close()])
  for (const [name, tensor] of expected) {
    const other = found.get(name)!
    assert.deepEqual(other.shape, tensor.shape)
    const [wanted, got] = [Array.from(tensor.data as Float32Array), other.data as Float32Array]
    const peak = Math.max(...wanted.map(Math.abs), 1e-30)
    const worst = Math.max(...wanted.map((x, i) => Math.abs(x - got[i]!)))
    assert.ok(worst / peak <= tolerance, `${name} differs by ${worst / peak}`)
  }
}

function layouts(graph: Graph): Layout[] {
  return graph.nodes.flatMap(({ op }) => ('layout' in op ? [op.layout] : []))
}

const window = (rank = 2) => ({
  strides: new Array<number>(rank).fill(1),
  dilations: new Array<number>(rank).fill(1),
  padsBegin: new Array<number>(rank).fill(0),
  padsEnd: new Array<number>(rank).fill(0),
})

const resize: Resize = {
  kind: 'Resize',
  mode: 'linear',
  sizes: [2, 4, 9, 14],
  scales: [1, 1, 1.8, 2],
  coordinateTransformation: 'half_pixel',
  nearestMode: 'floor',
  cubicCoefficient: -0.75,
  excludeOutside: false,
  extrapolationValue: 0,
  roi: null,
  antialias: false,
  layout: 'channels-first',
}

/** Operators on a map of [2,4,5,7] that need nothing moved between the Transposes at the two ends. */
const onMaps: Record<string, (g: SmallGraph, x: string) => string> = {
  'a convolution': (g, x) => g.conv(x, 6),
  'a grouped convolution': (g, x) => g.conv(x, 6, { group: 2 }),
  'a depthwise convolution': (g, x) => g.conv(x, 8, { group: 4, stride: 2 }),
  'asymmetric pads, strides and dilations': (g, x) =>
    g.node({ ...convOp(), strides: [1, 2], dilations: [2, 1], padsBegin: [0, 2], padsEnd: [3, 1] } as Op, [
      x,
      g.weights([3, 4, 3, 2]),
      null,
    ]),
  'a transposed convolution': (g, x) =>
    g.node(
      {
        ...window(),
        kind: 'ConvTranspose',
        group: 2,
        layout: 'channels-first',
        strides: [2, 3],
        padsBegin: [0, 1],
        padsEnd: [1, 0],
        outputPadding: [1, 0],
      },
      [x, g.weights([4, 3, 3, 2]), g.weights([6])],
    ),
  'a max pool': (g, x) =>
    g.node(
      {
        ...window(),
        kind: 'MaxPool',
        kernel: [2, 3],
        strides: [2, 2],
        padsBegin: [0, 1],
        padsEnd: [1, 0],
        ceilMode: true,
        layout: 'channels-first',
      },
      [x],
    ),
  'an average pool': (g, x) =>
    g.node(
      {
        ...window(),
        kind: 'AveragePool',
        kernel: [3, 2],
        padsBegin: [1, 0],
        padsEnd: [0, 1],
        ceilMode: false,
        countIncludePad: false,
        layout: 'channels-first',
      },
      [x],
    ),
  'global pools': (g, x) =>
    g.node(binary('Add'), [
      g.node(binary('Mul'), [x, g.node(globalPool, [x])]),
      g.node({ kind: 'GlobalMaxPool', layout: 'channels-first' }, [x]),
    ]),
  'a batch normalization': (g, x) =>
    g.node({ kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }, [
      x,
      g.weights([4]),
      g.weights([4]),
      g.weights([4]),
      g.weights([4], 0.2, 1),
    ]),
  'a linear resize': (g, x) => g.node(resize, [x]),
  'a cropping resize': (g, x) =>
    g.node(
      {
        ...resize,
        scales: null,
        coordinateTransformation: 'tf_crop_and_resize',
        roi: [0, 0, 0.1, 0.2, 1, 1, 0.9, 0.7],
      },
      [x],
    ),
  'depth to space': (g, x) =>
    g.node({ kind: 'DepthToSpace', blockSize: 2, mode: 'CRD', layout: 'channels-first' }, [x]),
  'space to depth': (g, x) =>
    g.node({ kind: 'SpaceToDepth', blockSize: 2, layout: 'channels-first' }, [
      g.node({ kind: 'Pad', mode: 'constant', padsBegin: [0, 0, 1, 0], padsEnd: [0, 0, 0, 1], value: 2 }, [
        x,
      ]),
    ]),
  'broadcast constants of every rank': (g, x) => {
    let y = g.node(binary('Mul'), [x, g.weights([4, 1, 1])])
    y = g.node(binary('Add'), [g.weights([7]), y])
    y = g.node(binary('Add'), [y, g.weights([1, 4, 5, 1])])
    y = g.node(binary('Sub'), [y, g.weights([])])
    return g.node({ kind: 'PRelu' }, [y, g.weights([4, 1, 1])])
  },
  'concatenation, split, slice, tile and pad': (g, x) => {
    const [a, b] = g.nodeOutputs({ kind: 'Split', axis: 1, sizes: [1, 3] }, [x]) as [string, string]
    const sliced = g.node({ kind: 'Slice', axes: [3, 1], starts: [6, 0], ends: [-8, 3], steps: [-1, 1] }, [b])
    const joined = g.node({ kind: 'Concat', axis: 1 }, [sliced, a])
    const tiled = g.node({ kind: 'Tile', repeats: [1, 1, 2, 1] }, [joined])
    return g.node(
      { kind: 'Pad', mode: 'reflect', padsBegin: [0, 0, 1, 2], padsEnd: [0, 0, 0, 1], value: 0 },
      [tiled],
    )
  },
  'softmax over the channels': (g, x) => g.node({ kind: 'Softmax', axis: 1 }, [x]),
  'a reduction that keeps its axes': (g, x) =>
    g.node(binary('Sub'), [x, g.node({ kind: 'Reduce', fn: 'Mean', axes: [1, 3], keepDims: true }, [x])]),
  'a gather along the width': (g, x) =>
    g.node({ kind: 'Gather', axis: 3 }, [x, g.integers([3], [4n, 0n, 6n])]),
  'an expansion': (g, x) =>
    g.node(binary('Add'), [x, g.node({ kind: 'Expand', shape: [2, 4, 5, 7] }, [g.node(globalPool, [x])])]),
}

describe('channels last and back, with nothing moved between the ends', () => {
  for (const [name, build] of Object.entries(onMaps))
    test(name, async () => {
      const g = new SmallGraph()
      const x = g.conv(g.input('x', 2, 4, 5, 7), 4)
      const result = await roundTrip(g.finish(g.conv(build(g, x), 3, { kernel: 1 })))
      assert.deepEqual(result.moves, [2, 0])
    })
})

test('a sequence of three axes is converted too', async () => {
  const g = new SmallGraph()
  const op: Op = { ...window(1), kind: 'Conv', group: 1, layout: 'channels-first', padsBegin: [2] }
  const x = g.node(op, [g.input('x', 1, 3, 10), g.weights([5, 3, 3]), g.weights([5])])
  const pooled = g.node(
    { ...window(1), kind: 'MaxPool', kernel: [2], ceilMode: false, layout: 'channels-first' },
    [x],
  )
  const { moves } = await roundTrip(g.finish(g.node(transpose(0, 2, 1), [pooled])))
  assert.deepEqual(moves, [1, 1])
})

test('a Transpose that the exporter put in front disappears', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.node(transpose(0, 3, 1, 2), [g.input('x', 1, 6, 5, 3)]), 4)
  const { last, moves } = await roundTrip(g.finish(g.node(toLast, [g.node(relu, [x])])))
  assert.deepEqual(moves, [0, 2])
  assert.deepEqual(
    last.nodes.map(({ op }) => op.kind),
    ['Conv', 'Relu'],
  )
})

test('one channel, or one position, needs a Reshape and no Transpose', async () => {
  const g = new SmallGraph()
  const pooled = g.node(globalPool, [g.conv(g.input('x', 1, 1, 6, 5), 4)])
  const { kinds, moves } = await roundTrip(g.finish(pooled))
  assert.deepEqual(kinds, ['Reshape', 'Conv', 'GlobalAveragePool', 'Reshape'])
  assert.deepEqual(moves, [0, 0])
})

describe('a classifier head leaves nothing but the Transpose at the input', () => {
  const heads: Record<string, (g: SmallGraph, x: string) => string> = {
    'flatten after a global pool': (g, x) => g.node(reshape(2, 4), [g.node(globalPool, [x])]),
    'mean over height and width': (g, x) =>
      g.node({ kind: 'Reduce', fn: 'Mean', axes: [2, 3], keepDims: false }, [x]),
    'flatten of a map into a Gemm': (g, x) =>
      g.node(gemm, [g.node(reshape(2, 140), [x]), g.weights([140, 3]), g.weights([3])]),
    'flatten of a map into a transposed Gemm, over activations and constants': (g, x) => {
      let y = g.node(relu, [g.node(reshape(2, 140), [x])])
      y = g.node(binary('Mul'), [y, g.weights([140])])
      y = g.node(binary('Add'), [g.weights([2, 1]), y])
      const norm: Op = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }
      y = g.node(norm, [y, g.weights([140]), g.weights([140]), g.weights([140]), g.weights([140], 0.2, 1)])
      return g.node({ ...gemm, transB: true } as Op, [y, g.weights([3, 140]), null])
    },
    'flatten into two matrix products': (g, x) => {
      const flat = g.node(reshape(2, 140), [x])
      return g.node(binary('Add'), [
        g.node({ kind: 'MatMul' }, [flat, g.weights([140, 3])]),
        g.node({ kind: 'MatMul' }, [flat, g.weights([140, 3])]),
      ])
    },
  }
  for (const [name, build] of Object.entries(heads))
    test(name, async () => {
      const g = new SmallGraph()
      const { moves } = await roundTrip(g.finish(build(g, g.conv(g.input('x', 2, 4, 5, 7), 4))))
      assert.deepEqual(moves, [1, 0])
    })
})

test('a flatten whose order the outside sees is moved into that order', async () => {
  const g = new SmallGraph()
  const flat = g.node(reshape(1, 24), [g.conv(g.input('x', 1, 3, 2, 3), 4)])
  const y = g.node(gemm, [flat, g.weights([24, 3]), null])
  const { moves } = await roundTrip(g.finish(y, flat))
  assert.deepEqual(moves, [2, 0])
})

test('squeeze and excitation stays free of Transposes', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 5, 4), 8)
  let s = g.node(reshape(1, 8), [g.node(globalPool, [x])])
  s = g.node(relu, [g.node(gemm, [s, g.weights([8, 2]), null])])
  s = g.node({ kind: 'Sigmoid' }, [g.node(gemm, [s, g.weights([2, 8]), null])])
  const scaled = g.node(binary('Mul'), [g.node(reshape(1, 8, 1, 1), [s]), x])
  const { moves, kinds } = await roundTrip(g.finish(g.conv(scaled, 4)))
  assert.deepEqual(moves, [2, 0])
  assert.equal(kinds.filter((kind) => kind === 'Reshape').length, 2)
})

test('a channel shuffle keeps its one Transpose', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 5, 4), 6, { group: 3 })
  const shuffled = g.node(transpose(0, 2, 1, 3, 4), [g.node(reshape(1, 3, 2, 5, 4), [x])])
  const y = g.conv(g.node(reshape(1, 6, 5, 4), [shuffled]), 3)
  const { moves } = await roundTrip(g.finish(y))
  assert.deepEqual(moves, [3, 1])
})

test('a layer normalization between two Transposes loses both', async () => {
  const g = new SmallGraph()
  let x = g.node(toLast, [g.conv(g.input('x', 1, 3, 5, 4), 6)])
  x = g.node({ kind: 'LayerNormalization', axis: 3, epsilon: 1e-5 }, [x, g.weights([6]), g.weights([6])])
  x = g.node({ kind: 'Gelu', approximate: 'none' }, [g.node({ kind: 'MatMul' }, [x, g.weights([6, 8])])])
  const { kinds, moves } = await roundTrip(g.finish(g.conv(g.node(transpose(0, 3, 1, 2), [x]), 3)))
  assert.deepEqual(kinds, ['Transpose', 'Conv', 'LayerNormalization', 'MatMul', 'Gelu', 'Conv', 'Transpose'])
  assert.deepEqual(moves, [2, 2])
})

test('an attention block is left in its own order', async () => {
  const g = new SmallGraph()
  const tokens = g.node(transpose(0, 2, 1), [
    g.node(reshape(1, 6, 20), [g.conv(g.input('x', 1, 3, 5, 4), 6)]),
  ])
  const heads = (y: string) => g.node(transpose(0, 2, 1, 3), [g.node(reshape(1, 20, 2, 3), [y])])
  const [q, k, v] = [0, 1, 2].map(() => heads(g.node({ kind: 'MatMul' }, [tokens, g.weights([6, 6])])))
  const scores = g.node({ kind: 'MatMul' }, [q!, g.node(transpose(0, 1, 3, 2), [k!])])
  const mixed = g.node({ kind: 'MatMul' }, [g.node({ kind: 'Softmax', axis: 3 }, [scores]), v!])
  const y = g.node(reshape(1, 20, 6), [g.node(transpose(0, 2, 1, 3), [mixed])])
  const { last } = await roundTrip(g.finish(y))
  // the one at the input, q, k, v and the heads put together
  assert.equal(moves(last), 5)
})

test('values, weights and axes of a quantized graph follow', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 2, 3, 4), 3)
  const scales = [0.5, 0.25, 0.125]
  const table = constantOf('int8', [3, 1, 1], Int8Array.of(1, -2, 3))
  const stored = g.editor.addConstant('q', table, { scales, zeroPoints: [0, 0, 0], axis: 0 })
  const quantized = g.editor.freshName('act')
  g.editor.addNode({
    name: 'quantize',
    op: { kind: 'Convert' },
    inputs: [x],
    outputs: [
      {
        name: quantized,
        type: {
          dtype: 'int8',
          shape: [1, 3, 3, 4],
          quantization: { scales, zeroPoints: [1, 2, 3], axis: 1 },
        },
      },
    ],
  })
  const graph = g.finish(g.node(binary('Mul'), [quantized, stored]))
  const { last } = await roundTrip(graph)
  const activation = last.values.get(quantized)!.type
  assert.deepEqual(activation.shape, [1, 3, 4, 3])
  assert.deepEqual(activation.quantization, { scales, zeroPoints: [1, 2, 3], axis: 3 })
  const constant = [...last.values.values()].find(({ constant }) => constant?.dtype === 'int8')!
  assert.deepEqual([constant.type.shape, constant.type.quantization!.axis], [[3], 0])
  assert.deepEqual(numbersOf(constant.constant!), [1, -2, 3])
})

test('inputs and outputs change their layout when asked', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 3, 6, 5)
  const graph = g.finish(g.conv(g.node(binary('Mul'), [x, g.weights([3, 1, 1])]), 4))
  const last = convertLayout(graph, 'channels-last', { inputs: 'convert', outputs: 'convert' })
  verifyGraph(last)
  assert.deepEqual(
    last.nodes.map(({ op }) => op.kind),
    ['Binary', 'Conv'],
  )
  assert.deepEqual(last.values.get('x')!.type.shape, [1, 6, 5, 3])
  assert.deepEqual(last.values.get(last.outputs[0]!)!.type.shape, [1, 6, 5, 4])
  const first = convertLayout(last, 'channels-first', { inputs: 'convert', outputs: 'convert' })
  assert.deepEqual([first.inputs, first.outputs], [graph.inputs, graph.outputs])
  await assertClose(graph, first)
})

test('inner values, an input and a value behind a Transpose can all be outputs', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 3, 4, 5)
  const y = g.conv(x, 4)
  const seen = g.node(toLast, [y])
  const graph = g.finish(y, seen, g.node(relu, [y]), g.node(transpose(0, 1, 2, 3), [x]))
  await roundTrip(graph)
})

test('what a subgraph captures keeps its name and order', () => {
  const g = new SmallGraph()
  const y = g.conv(g.input('x', 1, 3, 4, 5), 4)
  const z = g.node(relu, [y])
  g.editor.addNode({
    name: 'loop',
    op: {
      kind: 'Opaque',
      format: 'onnx',
      domain: '',
      opType: 'If',
      opset: 17,
      payload: new Uint8Array(),
      captures: [z],
    },
    inputs: [],
    outputs: [{ name: 'out', type: { dtype: 'float32', shape: [1], quantization: null } }],
  })
  const last = convertLayout(g.finish('out'), 'channels-last')
  verifyGraph(last)
  assert.deepEqual(last.values.get(z)!.type.shape, [1, 4, 4, 5])
})

test('a graph that has its layout already stays as it is', async () => {
  const g = new SmallGraph()
  const graph = g.finish(g.conv(g.input('x', 1, 3, 4, 5), 4))
  assert.equal(convertLayout(graph, 'channels-first'), graph)
  assert.equal((await layoutPass('channels-first').run(graph)).changed, 0)
  const last = await runPasses(graph, [layoutPass('channels-last')])
  assert.deepEqual(layouts(last), ['channels-last'])
})

test('an operator that knows channels first only stands between Transposes', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 4, 5), 4)
  const y = g.node({ kind: 'InstanceNormalization', epsilon: 1e-5 }, [x, g.weights([4]), g.weights([4])])
  const { moves } = await roundTrip(g.finish(g.conv(y, 2)))
  assert.deepEqual(moves, [4, 0])
})

describe('networks of others', { skip: fixturesMissing }, () => {
  /** Transposes of the file, in channels last, and back in channels first. */
  const files: [string, number, number, number][] = [
    ['mlperf-tiny/kws_dscnn_float.onnx', 1, 0, 0],
    // 16 channel shuffles, and the input
    ['onnx/light/light_shufflenet.onnx', 16, 17, 16],
    ['onnx/light/light_squeezenet.onnx', 0, 1, 0],
    ['mnist/mnist_cntk.onnx', 0, 0, 0],
  ]
  for (const [file, before, last, first] of files)
    test(`${file} has ${last} Transposes in channels last`, async () => {
      const model = await readOnnx({ path: fixture(file) }, {})
      const [graph] = model.graphs.values()
      assert.equal(moves(graph!), before)
      assert.deepEqual((await roundTrip(graph!)).moves, [last, first])
    })
})

test('a graph without spatial operators is returned as it is', () => {
  const editor = GraphEditor.empty('flat')
  editor.addInput('x', { dtype: 'float32', shape: [2, 3], quantization: null })
  editor.addNode({
    name: 'y',
    op: relu,
    inputs: ['x'],
    outputs: [{ name: 'y', type: { dtype: 'float32', shape: [2, 3], quantization: null } }],
  })
  editor.outputs = ['y']
  const graph = editor.finish()
  assert.equal(convertLayout(graph, 'channels-last'), graph)
})
