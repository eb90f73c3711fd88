import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { broadcastShapes, inferTypes, poolOutputSize, sliceExtent } from '../../src/graph/infer.ts'
import type { Op, OpKind, Window } from '../../src/graph/ops.ts'
import { opTable } from '../../src/graph/table/index.ts'
import { type Given, runOp } from './one-op.ts'

const first = { layout: 'channels-first' } as const
const x4: Given = { shape: [2, 6, 9, 7] }
const w2 = (strides: number[], dilations: number[], padsBegin: number[], padsEnd: number[]): Window => ({
  strides,
  dilations,
  padsBegin,
  padsEnd,
})
const plain2 = w2([1, 1], [1, 1], [0, 0], [0, 0])
const plain1 = w2([1], [1], [0], [0])
const resize = {
  kind: 'Resize',
  coordinateTransformation: 'half_pixel',
  nearestMode: 'round_prefer_floor',
  cubicCoefficient: -0.75,
  excludeOutside: false,
  extrapolationValue: 0,
  roi: null,
  antialias: false,
  ...first,
} as const

/** [operator, operands, shapes by hand or null where ONNX Runtime alone says them, output count, declared dtype] */
type Case = [Op, (Given | null)[], number[][] | null, number?, 'int32'?]

const indices: Given = { dtype: 'int64', shape: [2, 2], numbers: [0, 2, -1, 1] }
const yes: Given = { dtype: 'bool', shape: [2, 1], numbers: [1, 0] }
const channel = (n: number): Given => ({ shape: [n], numbers: Array.from({ length: n }, (_, i) => i + 1) })

const cases: Case[] = [
  [
    { kind: 'Conv', group: 1, ...first, ...plain2 },
    [x4, { shape: [4, 6, 3, 3] }, channel(4)],
    [[2, 4, 7, 5]],
  ],
  [
    { kind: 'Conv', group: 3, ...first, ...w2([2, 3], [2, 1], [1, 2], [0, 3]) },
    [x4, { shape: [3, 2, 3, 2] }, null],
    [[2, 3, 3, 4]],
  ],
  [
    { kind: 'Conv', group: 6, ...first, ...w2([2, 2], [1, 1], [0, 0], [1, 1]) },
    [x4, { shape: [6, 1, 3, 3] }],
    [[2, 6, 4, 3]],
  ],
  [
    { kind: 'Conv', group: 1, ...first, ...w2([2], [3], [4], [1]) },
    [{ shape: [1, 2, 11] }, { shape: [5, 2, 3] }],
    [[1, 5, 5]],
  ],
  [
    {
      kind: 'ConvTranspose',
      group: 1,
      outputPadding: [1, 0],
      ...first,
      ...w2([2, 3], [1, 2], [1, 0], [0, 2]),
    },
    [x4, { shape: [6, 2, 3, 3] }],
    [[2, 2, 19, 21]],
  ],
  [
    { kind: 'ConvTranspose', group: 2, outputPadding: [1], ...first, ...w2([2], [1], [1], [1]) },
    [{ shape: [1, 4, 5] }, { shape: [4, 3, 3] }, channel(6)],
    [[1, 6, 10]],
  ],
  [
    { kind: 'Gemm', alpha: 0.5, beta: 2, transA: true, transB: true },
    [{ shape: [3, 2] }, { shape: [4, 3] }, { shape: [4] }],
    [[2, 4]],
  ],
  [{ kind: 'MatMul' }, [{ shape: [2, 1, 3, 4] }, { shape: [5, 4, 6] }], [[2, 5, 3, 6]]],
  [{ kind: 'MatMul' }, [{ shape: [4] }, { shape: [5, 4, 6] }], [[5, 6]]],
  [{ kind: 'MatMul' }, [{ shape: [3, 4] }, { shape: [4] }], [[3]]],
  [{ kind: 'MatMul' }, [{ shape: [4] }, { shape: [4] }], [[]]],
  [
    { kind: 'BatchNormalization', epsilon: 1e-3, ...first },
    [x4, channel(6), channel(6), channel(6), channel(6)],
    [[2, 6, 9, 7]],
  ],
  [
    { kind: 'LayerNormalization', axis: 2, epsilon: 1e-5 },
    [x4, { shape: [9, 7] }, { shape: [9, 7] }],
    [[2, 6, 9, 7]],
  ],
  [{ kind: 'InstanceNormalization', epsilon: 1e-5 }, [x4, channel(6), channel(6)], [[2, 6, 9, 7]]],
  ...(['Relu', 'Sigmoid', 'HardSwish', 'Tanh'] as const).map(
    (kind): Case => [{ kind }, [x4], [[2, 6, 9, 7]]],
  ),
  [{ kind: 'LeakyRelu', alpha: 0.2 }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'PRelu' }, [x4, { shape: [6, 1, 1] }], [[2, 6, 9, 7]]],
  [{ kind: 'Clip', min: -0.5, max: Infinity }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'HardSigmoid', alpha: 0.2, beta: 0.5 }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'Elu', alpha: 0.7 }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'Gelu', approximate: 'tanh' }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'Softmax', axis: 1 }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'LogSoftmax', axis: 3 }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'Unary', fn: 'Erf' }, [x4], [[2, 6, 9, 7]]],
  [{ kind: 'Binary', fn: 'Sub' }, [{ shape: [3, 1, 5] }, { shape: [4, 1] }], [[3, 4, 5]]],
  [{ kind: 'Binary', fn: 'Pow' }, [{ shape: [3] }, { dtype: 'int64', shape: [1], numbers: [2] }], [[3]]],
  [{ kind: 'Comparison', fn: 'LessOrEqual' }, [{ shape: [3, 1] }, { shape: [2] }], [[3, 2]]],
  [{ kind: 'Where' }, [yes, { shape: [3] }, { shape: [] }], [[2, 3]]],
  [{ kind: 'GlobalAveragePool', ...first }, [x4], [[2, 6, 1, 1]]],
  [{ kind: 'GlobalMaxPool', ...first }, [{ shape: [1, 2, 5] }], [[1, 2, 1]]],
  [{ kind: 'Concat', axis: 1 }, [x4, { shape: [2, 1, 9, 7] }, { shape: [2, 3, 9, 7] }], [[2, 10, 9, 7]]],
  [
    { kind: 'Split', axis: 1, sizes: [1, 3, 2] },
    [x4],
    [
      [2, 1, 9, 7],
      [2, 3, 9, 7],
      [2, 2, 9, 7],
    ],
    3,
  ],
  [
    { kind: 'Slice', axes: [3, 1], starts: [-2, 1], ends: [-100, 2 ** 63], steps: [-2, 3] },
    [x4],
    [[2, 2, 9, 3]],
  ],
  [{ kind: 'Gather', axis: 1 }, [x4, indices], [[2, 2, 2, 9, 7]]],
  [{ kind: 'Reshape', shape: [4, 27, 7] }, [x4], [[4, 27, 7]]],
  [{ kind: 'Transpose', perm: [2, 0, 3, 1] }, [x4], [[9, 2, 7, 6]]],
  [{ kind: 'Expand', shape: [4, 3, 5] }, [{ shape: [3, 1] }], [[4, 3, 5]]],
  [{ kind: 'Tile', repeats: [2, 1, 3] }, [{ shape: [1, 2, 3] }], [[2, 2, 9]]],
  [
    { kind: 'Pad', mode: 'constant', padsBegin: [0, 1, 0, -2], padsEnd: [0, 0, 3, 1], value: 0.5 },
    [x4],
    [[2, 7, 12, 6]],
  ],
  [
    { kind: 'Pad', mode: 'reflect', padsBegin: [0, 0, 2, 1], padsEnd: [0, 0, 1, 3], value: 0 },
    [x4],
    [[2, 6, 12, 11]],
  ],
  [{ ...resize, mode: 'linear', sizes: [2, 6, 5, 13], scales: null }, [x4], [[2, 6, 5, 13]]],
  [{ ...resize, mode: 'nearest', sizes: [2, 6, 13, 14], scales: [1, 1, 1.5, 2] }, [x4], [[2, 6, 13, 14]]],
  [{ kind: 'DepthToSpace', blockSize: 2, mode: 'CRD', ...first }, [{ shape: [1, 8, 2, 3] }], [[1, 2, 4, 6]]],
  [{ kind: 'SpaceToDepth', blockSize: 2, ...first }, [{ shape: [1, 2, 4, 6] }], [[1, 8, 2, 3]]],
  [{ kind: 'Reduce', fn: 'Mean', axes: [1, 3], keepDims: false }, [x4], [[2, 9]]],
  [{ kind: 'Reduce', fn: 'Sum', axes: [2], keepDims: true }, [x4], [[2, 6, 1, 7]]],
  [{ kind: 'ArgMax', axis: 2, keepDims: false, selectLastIndex: true }, [x4], [[2, 6, 7]]],
  [{ kind: 'ArgMin', axis: 0, keepDims: true, selectLastIndex: false }, [x4], [[1, 6, 9, 7]]],
  [{ kind: 'Cast' }, [x4], [[2, 6, 9, 7]], 1, 'int32'],
  [{ kind: 'Identity' }, [x4], [[2, 6, 9, 7]]],
]

for (const [op, operands, byHand, outputCount, declared] of cases) {
  const about = operands.map((given) => (given ? `[${given.shape}]` : 'none')).join(' ')
  test(`${op.kind}${'fn' in op ? `.${op.fn}` : ''} of ${about} has the types that ONNX Runtime computes`, async () => {
    const { seen, types } = await runOp(op, operands, outputCount, {}, declared)
    assert.deepEqual(
      types.map(({ dtype, shape }) => [dtype, shape]),
      seen.map(({ dtype, shape }) => [dtype, shape]),
    )
    if (byHand)
      assert.deepEqual(
        types.map(({ shape }) => shape),
        byHand,
      )
  })
}

test('every kind of operator but Convert and Opaque is held against ONNX Runtime', () => {
  const covered = new Set<OpKind>([...cases.map(([op]) => op.kind), 'MaxPool', 'AveragePool'])
  assert.deepEqual(
    Object.keys(opTable).filter((kind) => !covered.has(kind as OpKind)),
    ['Convert', 'Opaque'],
  )
})

test('pools round up as ONNX Runtime does, whatever the window, stride, dilation and padding', async () => {
  let roundedUp = 0
  let cutShort = 0
  for (const [size, kernel, stride, dilation, begin, end] of poolWindows()) {
    for (const kind of ['MaxPool', 'AveragePool'] as const) {
      const window = w2([stride], [dilation], [begin], [end])
      const op: Op =
        kind === 'MaxPool'
          ? { kind, kernel: [kernel], ceilMode: true, ...first, ...window }
          : { kind, kernel: [kernel], ceilMode: true, countIncludePad: false, ...first, ...window }
      const { seen, types } = await runOp(op, [{ shape: [1, 1, size] }])
      assert.deepEqual(
        types[0]!.shape,
        seen[0]!.shape,
        `${kind} size ${size} kernel ${kernel} stride ${stride} dilation ${dilation} pads ${begin},${end}`,
      )
    }
    const floor = poolOutputSize(size, kernel, stride, dilation, begin, end, false)
    const ceil = poolOutputSize(size, kernel, stride, dilation, begin, end, true)
    if (ceil > floor) roundedUp++
    if (ceil === floor && (size + begin + end - (kernel - 1) * dilation - 1) % stride !== 0) cutShort++
  }
  assert.ok(
    roundedUp > 3 && cutShort > 3,
    `the cases reach both sides of the rule: ${roundedUp} rounded up, ${cutShort} cut short`,
  )
})

function* poolWindows(): Generator<[number, number, number, number, number, number]> {
  for (const size of [5, 8])
    for (const kernel of [2, 3])
      for (const stride of [2, 3])
        for (const dilation of [1, 2])
          for (const [begin, end] of [
            [0, 0],
            [1, 0],
            [1, 1],
          ] as const)
            yield [size, kernel, stride, dilation, begin, end]
}

test('a window of a channels-last operator runs over the middle axes', () => {
  const x = { type: { dtype: 'float32', shape: [2, 9, 7, 6], quantization: null } } as const
  const w = { type: { dtype: 'float32', shape: [4, 6, 3, 3], quantization: null } } as const
  const conv: Op = { kind: 'Conv', group: 1, layout: 'channels-last', ...w2([2, 1], [1, 1], [1, 0], [1, 0]) }
  assert.deepEqual(inferTypes(conv, [x, w], 1)[0]!.shape, [2, 5, 5, 4])
  const pool: Op = { kind: 'GlobalAveragePool', layout: 'channels-last' }
  assert.deepEqual(inferTypes(pool, [x], 1)[0]!.shape, [2, 1, 1, 6])
})

test('a quantized operand counts as float32', () => {
  const quantized = {
    type: { dtype: 'int8', shape: [3], quantization: { scales: [0.1], zeroPoints: [0], axis: null } },
  } as const
  const real = { type: { dtype: 'float32', shape: [3], quantization: null } } as const
  assert.deepEqual(inferTypes({ kind: 'Binary', fn: 'Add' }, [quantized, real], 1), [
    { dtype: 'float32', shape: [3], quantization: null },
  ])
})

const float = (...shape: number[]) => ({ type: { dtype: 'float32' as const, shape, quantization: null } })
const refusals: [string, Op, (ReturnType<typeof float> | null)[], number, string, RegExp][] = [
  [
    'weights of other channels',
    { kind: 'Conv', group: 1, ...first, ...plain2 },
    [float(1, 3, 8, 8), float(4, 5, 3, 3)],
    1,
    'MODEL_SHAPE_INVALID',
    /Conv: the weights take 5 input channels, x has 3/,
  ],
  [
    'a window larger than its input',
    { kind: 'Conv', group: 1, ...first, ...plain1 },
    [float(1, 3, 2), float(4, 3, 3)],
    1,
    'MODEL_SHAPE_INVALID',
    /spatial axis 0/,
  ],
  [
    'a stride of zero',
    { kind: 'MaxPool', kernel: [2], ceilMode: false, ...first, ...w2([0], [1], [0], [0]) },
    [float(1, 3, 8)],
    1,
    'MODEL_SHAPE_INVALID',
    /strides must be positive/,
  ],
  [
    'an axis outside the rank',
    { kind: 'Softmax', axis: 4 },
    [float(1, 3, 8)],
    1,
    'MODEL_SHAPE_INVALID',
    /axis 4 is outside a tensor of rank 3/,
  ],
  [
    'shapes that do not broadcast',
    { kind: 'Binary', fn: 'Mul' },
    [float(2, 3), float(2)],
    1,
    'MODEL_SHAPE_INVALID',
    /Binary\.Mul: the operands do not broadcast/,
  ],
  [
    'a reshape to another size',
    { kind: 'Reshape', shape: [5] },
    [float(2, 3)],
    1,
    'MODEL_SHAPE_INVALID',
    /6 elements, \[5\] has 5/,
  ],
  [
    'a fractional shape',
    { kind: 'Reshape', shape: [1.5, 4] },
    [float(2, 3)],
    1,
    'MODEL_SHAPE_INVALID',
    /whole numbers/,
  ],
  [
    'a step of zero',
    { kind: 'Slice', axes: [0], starts: [0], ends: [1], steps: [0] },
    [float(2)],
    1,
    'MODEL_SHAPE_INVALID',
    /step along axis 0 is 0/,
  ],
  [
    'a missing operand',
    { kind: 'MatMul' },
    [float(2, 3), null],
    1,
    'GRAPH_INVALID',
    /MatMul lacks its operand b/,
  ],
  [
    'too many operands',
    { kind: 'Relu' },
    [float(1), float(1)],
    1,
    'GRAPH_INVALID',
    /takes 1 operand, the node has 2/,
  ],
  ['too many outputs', { kind: 'Relu' }, [float(1)], 2, 'GRAPH_INVALID', /has 1 output, the node lists 2/],
  [
    'a tensor that no machine holds',
    { kind: 'Expand', shape: [1e9, 1e9] },
    [float(1)],
    1,
    'MODEL_TOO_LARGE',
    /2\^32/,
  ],
]
for (const [hazard, op, inputs, outputs, code, message] of refusals) {
  test(`refuses ${hazard}, naming the node`, () => {
    assert.throws(
      () => inferTypes(op, inputs, outputs, 'layer7'),
      (error) => {
        assert.ok(error instanceof EdgewrightError)
        assert.equal(error.code, code)
        assert.match(error.message, message)
        assert.equal(error.where, 'layer7')
        return true
      },
    )
  })
}

test('shapes broadcast as numpy does', () => {
  assert.deepEqual(broadcastShapes([8, 1, 6, 1], [7, 1, 5]), [8, 7, 6, 5])
  assert.deepEqual(broadcastShapes([], [2, 0]), [2, 0])
  assert.deepEqual(broadcastShapes([1], [0]), [0])
  assert.equal(broadcastShapes([2], [3]), null)
})

test('slices clamp their bounds to what the step can reach', () => {
  assert.deepEqual(sliceExtent(5, 1, 1e18, 1), { start: 1, count: 4 })
  assert.deepEqual(sliceExtent(5, -1, -1e18, -1), { start: 4, count: 5 })
  assert.deepEqual(sliceExtent(5, 3, 1, 1), { start: 3, count: 0 })
  assert.deepEqual(sliceExtent(5, -100, 100, 2), { start: 0, count: 3 })
  assert.deepEqual(sliceExtent(0, 0, 5, 1), { start: 0, count: 0 })
})
