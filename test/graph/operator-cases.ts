import type { Op, Window } from '../../src/graph/ops.ts'
import type { DType } from '../../src/tensor.ts'
import type { Given } from './one-op.ts'

export const first = { layout: 'channels-first' } as const
const x4: Given = { shape: [2, 6, 9, 7] }
export const windows = (
  strides: number[],
  dilations: number[],
  padsBegin: number[],
  padsEnd: number[],
): Window => ({
  strides,
  dilations,
  padsBegin,
  padsEnd,
})
export const plain2 = windows([1, 1], [1, 1], [0, 0], [0, 0])
export const plain1 = windows([1], [1], [0], [0])
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
export type OperatorCase = [
  op: Op,
  operands: (Given | null)[],
  shapes: number[][] | null,
  outputCount?: number,
  declared?: DType,
]

const indices: Given = { dtype: 'int64', shape: [2, 2], numbers: [0, 2, -1, 1] }
const yes: Given = { dtype: 'bool', shape: [2, 1], numbers: [1, 0] }
const channel = (n: number): Given => ({ shape: [n], numbers: Array.from({ length: n }, (_, i) => i + 1) })

/** Each kind of operator at least once, with attributes that are not their defaults. */
export const operatorCases: OperatorCase[] = [
  [
    { kind: 'Conv', group: 1, ...first, ...plain2 },
    [x4, { shape: [4, 6, 3, 3] }, channel(4)],
    [[2, 4, 7, 5]],
  ],
  [
    { kind: 'Conv', group: 3, ...first, ...windows([2, 3], [2, 1], [1, 2], [0, 3]) },
    [x4, { shape: [3, 2, 3, 2] }, null],
    [[2, 3, 3, 4]],
  ],
  [
    { kind: 'Conv', group: 6, ...first, ...windows([2, 2], [1, 1], [0, 0], [1, 1]) },
    [x4, { shape: [6, 1, 3, 3] }],
    [[2, 6, 4, 3]],
  ],
  [
    { kind: 'Conv', group: 1, ...first, ...windows([2], [3], [4], [1]) },
    [{ shape: [1, 2, 11] }, { shape: [5, 2, 3] }],
    [[1, 5, 5]],
  ],
  [
    {
      kind: 'ConvTranspose',
      group: 1,
      outputPadding: [1, 0],
      ...first,
      ...windows([2, 3], [1, 2], [1, 0], [0, 2]),
    },
    [x4, { shape: [6, 2, 3, 3] }],
    [[2, 2, 19, 21]],
  ],
  [
    { kind: 'ConvTranspose', group: 2, outputPadding: [1], ...first, ...windows([2], [1], [1], [1]) },
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
    (kind): OperatorCase => [{ kind }, [x4], [[2, 6, 9, 7]]],
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
