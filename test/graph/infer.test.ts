import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { broadcastShapes, inferTypes, poolOutputSize, sliceExtent } from '../../src/graph/infer.ts'
import type { Op, OpKind } from '../../src/graph/ops.ts'
import { opTable } from '../../src/graph/table/index.ts'
import { runOp } from './one-op.ts'
import { first, operatorCases, plain1, plain2, windows } from './operator-cases.ts'

for (const [op, operands, byHand, outputCount, declared] of operatorCases) {
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
  const covered = new Set<OpKind>([...operatorCases.map(([op]) => op.kind), 'MaxPool', 'AveragePool'])
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
      const window = windows([stride], [dilation], [begin], [end])
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
  const conv: Op = {
    kind: 'Conv',
    group: 1,
    layout: 'channels-last',
    ...windows([2, 1], [1, 1], [1, 0], [1, 0]),
  }
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

test('refuses weights of another element type than x', () => {
  const x = { type: { dtype: 'float32', shape: [2, 3], quantization: null } } as const
  const w = { type: { dtype: 'int8', shape: [3, 4], quantization: null } } as const
  assert.throws(
    () => inferTypes({ kind: 'MatMul' }, [x, w], 1),
    /MatMul: the operands must have one element type/,
  )
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
    { kind: 'MaxPool', kernel: [2], ceilMode: false, ...first, ...windows([0], [1], [0], [0]) },
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
