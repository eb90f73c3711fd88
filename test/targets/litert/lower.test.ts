import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../../src/graph/ops.ts'
import { convOp, SmallGraph } from '../small-graphs.ts'
import { compileAndRun, options } from './run.ts'

const float = { ...options, scheme: 'float' as const }
const unary = (fn: Extract<Op, { kind: 'Unary' }>['fn']): Op => ({ kind: 'Unary', fn })
const reduce = (fn: Extract<Op, { kind: 'Reduce' }>['fn'], keepDims = false): Op => ({
  kind: 'Reduce',
  fn,
  axes: [2, 3],
  keepDims,
})
const transposed = (padsBegin: number[], padsEnd: number[], outputPadding: number[]): Op => ({
  kind: 'ConvTranspose',
  layout: 'channels-first',
  group: 1,
  strides: [2, 2],
  dilations: [1, 1],
  padsBegin,
  padsEnd,
  outputPadding,
})

/** Each operator of a 4-D activation, as LiteRT computes what became of it. */
const cases: [string, (g: SmallGraph, x: string) => string][] = [
  ...(['Erf', 'Reciprocal', 'Softplus', 'Softsign'] as const).map(
    (fn): [string, (g: SmallGraph, x: string) => string] => [
      fn,
      (g, x) =>
        g.node(unary(fn), [
          fn === 'Reciprocal' ? g.node({ kind: 'Binary', fn: 'Add' }, [x, g.constant([1], [3])]) : x,
        ]),
    ],
  ),
  ...(['L1', 'L2', 'LogSumExp', 'SumSquare', 'Mean', 'Max', 'Sum'] as const).map(
    (fn): [string, (g: SmallGraph, x: string) => string] => [
      `Reduce ${fn}`,
      (g, x) => g.node(reduce(fn), [x]),
    ],
  ),
  ['Softmax over channels', (g, x) => g.node({ kind: 'Softmax', axis: 1 }, [x])],
  ['LogSoftmax over rows', (g, x) => g.node({ kind: 'LogSoftmax', axis: 2 }, [x])],
  ['HardSigmoid', (g, x) => g.node({ kind: 'HardSigmoid', alpha: 0.2, beta: 0.5 }, [x])],
  ['HardSwish', (g, x) => g.node({ kind: 'HardSwish' }, [x])],
  ['Clip', (g, x) => g.node({ kind: 'Clip', min: -0.3, max: 0.4 }, [x])],
  ['PRelu', (g, x) => g.node({ kind: 'PRelu' }, [x, g.weights([4, 1, 1])])],
  ['LeakyRelu', (g, x) => g.node({ kind: 'LeakyRelu', alpha: 0.1 }, [x])],
  ['Gelu', (g, x) => g.node({ kind: 'Gelu', approximate: 'none' }, [x])],
  [
    'InstanceNormalization',
    (g, x) => g.node({ kind: 'InstanceNormalization', epsilon: 1e-5 }, [x, g.weights([4]), g.weights([4])]),
  ],
  [
    'LayerNormalization',
    (g, x) =>
      g.node({ kind: 'LayerNormalization', axis: 3, epsilon: 1e-5 }, [x, g.weights([8]), g.weights([8])]),
  ],
  ['padded strided Conv', (g, x) => g.conv(x, 8, { stride: 2, pad: 1 })],
  ['grouped Conv', (g, x) => g.conv(x, 8, { group: 2 })],
  [
    'ConvTranspose VALID',
    (g, x) => g.node(transposed([0, 0], [0, 0], [0, 0]), [x, g.weights([4, 6, 3, 3]), g.weights([6])]),
  ],
  [
    'ConvTranspose with crops',
    (g, x) => g.node(transposed([1, 1], [1, 1], [1, 1]), [x, g.weights([4, 6, 3, 3]), g.weights([6])]),
  ],
  [
    'MaxPool in ceil mode',
    (g, x) =>
      g.node(
        {
          kind: 'MaxPool',
          layout: 'channels-first',
          kernel: [3, 3],
          strides: [2, 2],
          dilations: [1, 1],
          padsBegin: [0, 0],
          padsEnd: [0, 0],
          ceilMode: true,
        },
        [x],
      ),
  ],
  [
    'AveragePool that counts its padding',
    (g, x) =>
      g.node(
        {
          kind: 'AveragePool',
          layout: 'channels-first',
          kernel: [3, 3],
          strides: [1, 1],
          dilations: [1, 1],
          padsBegin: [1, 1],
          padsEnd: [1, 1],
          ceilMode: false,
          countIncludePad: true,
        },
        [x],
      ),
  ],
  [
    'AveragePool that does not',
    (g, x) =>
      g.node(
        {
          kind: 'AveragePool',
          layout: 'channels-first',
          kernel: [3, 3],
          strides: [1, 1],
          dilations: [1, 1],
          padsBegin: [1, 1],
          padsEnd: [1, 1],
          ceilMode: false,
          countIncludePad: false,
        },
        [x],
      ),
  ],
  ['MatMul of rows', (g, x) => g.node({ kind: 'MatMul' }, [x, g.weights([8, 5])])],
]

for (const [name, build] of cases)
  test(`${name} computes the same on LiteRT, in float and in int8`, async () => {
    const make = () => {
      const g = new SmallGraph()
      const x = g.node(
        convOp({ pad: 1 }),
        [g.input('x', 1, 3, 8, 8), g.weights([4, 3, 3, 3], 0.4), g.weights([4], 0.3)],
        'a',
      )
      return g.finish(build(g, x))
    }
    const real = await compileAndRun(make(), float)
    assert.ok(real.sqnrDb > 90, `float: ${real.sqnrDb} dB`)
    const integer = await compileAndRun(make())
    assert.ok(integer.sqnrDb > 20, `int8: ${integer.sqnrDb} dB, ${integer.operators.join()}`)
  })

test('a 1-D convolution and pool become 2-D ones', async () => {
  const g = new SmallGraph()
  const line = { strides: [1], dilations: [1], padsBegin: [1], padsEnd: [1] }
  const x = g.node({ kind: 'Conv', group: 1, layout: 'channels-first', ...line }, [
    g.input('x', 1, 3, 16),
    g.weights([4, 3, 3]),
    g.weights([4]),
  ])
  const y = g.node(
    {
      kind: 'MaxPool',
      layout: 'channels-first',
      kernel: [2],
      ...line,
      strides: [2],
      padsBegin: [0],
      padsEnd: [0],
      ceilMode: false,
    },
    [x],
  )
  const { sqnrDb, operators } = await compileAndRun(g.finish(y))
  assert.ok(operators.includes('CONV_2D') && operators.includes('MAX_POOL_2D'), operators.join())
  assert.ok(sqnrDb > 30, `${sqnrDb} dB`)
})

test('Gelu spelled with Erf is one operator', async () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 8, 8), 4)
  const gate = g.node({ kind: 'Binary', fn: 'Add' }, [
    g.node(unary('Erf'), [g.node({ kind: 'Binary', fn: 'Div' }, [x, g.constant([1], [Math.SQRT2])])]),
    g.constant([1], [1]),
  ])
  const y = g.node({ kind: 'Binary', fn: 'Mul' }, [
    g.node({ kind: 'Binary', fn: 'Mul' }, [x, gate]),
    g.constant([1], [0.5]),
  ])
  const { sqnrDb, operators } = await compileAndRun(g.finish(y), float)
  assert.ok(operators.includes('GELU') && !operators.includes('EXP'), operators.join())
  assert.ok(sqnrDb > 90, `${sqnrDb} dB`)
})
