import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../src/graph/ops.ts'
import { arm64Options, compileAndRun, x64Options } from './onnxruntime-run.ts'
import { SmallGraph } from './small-graphs.ts'

/** Between two convolutions: what is put there, and the operator that ONNX Runtime must execute for it. */
interface Case {
  readonly build: (g: SmallGraph, x: string) => string
  /** Operators beside the convolutions, the boundary conversions and transposes; empty: nothing is left of it. */
  readonly executed: Record<string, number>
  /** Conversions inside, from and to a float island. */
  readonly island?: boolean
}

const layout = 'channels-first'
const window = { strides: [2, 2], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }
const padded = { ...window, padsBegin: [1, 1], padsEnd: [1, 1] }
const add: Op = { kind: 'Binary', fn: 'Add' }
const mul: Op = { kind: 'Binary', fn: 'Mul' }
const relu: Op = { kind: 'Relu' }
const pool: Op = { kind: 'GlobalAveragePool', layout }
const resize = (mode: 'nearest' | 'linear'): Op => ({
  kind: 'Resize',
  mode,
  sizes: [1, 8, 16, 16],
  scales: null,
  coordinateTransformation: mode === 'nearest' ? 'asymmetric' : 'half_pixel',
  nearestMode: 'floor',
  cubicCoefficient: -0.75,
  excludeOutside: false,
  extrapolationValue: 0,
  roi: null,
  antialias: false,
  layout,
})

const cases: Record<string, Case> = {
  nothing: { build: (_, x) => x, executed: {} },
  Relu: { build: (g, x) => g.node(relu, [g.conv(x, 8)]), executed: {} },
  'Clip to 6': { build: (g, x) => g.node({ kind: 'Clip', min: 0, max: 6 }, [g.conv(x, 8)]), executed: {} },
  depthwise: { build: (g, x) => g.conv(x, 8, { group: 8 }), executed: {} },
  AveragePool: {
    build: (g, x) =>
      g.node(
        { kind: 'AveragePool', kernel: [2, 2], ceilMode: false, countIncludePad: false, layout, ...window },
        [x],
      ),
    executed: { QLinearAveragePool: 1 },
  },
  GlobalAveragePool: { build: (g, x) => g.node(pool, [x]), executed: { QLinearGlobalAveragePool: 1 } },
  MaxPool: {
    build: (g, x) => g.node({ kind: 'MaxPool', kernel: [3, 3], ceilMode: false, layout, ...padded }, [x]),
    executed: { NhwcMaxPool: 1 },
  },
  LeakyRelu: {
    build: (g, x) => g.node({ kind: 'LeakyRelu', alpha: 0.1 }, [g.conv(x, 8)]),
    executed: { QLinearLeakyRelu: 1 },
  },
  'residual Add': { build: (g, x) => g.node(add, [x, g.conv(x, 8)]), executed: { QLinearAdd: 1 } },
  'residual Add and Relu': {
    build: (g, x) => g.node(relu, [g.node(add, [x, g.conv(x, 8)])]),
    executed: { QLinearAdd: 1 },
  },
  'Add of a constant': {
    build: (g, x) => g.node(add, [x, g.weights([1, 8, 8, 8])]),
    executed: { QLinearAdd: 1 },
  },
  'squeeze and excitation': {
    build: (g, x) =>
      g.node(mul, [x, g.node({ kind: 'Sigmoid' }, [g.conv(g.node(pool, [x]), 8, { kernel: 1 })])]),
    executed: { QLinearGlobalAveragePool: 1, QLinearSigmoid: 1, QLinearMul: 1 },
  },
  SiLU: {
    build: (g, x) => ((c) => g.node(mul, [c, g.node({ kind: 'Sigmoid' }, [c])]))(g.conv(x, 8)),
    executed: { QLinearSigmoid: 1, QLinearMul: 1 },
  },
  'Softmax inside': {
    build: (g, x) => g.node({ kind: 'Softmax', axis: 3 }, [x]),
    executed: { QLinearSoftmax: 1 },
  },
  Concat: {
    build: (g, x) => g.node({ kind: 'Concat', axis: 1 }, [g.conv(x, 8), g.conv(x, 4)]),
    executed: { QLinearConcat: 1 },
  },
  'Concat of a Relu and what is not clipped': {
    build: (g, x) => g.node({ kind: 'Concat', axis: 1 }, [g.node(relu, [g.conv(x, 8)]), g.conv(x, 8)]),
    executed: { QLinearConcat: 1 },
  },
  'Concat of a value and its own Relu': {
    build: (g, x) => ((c) => g.node({ kind: 'Concat', axis: 1 }, [c, g.node(relu, [c])]))(g.conv(x, 8)),
    executed: { QLinearConcat: 1 },
    island: true,
  },
  Split: {
    build: (g, x) => g.node(add, g.nodeOutputs({ kind: 'Split', axis: 1, sizes: [4, 4] }, [x])),
    executed: { Split: 1, QLinearAdd: 1 },
  },
  Slice: {
    build: (g, x) => g.node({ kind: 'Slice', axes: [1], starts: [0], ends: [4], steps: [1] }, [x]),
    executed: { Slice: 1 },
  },
  Gather: {
    build: (g, x) => g.node({ kind: 'Gather', axis: 1 }, [x, g.integers([4], [3n, 1n, 0n, 7n])]),
    executed: { Gather: 1 },
  },
  Tile: { build: (g, x) => g.node({ kind: 'Tile', repeats: [1, 1, 2, 1] }, [x]), executed: { Tile: 1 } },
  Expand: {
    build: (g, x) => g.node({ kind: 'Expand', shape: [1, 8, 4, 4] }, [g.node(pool, [x])]),
    executed: { QLinearGlobalAveragePool: 1, Expand: 1 },
  },
  'Resize nearest': { build: (g, x) => g.node(resize('nearest'), [x]), executed: { Resize: 1 } },
  DepthToSpace: {
    build: (g, x) => g.node({ kind: 'DepthToSpace', blockSize: 2, mode: 'DCR', layout }, [x]),
    executed: { DepthToSpace: 1 },
  },
  ReduceMax: {
    build: (g, x) => g.node({ kind: 'Reduce', fn: 'Max', axes: [2, 3], keepDims: true }, [x]),
    executed: { ReduceMax: 1 },
  },
  'MatMul of two activations': {
    build: (g, x) => g.node({ kind: 'MatMul' }, [x, g.node({ kind: 'Transpose', perm: [0, 1, 3, 2] }, [x])]),
    executed: { QLinearMatMul: 1 },
  },
  'MatMul with weights': {
    build: (g, x) => g.node({ kind: 'MatMul' }, [x, g.weights([8, 8])]),
    executed: { QLinearMatMul: 1 },
  },
  '1-D convolution': {
    build: (g, x) =>
      g.node({ kind: 'Reshape', shape: [1, 8, 8, 8] }, [
        g.node(
          { kind: 'Conv', group: 1, layout, strides: [1], dilations: [1], padsBegin: [1], padsEnd: [1] },
          [g.node({ kind: 'Reshape', shape: [1, 8, 64] }, [x]), g.weights([8, 8, 3])],
        ),
      ]),
    executed: { Reshape: 2 },
  },
  'ConvTranspose (its weights must not be quantized on load)': {
    build: (g, x) =>
      g.node({ kind: 'ConvTranspose', group: 1, outputPadding: [0, 0], layout, ...window }, [
        x,
        g.weights([8, 8, 2, 2], 0.3),
      ]),
    executed: { Clip: 1, ConvTranspose: 1 },
    island: true,
  },
  'Resize linear': { build: (g, x) => g.node(resize('linear'), [x]), executed: { Resize: 1 }, island: true },
  Tanh: { build: (g, x) => g.node({ kind: 'Tanh' }, [x]), executed: { Tanh: 1 }, island: true },
  HardSwish: {
    build: (g, x) => g.node({ kind: 'HardSwish' }, [g.conv(x, 8)]),
    executed: { HardSigmoid: 1, Mul: 1 },
    island: true,
  },
  'Pad by reflection': {
    build: (g, x) =>
      g.node({ kind: 'Pad', mode: 'reflect', padsBegin: [0, 0, 1, 1], padsEnd: [0, 0, 1, 1], value: 0 }, [x]),
    executed: { Pad: 1 },
    island: true,
  },
  SpaceToDepth: {
    build: (g, x) => g.node({ kind: 'SpaceToDepth', blockSize: 2, layout }, [x]),
    executed: { SpaceToDepth: 1 },
    island: true,
  },
}

const boundary = new Set(['QLinearConv', 'Transpose', 'QuantizeLinear', 'DequantizeLinear'])

for (const [name, { build, executed, island }] of Object.entries(cases)) {
  for (const options of [x64Options, arm64Options]) {
    test(`${name} between convolutions for ${options.cpu.architecture}`, async () => {
      const g = new SmallGraph()
      const x = g.node(relu, [g.conv(g.input('x', 1, 3, 8, 8), 8)])
      const graph = g.finish(g.conv(build(g, x), 4, { kernel: 1 }))
      const result = await compileAndRun(graph, options, 40)
      const others = Object.fromEntries(Object.entries(result.executed).filter(([op]) => !boundary.has(op)))
      assert.deepEqual(others, executed)
      const convolutions = graph.nodes.filter((node) => node.op.kind === 'Conv').length
      assert.equal(result.executed.QLinearConv, convolutions, 'every convolution computes on integers')
      assert.equal(result.executed.QuantizeLinear, island ? 2 : 1)
      assert.equal(result.executed.DequantizeLinear, island ? 2 : 1)
      assert.ok(result.sqnrDb > 30, `output SQNR ${result.sqnrDb} dB`)
    })
  }
}
