import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op, Window } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import type { Constraint } from '../../../targets/target.ts'
import { constraints, fileConstraints } from '../../../targets/tensorrt/constraints.ts'
import { dlaConstraints } from '../../../targets/tensorrt/dla.ts'
import { tensorrt } from '../../../targets/tensorrt/index.ts'
import { SmallGraph } from '../small-graphs.ts'
import { concatAndPools, maxPool, residualBlocks, transformerBlock } from './networks.ts'
import { options } from './run.ts'

const window: Window = { strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }
const conv = (op: Partial<Extract<Op, { kind: 'Conv' }>> = {}): Op => ({
  kind: 'Conv',
  group: 1,
  layout: 'channels-first',
  ...window,
  ...op,
})
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }

/** The last operator of a small graph over an image of 16 channels. */
function last(build: (g: SmallGraph, x: string) => string, channels = 16, size = 12): Graph {
  const g = new SmallGraph()
  const x = g.node({ kind: 'Sigmoid' }, [g.input('x', 1, channels, size, size)], 'before')
  return g.finish(build(g, x))
}

function matrix(rows: number, columns: number, op: Op = gemm): Graph {
  const g = new SmallGraph()
  const x = op.kind === 'Gemm' && op.transA ? g.input('x', 8, rows) : g.input('x', rows, 8)
  return g.finish(g.node(op, [x, g.weights(op.kind === 'Gemm' && op.transB ? [columns, 8] : [8, columns])]))
}

type Case = [id: string, breaks: () => Graph, keeps: () => Graph]

const forInt8: Case[] = [
  [
    'int8-kernel',
    () => last((g, x) => g.node({ kind: 'Softmax', axis: 1 }, [x])),
    () => last((g, x) => g.conv(x, 16)),
  ],
  [
    'float32-activations',
    () => {
      const g = new SmallGraph()
      const x = g.integers([2], [1n, 2n])
      return g.finish(g.node({ kind: 'Binary', fn: 'Add' }, [x, x]))
    },
    () => last((g, x) => g.node({ kind: 'Binary', fn: 'Add' }, [x, x])),
  ],
  [
    'constant-weights',
    () => last((g, x) => g.node({ kind: 'MatMul' }, [x, x])),
    () => last((g, x) => g.node({ kind: 'MatMul' }, [x, g.weights([12, 6])])),
  ],
  [
    'matrix-weights',
    () => last((g, x) => g.node({ kind: 'MatMul' }, [x, g.weights([16, 12, 6])])),
    () => last((g, x) => g.node({ kind: 'MatMul' }, [x, g.weights([12, 6])])),
  ],
  ['gemm-not-transposed-a', () => matrix(4, 6, { ...gemm, transA: true }), () => matrix(4, 6)],
  ['no-vector-product', () => matrix(1, 6), () => matrix(2, 6)],
  ['no-vector-product', () => matrix(6, 1), () => matrix(6, 2)],
  ['convolution-channels', () => last((g, x) => g.conv(x, 8), 8), () => last((g, x) => g.conv(x, 16), 8)],
  [
    'convolution-channels',
    () => last((g, x) => g.node(conv(), [x, g.weights([16, 4, 5, 3])]), 4),
    () => last((g, x) => g.node(conv(), [x, g.weights([16, 4, 3, 3])]), 4),
  ],
  [
    'grouped-convolution',
    () => last((g, x) => g.conv(x, 12, { group: 12 }), 12),
    () => last((g, x) => g.conv(x, 16, { group: 16 })),
  ],
  [
    'grouped-convolution',
    () => last((g, x) => g.conv(x, 16, { group: 16, kernel: 1 })),
    () => last((g, x) => g.conv(x, 32, { group: 2, kernel: 1 }), 32),
  ],
  [
    'plain-transposed-convolution',
    () => last((g, x) => g.node(transposed(2), [x, g.weights([16, 8, 3, 3])])),
    () => last((g, x) => g.node(transposed(1), [x, g.weights([16, 16, 3, 3])])),
  ],
]

function transposed(group: number): Op {
  return { kind: 'ConvTranspose', group, outputPadding: [0, 0], layout: 'channels-first', ...window }
}

const forDla: Case[] = [
  [
    'dla-operator',
    () => last((g, x) => g.node({ kind: 'Gelu', approximate: 'none' }, [x])),
    () => last((g, x) => g.node({ kind: 'Tanh' }, [x])),
  ],
  ['dla-dimensions', () => wide(8193), () => wide(8192)],
  ['dla-batch', () => wide(2, 4097), () => wide(2, 4096)],
  [
    'dla-two-dimensional',
    () => {
      const g = new SmallGraph()
      const line: Window = { strides: [1], dilations: [1], padsBegin: [0], padsEnd: [0] }
      return g.finish(g.node(conv(line), [g.input('x', 1, 16, 32), g.weights([16, 16, 3])]))
    },
    () => last((g, x) => g.conv(x, 16)),
  ],
  [
    'dla-kernel',
    () => last((g, x) => g.conv(x, 2, { kernel: 33, pad: 0 }), 2, 40),
    () => last((g, x) => g.conv(x, 2, { kernel: 32, pad: 0 }), 2, 40),
  ],
  [
    'dla-stride',
    () => last((g, x) => g.conv(x, 2, { stride: 9 }), 2),
    () => last((g, x) => g.conv(x, 2, { stride: 8 }), 2),
  ],
  [
    'dla-dilation',
    () => last((g, x) => g.node(conv({ dilations: [33, 33] }), [x, g.weights([2, 2, 2, 2])]), 2, 40),
    () => last((g, x) => g.node(conv({ dilations: [32, 32] }), [x, g.weights([2, 2, 2, 2])]), 2, 40),
  ],
  [
    'dla-constant-weights',
    () => last((g, x) => g.node({ kind: 'MatMul' }, [x, x])),
    () => last((g, x) => g.node({ kind: 'MatMul' }, [x, g.weights([12, 6])])),
  ],
  [
    'dla-plain-transposed-convolution',
    () => last((g, x) => g.node(transposed(2), [x, g.weights([16, 8, 3, 3])])),
    () => last((g, x) => g.node(transposed(1), [x, g.weights([16, 16, 3, 3])])),
  ],
  [
    'dla-unpadded-transposed-convolution',
    () =>
      last((g, x) => g.node({ ...transposed(1), padsBegin: [1, 1] } as Op, [x, g.weights([16, 16, 3, 3])])),
    () => last((g, x) => g.node(transposed(1), [x, g.weights([16, 16, 3, 3])])),
  ],
  [
    'dla-pool-window',
    () => last((g, x) => g.node(maxPool(9), [x])),
    () => last((g, x) => g.node(maxPool(8), [x])),
  ],
  [
    'dla-channel-concat',
    () => last((g, x) => g.node({ kind: 'Concat', axis: 2 }, [x, x])),
    () => last((g, x) => g.node({ kind: 'Concat', axis: 1 }, [x, x])),
  ],
]

function wide(width: number, batch = 1): Graph {
  const g = new SmallGraph()
  return g.finish(g.node({ kind: 'Relu' }, [g.input('x', batch, width)]))
}

for (const [list, cases] of [
  [constraints, forInt8],
  [dlaConstraints, forDla],
] as [readonly Constraint[], Case[]][])
  for (const [i, [id, breaks, keeps]] of cases.entries())
    test(`${id} (${i}): broken just beyond the limit, kept at it`, () => {
      const constraint = list.find((one) => one.id === id)!
      const check = (graph: Graph) => constraint.check(graph.nodes.at(-1)!, graph, options)
      const broken = check(breaks())
      assert.ok(!broken.ok && broken.saw.length > 0)
      assert.deepEqual(check(keeps()), { ok: true })
      assert.match(constraint.sentence, /^[A-Z].*\.$/)
    })

test('every limit is tried', () => {
  const untried = ['float32-weights', 'dla-channels']
  for (const [list, cases] of [
    [constraints, forInt8],
    [dlaConstraints, forDla],
  ] as const)
    assert.deepEqual(
      list
        .map(({ id }) => id)
        .filter((id) => !untried.includes(id) && !cases.some(([tried]) => tried === id)),
      [],
    )
})

test('inspect gives a row an operator, int8 or float16 with the reason, and what cannot be parsed', () => {
  const row = (graph: Graph, name: string, given = options) =>
    tensorrt.inspect(graph, given).find((one) => one.name === name)!
  const residual = residualBlocks()
  assert.deepEqual(
    tensorrt.inspect(residual, options).map(({ label }) => label),
    residual.nodes.map(() => 'int8'),
  )
  const block = transformerBlock()
  assert.equal(row(block, 'q').label, 'int8')
  assert.equal(row(block, 'gelu').label, 'fp16')
  assert.match(row(block, 'head').reason, /vector.*1 × 10/)
  assert.match(row(block, 'scores').reason, /attention/)
  assert.equal(row(block, 'q', { ...options, scheme: 'float' }).label, 'fp32')
  const pools = concatAndPools()
  for (const name of ['left_pool', 'concat', 'turn', 'left_relu'])
    assert.equal(row(pools, name).label, 'int8', name)
  const kept = row(residual, 'a1', { ...options, keepFloat: ['a1'] })
  assert.deepEqual([kept.precision, kept.placement], ['float', 'accelerator'])
  const cropping = last((g, x) =>
    g.node(
      {
        ...{
          kind: 'Resize',
          mode: 'linear',
          sizes: [1, 16, 24, 24],
          scales: null,
          roi: [0, 0, 0, 0, 1, 1, 1, 1],
        },
        ...{ coordinateTransformation: 'tf_crop_and_resize', nearestMode: 'floor', cubicCoefficient: -0.75 },
        ...{ excludeOutside: false, extrapolationValue: 0, antialias: false, layout: 'channels-first' },
      } as Op,
      [x],
      'crop',
    ),
  )
  assert.equal(row(cropping, 'crop').placement, 'unsupported')
  assert.ok(fileConstraints.some(({ sentence }) => row(cropping, 'crop').reason.startsWith(sentence)))
})

test('boards with a DLA are told what of a network it takes, others that they have none', () => {
  const said = tensorrt.summary!(transformerBlock(), options)
  assert.match(said.lines[0]!, /8\.7; 2 DLA/)
  assert.ok(said.lines.some((line) => /not on the DLA: The DLA has the operator\./.test(line)))
  const all = tensorrt.summary!(
    last((g, x) => g.conv(x, 16)),
    options,
  )
  assert.match(all.lines[1]!, /would take 2 of 2/)
  const nano = { computeCapability: '5.3', dlaCores: 0, newestTensorRt: '8.2' }
  assert.match(tensorrt.summary!(residualBlocks(), { ...options, accelerator: nano }).lines[0]!, /no DLA/)
})

test('the DLA takes part where the recipe allows it, in float16 only', () => {
  const graph = residualBlocks()
  const planOf = (given: typeof options) => {
    const emitted = {
      files: new Map([['model.onnx', new Uint8Array()]]),
      model: 'model.onnx',
      inputs: [],
      outputs: [],
    }
    const plan = tensorrt.preparation!(emitted, { graph, decisions: [], integerOnly: false }, given)
    assert.ok(plan && 'kind' in plan)
    return plan
  }
  const half = { ...options, scheme: 'float16', allow: ['dla'] } as const
  assert.deepEqual(planOf(half).dla, { core: 0, allowGpuFallback: true })
  assert.equal(planOf({ ...half, allow: [] }).dla, null)
  assert.equal(planOf({ ...half, scheme: 'full-int8' }).dla, null)
  assert.equal(planOf({ ...half, accelerator: { ...options.accelerator!, dlaCores: 0 } }).dla, null)
  const reasons = tensorrt.prepare(graph, new Map(), half).decisions.map(({ reason }) => reason)
  assert.ok(reasons.some((reason) => /is for the DLA/.test(reason)))
})
