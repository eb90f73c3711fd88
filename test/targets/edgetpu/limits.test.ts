import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../../src/graph/ops.ts'
import { limits } from '../../../targets/edgetpu/constraints.ts'
import { type Predicted, predict } from '../../../targets/edgetpu/predict.ts'
import { supportedOperators } from '../../../targets/edgetpu/supported.ts'
import { conv, FileGraph, opaque, resize, type Result } from './file-graph.ts'

const softmax: Op = { kind: 'Softmax', axis: 1 }
const convert: Op = { kind: 'Convert' }
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }
const mean = (axes: readonly number[]): Op => ({ kind: 'Reduce', fn: 'Mean', axes, keepDims: false })
const concat = (axis: number): Op => ({ kind: 'Concat', axis })
const pad = (...begin: number[]): Op => ({
  kind: 'Pad',
  mode: 'constant',
  padsBegin: begin,
  padsEnd: begin.map(() => 0),
  value: 0,
})
const pool: Op = {
  kind: 'MaxPool',
  kernel: [1, 1],
  strides: [1, 1],
  dilations: [1, 1],
  padsBegin: [0, 0],
  padsEnd: [0, 0],
  ceilMode: false,
  layout: 'channels-last',
}
const slice = (step: number): Op => ({ kind: 'Slice', axes: [1], starts: [0], ends: [8], steps: [step] })
const reshape = (shape: readonly number[]): Op => ({ kind: 'Reshape', shape })

interface Case {
  /** Null: it is mapped. */
  readonly breaks: string | null
  readonly type: string
  readonly op: Op | readonly Op[]
  readonly input: readonly number[]
  readonly results: readonly Result[]
  readonly inputDtype?: 'int8' | 'uint8' | 'int16' | 'float32' | 'int32'
  /** Shapes of constant operands behind the input; [fill] says what they hold. */
  readonly constants?: readonly (readonly number[])[]
  readonly fill?: number
}

const cases: readonly Case[] = [
  {
    breaks: 'supported-operator',
    type: 'GELU',
    op: { kind: 'Gelu', approximate: 'none' },
    input: [1, 8],
    results: [{ shape: [1, 8] }],
  },
  {
    breaks: 'supported-operator',
    type: 'TFLite_Detection_PostProcess',
    op: opaque('TFLite_Detection_PostProcess'),
    input: [1, 8],
    results: [{ shape: [1, 8], dtype: 'float32' }],
  },
  {
    breaks: 'eight-bit',
    type: 'LOGISTIC',
    op: { kind: 'Sigmoid' },
    input: [1, 8],
    inputDtype: 'int16',
    results: [{ shape: [1, 8], dtype: 'int16' }],
  },
  {
    breaks: null,
    type: 'LOGISTIC',
    op: { kind: 'Sigmoid' },
    input: [1, 8],
    inputDtype: 'uint8',
    results: [{ shape: [1, 8], dtype: 'uint8' }],
  },
  {
    breaks: 'quantize-integers',
    type: 'QUANTIZE',
    op: convert,
    input: [1, 8],
    inputDtype: 'float32',
    results: [{ shape: [1, 8] }],
  },
  {
    breaks: null,
    type: 'QUANTIZE',
    op: convert,
    input: [1, 8],
    inputDtype: 'uint8',
    results: [{ shape: [1, 8] }],
  },
  {
    breaks: 'lstm-integers',
    type: 'UNIDIRECTIONAL_SEQUENCE_LSTM',
    op: opaque('UNIDIRECTIONAL_SEQUENCE_LSTM'),
    input: [1, 28, 28],
    inputDtype: 'int16',
    results: [{ shape: [1, 28, 20] }],
  },
  {
    breaks: 'static-shapes',
    type: 'RELU',
    op: { kind: 'Relu' },
    input: [-1, 8],
    results: [{ shape: [-1, 8] }],
  },
  {
    breaks: 'three-inner-dimensions',
    type: 'ADD',
    op: { kind: 'Binary', fn: 'Add' },
    input: [2, 8, 8, 3],
    results: [{ shape: [2, 8, 8, 3] }],
    constants: [[3]],
  },
  {
    breaks: 'three-inner-dimensions',
    type: 'RESHAPE',
    op: reshape([1, 8, 2, 4, 2]),
    input: [1, 8, 8, 2],
    results: [{ shape: [1, 8, 2, 4, 2] }],
  },
  {
    breaks: null,
    type: 'RESHAPE',
    op: reshape([1, 1, 8, 4, 4]),
    input: [1, 8, 8, 2],
    results: [{ shape: [1, 1, 8, 4, 4] }],
  },
  {
    breaks: 'equal-dilation',
    type: 'CONV_2D',
    op: conv([2, 1]),
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
    constants: [[4, 4, 1, 1]],
  },
  {
    breaks: null,
    type: 'CONV_2D',
    op: conv([2, 2]),
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
    constants: [[4, 4, 1, 1]],
  },
  {
    breaks: 'no-fused-activation',
    type: 'MAX_POOL_2D',
    op: [pool, { kind: 'Relu' }],
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
  },
  {
    breaks: null,
    type: 'CONV_2D',
    op: [conv(), { kind: 'Relu' }],
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
    constants: [[4, 4, 1, 1]],
  },
  {
    breaks: 'concatenated-constants',
    type: 'CONCATENATION',
    op: concat(2),
    input: [1, 8, 4],
    results: [{ shape: [1, 8, 8] }],
    constants: [[1, 8, 4]],
    fill: 7,
  },
  {
    breaks: 'concatenated-constants',
    type: 'CONCATENATION',
    op: concat(2),
    input: [1, 8, 4],
    results: [{ shape: [1, 8, 12] }],
    constants: [
      [1, 8, 4],
      [1, 8, 4],
    ],
    fill: 0,
  },
  {
    breaks: null,
    type: 'CONCATENATION',
    op: concat(2),
    input: [1, 8, 4],
    results: [{ shape: [1, 8, 8] }],
    constants: [[1, 8, 4]],
    fill: 0,
  },
  {
    breaks: 'fully-connected-output',
    type: 'FULLY_CONNECTED',
    op: gemm,
    input: [5, 8],
    results: [{ shape: [5, 4] }],
    constants: [[4, 8]],
  },
  {
    breaks: null,
    type: 'FULLY_CONNECTED',
    op: gemm,
    input: [1, 8],
    results: [{ shape: [1, 4] }],
    constants: [[4, 8]],
  },
  {
    breaks: 'softmax-size',
    type: 'SOFTMAX',
    op: softmax,
    input: [1, 16001],
    results: [{ shape: [1, 16001] }],
  },
  {
    breaks: 'softmax-size',
    type: 'SOFTMAX',
    op: softmax,
    input: [1, 20, 2],
    results: [{ shape: [1, 20, 2] }],
  },
  { breaks: null, type: 'SOFTMAX', op: softmax, input: [1, 16000], results: [{ shape: [1, 16000] }] },
  {
    breaks: 'reduction-axes',
    type: 'MEAN',
    op: mean([0, 1]),
    input: [1, 8, 8, 4],
    results: [{ shape: [8, 4] }],
  },
  {
    breaks: 'mean-channels',
    type: 'MEAN',
    op: mean([3]),
    input: [1, 8, 8, 6],
    results: [{ shape: [1, 8, 8] }],
  },
  { breaks: null, type: 'MEAN', op: mean([3]), input: [1, 8, 8, 8], results: [{ shape: [1, 8, 8] }] },
  {
    breaks: 'mean-size',
    type: 'MEAN',
    op: mean([1, 2]),
    input: [1, 256, 128, 3],
    results: [{ shape: [1, 3] }],
  },
  { breaks: null, type: 'MEAN', op: mean([1, 2]), input: [1, 64, 128, 3], results: [{ shape: [1, 3] }] },
  {
    breaks: 'pack-axis',
    type: 'PACK',
    op: [reshape([1, 8]), concat(0)],
    input: [8],
    results: [{ shape: [2, 8] }],
  },
  {
    breaks: 'split-axis',
    type: 'SPLIT',
    op: { kind: 'Split', axis: 0, sizes: [1, 1] },
    input: [2, 8],
    results: [{ shape: [1, 8] }, { shape: [1, 8] }],
  },
  {
    breaks: 'pad-batch',
    type: 'PAD',
    op: pad(1, 0, 0, 0),
    input: [1, 8, 8, 3],
    results: [{ shape: [1, 8, 8, 3] }],
  },
  { breaks: null, type: 'PAD', op: pad(0, 1, 1, 1), input: [1, 8, 8, 3], results: [{ shape: [1, 9, 9, 4] }] },
  {
    breaks: 'prelu-alpha',
    type: 'PRELU',
    op: { kind: 'PRelu' },
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
    constants: [[8, 8, 4]],
  },
  {
    breaks: null,
    type: 'PRELU',
    op: { kind: 'PRelu' },
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
    constants: [[1, 1, 4]],
  },
  {
    breaks: 'resize-from-one',
    type: 'RESIZE_BILINEAR',
    op: resize('linear', [1, 33, 33, 4]),
    input: [1, 1, 1, 4],
    results: [{ shape: [1, 33, 33, 4] }],
  },
  {
    breaks: 'resize-size',
    type: 'RESIZE_BILINEAR',
    op: resize('linear', [1, 513, 513, 21]),
    input: [1, 33, 33, 21],
    results: [{ shape: [1, 513, 513, 21] }],
  },
  {
    breaks: 'resize-size',
    type: 'RESIZE_NEAREST_NEIGHBOR',
    op: resize('nearest', [1, 1024, 1024, 3]),
    input: [1, 512, 512, 3],
    results: [{ shape: [1, 1024, 1024, 3] }],
  },
  {
    breaks: null,
    type: 'RESIZE_BILINEAR',
    op: resize('linear', [1, 128, 128, 32]),
    input: [1, 64, 64, 32],
    results: [{ shape: [1, 128, 128, 32] }],
  },
  {
    breaks: 'resize-three-dimensions',
    type: 'RESIZE_NEAREST_NEIGHBOR',
    op: resize('nearest', [1, 1, 8, 8, 3]),
    input: [1, 1, 4, 4, 3],
    results: [{ shape: [1, 1, 8, 8, 3] }],
  },
  {
    breaks: 'strided-slice-strides',
    type: 'STRIDED_SLICE',
    op: slice(2),
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 4, 8, 4] }],
  },
  {
    breaks: null,
    type: 'STRIDED_SLICE',
    op: slice(1),
    input: [1, 8, 8, 4],
    results: [{ shape: [1, 8, 8, 4] }],
  },
]

function rowOf({ type, op, input, results, constants = [], inputDtype = 'int8', fill = 1 }: Case): Predicted {
  const file = new FileGraph()
  const x = file.input('x', input, inputDtype)
  const operands = constants.map((shape) => file.constant(shape, 'int8', fill))
  const outputs = file.operator(type, op, [x, ...operands], ...results)
  return predict(file.finish(...outputs), { assumeInt8: false }).operators[0]!
}

test('each limit refuses what breaks it, and takes what keeps it', () => {
  for (const one of cases) {
    const row = rowOf(one)
    const told = limits.find(({ sentence }) => row.reason.startsWith(sentence))?.id ?? null
    assert.equal(told, one.breaks, `${one.type} on [${one.input}]: ${row.reason || 'mapped'}`)
    assert.equal(row.mapped, one.breaks === null)
    if (told) assert.match(row.reason, / Saw: .+\.$/)
  }
})

test('every limit is tried', () => {
  const tried = new Set(cases.map(({ breaks }) => breaks))
  // its operand must be computed, which `rowOf` cannot say
  const apart = ['constant-parameters']
  assert.deepEqual(
    limits.map(({ id }) => id).filter((id) => !tried.has(id)),
    apart,
  )
})

test('a convolution whose weights are computed is not mapped', () => {
  const file = new FileGraph()
  const outputs = file.operator(
    'CONV_2D',
    conv(),
    [file.input('x', [1, 8, 8, 4]), file.input('w', [1, 4, 1, 1])],
    { shape: [1, 8, 8, 1] },
  )
  const [row] = predict(file.finish(...outputs), { assumeInt8: false }).operators
  assert.match(row!.reason, /^Weights and biases are constant\. Saw: w is computed\.$/)
})

test('nothing outside the table is mapped, whatever it is called', () => {
  const known = new Set(supportedOperators.map(({ type }) => type))
  for (const type of [
    'HARD_SWISH',
    'LEAKY_RELU',
    'BATCH_MATMUL',
    'SPLIT_V',
    'UNPACK',
    'PADV2',
    'EXP',
    'CAST',
    'BIDIRECTIONAL_SEQUENCE_LSTM',
    'constructor',
  ]) {
    assert.equal(known.has(type), false)
    const row = rowOf({
      breaks: 'supported-operator',
      type,
      op: opaque(type),
      input: [1, 8],
      results: [{ shape: [1, 8] }],
    })
    assert.equal(row.status, 'Operation not supported')
  }
})
