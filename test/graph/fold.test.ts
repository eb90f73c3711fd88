import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constantOf, numbersOf, tensorOf } from '../../src/graph/constant.ts'
import { constantOfNumbers } from '../../src/graph/encode.ts'
import { evaluateConstantNode, mostFoldedElements } from '../../src/graph/fold.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { DType } from '../../src/tensor.ts'
import { constantFor, type Given, runOp } from './one-op.ts'

const wide = 2n ** 62n + 1n
const integers = (shape: number[], ...numbers: (number | bigint)[]): Given => ({
  dtype: 'int64',
  shape,
  numbers,
})
const reals = (shape: number[], ...numbers: number[]): Given => ({ dtype: 'float32', shape, numbers })
const shape4 = integers([4], 1, 3, 224, 224)
const grid = integers([2, 3], 5, -7, 9, wide, -4, 2)
const signed = reals([6], -2.5, -1.5, -0.5, 0.5, 1.5, 7.25)

const cases: [Op, Given[], number?, DType?][] = [
  [{ kind: 'Gather', axis: 0 }, [shape4, integers([2], -1, 0)]],
  [{ kind: 'Gather', axis: 1 }, [grid, integers([2, 1], 2, -3)]],
  [{ kind: 'Gather', axis: 0 }, [shape4, integers([], 2)]],
  [{ kind: 'Concat', axis: 0 }, [shape4, integers([0]), integers([1], wide)]],
  [{ kind: 'Concat', axis: 1 }, [grid, integers([2, 1], 1, 2), grid]],
  [{ kind: 'Slice', axes: [0], starts: [-1], ends: [-(2 ** 63)], steps: [-2] }, [shape4]],
  [{ kind: 'Slice', axes: [1], starts: [1], ends: [2 ** 63], steps: [1] }, [grid]],
  [{ kind: 'Split', axis: 1, sizes: [1, 2] }, [grid], 2],
  [{ kind: 'Reshape', shape: [3, 1, 2] }, [grid]],
  [{ kind: 'Transpose', perm: [1, 0] }, [grid]],
  [{ kind: 'Expand', shape: [2, 2, 3] }, [grid]],
  [{ kind: 'Expand', shape: [3, 2] }, [reals([3, 1], 1.5, -2, 0.25)]],
  [{ kind: 'Tile', repeats: [2, 2] }, [grid]],
  [{ kind: 'Identity' }, [grid]],
  [{ kind: 'Cast' }, [signed], 1, 'int64'],
  [{ kind: 'Cast' }, [signed], 1, 'bool'],
  [{ kind: 'Cast' }, [grid], 1, 'int32'],
  [{ kind: 'Cast' }, [integers([2], 7, 2 ** 24 + 1)], 1, 'float32'],
  [{ kind: 'Unary', fn: 'Ceil' }, [signed]],
  [{ kind: 'Unary', fn: 'Floor' }, [signed]],
  [{ kind: 'Unary', fn: 'Round' }, [signed]],
  [{ kind: 'Unary', fn: 'Sign' }, [grid]],
  [{ kind: 'Unary', fn: 'Abs' }, [grid]],
  [{ kind: 'Unary', fn: 'Neg' }, [grid]],
  [{ kind: 'Unary', fn: 'Reciprocal' }, [signed]],
  [{ kind: 'Unary', fn: 'Sqrt' }, [reals([3], 2, 3, 1e-8)]],
  [{ kind: 'Unary', fn: 'Not' }, [{ dtype: 'bool', shape: [2], numbers: [0, 1] }]],
  ...(['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max'] as const).flatMap((fn): [Op, Given[]][] => [
    [{ kind: 'Binary', fn }, [grid, integers([2, 1], 3, -2)]],
    [
      { kind: 'Binary', fn },
      [
        { dtype: 'int32', shape: [2], numbers: [2 ** 31 - 1, -7] },
        { dtype: 'int32', shape: [1], numbers: [2] },
      ],
    ],
    [{ kind: 'Binary', fn }, [signed, reals([2, 1], 0.1, 3)]],
  ]),
  ...(['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'] as const).flatMap(
    (fn): [Op, Given[]][] => [
      [{ kind: 'Comparison', fn }, [grid, integers([3], 5, -7, 2)]],
      [{ kind: 'Comparison', fn }, [signed, reals([], 0.5)]],
    ],
  ),
  ...(['And', 'Or', 'Xor'] as const).map((fn): [Op, Given[]] => [
    { kind: 'Comparison', fn },
    [
      { dtype: 'bool', shape: [2, 1], numbers: [0, 1] },
      { dtype: 'bool', shape: [2], numbers: [0, 1] },
    ],
  ]),
  [{ kind: 'Where' }, [{ dtype: 'bool', shape: [2, 1], numbers: [1, 0] }, grid, integers([3], 1, 2, 3)]],
  ...(['Sum', 'Prod', 'Max', 'Min', 'Mean'] as const).flatMap((fn): [Op, Given[]][] => [
    [{ kind: 'Reduce', fn, axes: [0], keepDims: false }, [integers([2, 3], 5, -7, 9, 1, -4, 2)]],
    [{ kind: 'Reduce', fn, axes: [0, 1], keepDims: true }, [reals([2, 2], 0.5, 2, -3, 8)]],
  ]),
]

for (const [op, operands, outputCount, declared] of cases) {
  const about = operands.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(' ')
  test(`${op.kind}${'fn' in op ? `.${op.fn}` : ''} of ${about}${declared ? ` to ${declared}` : ''} is bit for bit what ONNX Runtime gives`, async () => {
    const { seen, types } = await runOp(op, operands, outputCount, {}, declared)
    const folded = evaluateConstantNode(op, operands.map(constantFor), types)
    assert.ok(folded, 'is evaluated')
    folded.forEach((constant, i) => {
      assert.equal(constant.dtype, seen[i]!.dtype)
      assert.deepEqual(constant.shape, seen[i]!.shape)
      assert.deepEqual(Array.from(tensorOf(constant).data as Float32Array), seen[i]!.numbers)
    })
  })
}

const scalar = (dtype: DType) => [{ dtype, shape: [] }]
test('leaves alone what has no defined result', () => {
  const one = constantOfNumbers('int64', [], [1])
  const zero = constantOfNumbers('int64', [], [0])
  assert.equal(evaluateConstantNode({ kind: 'Binary', fn: 'Div' }, [one, zero], scalar('int64')), null)
  assert.equal(
    evaluateConstantNode(
      { kind: 'Gather', axis: 0 },
      [constantOfNumbers('int64', [2], [1, 2]), constantOfNumbers('int64', [], [2])],
      scalar('int64'),
    ),
    null,
  )
  for (const number of [Number.NaN, Infinity, 2 ** 31])
    assert.equal(
      evaluateConstantNode({ kind: 'Cast' }, [constantOfNumbers('float64', [], [number])], scalar('int32')),
      null,
    )
})

test('leaves alone what is large, not constant, packed or transcendental', () => {
  const large = constantOf('float32', [mostFoldedElements + 1], new Float32Array(mostFoldedElements + 1))
  assert.equal(evaluateConstantNode({ kind: 'Unary', fn: 'Abs' }, [large], [large]), null)
  const one = constantOfNumbers('float32', [1], [1])
  assert.equal(
    evaluateConstantNode({ kind: 'Expand', shape: [1e9] }, [one], [{ dtype: 'float32', shape: [1e9] }]),
    null,
  )
  assert.equal(evaluateConstantNode({ kind: 'Binary', fn: 'Add' }, [one, null], [one]), null)
  assert.equal(evaluateConstantNode({ kind: 'Unary', fn: 'Exp' }, [one], [one]), null)
  const packed = constantOfNumbers('int4', [2], [1, -1])
  assert.equal(
    evaluateConstantNode({ kind: 'Reshape', shape: [1, 2] }, [packed], [{ dtype: 'int4', shape: [1, 2] }]),
    null,
  )
})

test('constants of every numeric type hold the numbers they were made of', () => {
  for (const dtype of [
    'float32',
    'float64',
    'float16',
    'bfloat16',
    'int8',
    'int16',
    'int32',
    'int64',
    'int4',
  ] as const)
    assert.deepEqual(numbersOf(constantOfNumbers(dtype, [3], [-8, 0, 7])), [-8, 0, 7], dtype)
  for (const dtype of ['uint8', 'uint16', 'uint32', 'uint64', 'uint4'] as const)
    assert.deepEqual(numbersOf(constantOfNumbers(dtype, [3], [1, 0, 15])), [1, 0, 15], dtype)
})

test('halves round to nearest even as ONNX Runtime casts them', async () => {
  const numbers = [
    0,
    -0,
    1,
    0.1,
    -3.3,
    65504,
    65519.9,
    65520,
    1e9,
    2 ** -14,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -25,
    6.1e-5,
    2049,
    2051,
    1023.75,
    1 / 3,
    -Infinity,
  ]
  const { seen } = await runOp({ kind: 'Cast' }, [{ shape: [numbers.length], numbers }], 1, {}, 'float16')
  assert.deepEqual(
    numbersOf(constantOfNumbers('float16', [numbers.length], numbers.map(Math.fround))),
    seen[0]!.numbers,
  )
})
