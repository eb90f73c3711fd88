import { EdgewrightError } from '../../error.ts'
import { constantOfNumbers } from '../../graph/encode.ts'
import { sliceExtent } from '../../graph/infer.ts'
import type { OpKind, OpOf } from '../../graph/ops.ts'
import type { Constant } from '../../graph/types.ts'
import { onnxDataTypes } from './proto.ts'
import { float, int, ints, type Spelling, type SpellingContext, text, unless } from './write-attributes.ts'
import { spatialSpellings } from './write-spatial.ts'

/** Convert becomes Q/DQ and Opaque is its own payload: both are written by the graph writer itself. */
export type SpelledKind = Exclude<OpKind, 'Convert' | 'Opaque'>

type Spell<K extends OpKind> = (op: OpOf<K>, context: SpellingContext) => Spelling

/** How each kind of operator is said in ONNX, operator sets 13 to 21. */
export const spellings: { readonly [K in SpelledKind]: Spell<K> } = {
  ...spatialSpellings,
  Gemm: (op) => ({
    opType: 'Gemm',
    attributes: [
      unless(1, op.alpha, float('alpha', op.alpha)),
      unless(1, op.beta, float('beta', op.beta)),
      unless(false, op.transA, int('transA', 1)),
      unless(false, op.transB, int('transB', 1)),
    ],
  }),
  MatMul: () => ({ opType: 'MatMul' }),
  LayerNormalization: (op) => ({
    opType: 'LayerNormalization',
    attributes: [int('axis', op.axis), float('epsilon', op.epsilon)],
    since: 17,
  }),

  Relu: (_, { operands }) => ({ opType: 'Relu', since: isFloat(operands[0]!.dtype) ? 13 : 14 }),
  LeakyRelu: (op) => ({ opType: 'LeakyRelu', attributes: [float('alpha', op.alpha)] }),
  PRelu: () => ({ opType: 'PRelu' }),
  Clip: (op, { operands }) => ({
    opType: 'Clip',
    parameters: [bound(op.min, operands), bound(op.max, operands)],
  }),
  Sigmoid: () => ({ opType: 'Sigmoid' }),
  HardSigmoid: (op) => ({
    opType: 'HardSigmoid',
    attributes: [float('alpha', op.alpha), float('beta', op.beta)],
  }),
  HardSwish: () => ({ opType: 'HardSwish', since: 14 }),
  Tanh: () => ({ opType: 'Tanh' }),
  Elu: (op) => ({ opType: 'Elu', attributes: [float('alpha', op.alpha)] }),
  Gelu: (op) => ({
    opType: 'Gelu',
    attributes: [unless('none', op.approximate as string, text('approximate', op.approximate))],
    since: 20,
  }),
  Softmax: (op) => ({ opType: 'Softmax', attributes: [int('axis', op.axis)] }),
  LogSoftmax: (op) => ({ opType: 'LogSoftmax', attributes: [int('axis', op.axis)] }),

  Unary: (op) => ({ opType: op.fn }),
  Binary: (op, { operands }) => ({ opType: op.fn, since: sinceOfBinary(op, operands) }),
  Comparison: (op) => ({ opType: op.fn }),
  Where: () => ({ opType: 'Where' }),

  Concat: (op) => ({ opType: 'Concat', attributes: [int('axis', op.axis)] }),
  Split: (op) => ({
    opType: 'Split',
    parameters: [integers(op.sizes)],
    attributes: [unless(0, op.axis, int('axis', op.axis))],
  }),
  Slice: spellSlice,
  Gather: (op) => ({ opType: 'Gather', attributes: [unless(0, op.axis, int('axis', op.axis))] }),
  Reshape: (op) => ({
    opType: 'Reshape',
    parameters: [integers(op.shape)],
    // a size of 0 would otherwise mean: as in the input
    attributes: [op.shape.includes(0) ? int('allowzero', 1) : null],
    since: op.shape.includes(0) ? 14 : 13,
  }),
  Transpose: (op) => ({ opType: 'Transpose', attributes: [ints('perm', op.perm)] }),
  Expand: (op) => ({ opType: 'Expand', parameters: [integers(op.shape)] }),
  Tile: (op) => ({ opType: 'Tile', parameters: [integers(op.repeats)] }),
  Pad: (op, { operands }) => ({
    opType: 'Pad',
    parameters: [
      integers([...op.padsBegin, ...op.padsEnd]),
      op.mode === 'constant' && op.value !== 0 ? constantOfNumbers(operands[0]!.dtype, [], [op.value]) : null,
    ],
    attributes: [unless('constant', op.mode as string, text('mode', op.mode))],
    since: op.mode === 'wrap' ? 19 : 13,
  }),

  Reduce: spellReduce,
  ArgMax: (op) => spellArg('ArgMax', op),
  ArgMin: (op) => spellArg('ArgMin', op),

  Cast: (_, { outputs }) => ({ opType: 'Cast', attributes: [int('to', onnxDataTypes[outputs[0]!.dtype])] }),
  Identity: () => ({ opType: 'Identity' }),
}

function spellSlice(op: OpOf<'Slice'>, { operands }: SpellingContext): Spelling {
  const { shape } = operands[0]!
  // resolved to what the axis has, so that an "as far as it goes" of ±2^63 needs no 64-bit precision
  const resolved = op.axes.map((axis, i) => {
    const step = op.steps[i]!
    const { start, count } = sliceExtent(shape[axis]!, op.starts[i]!, op.ends[i]!, step)
    const end = start + count * step
    return { start, end: end < 0 ? -shape[axis]! - 1 : end }
  })
  const plainAxes = op.axes.every((axis, i) => axis === i) && op.axes.length === shape.length
  const plainSteps = op.steps.every((step) => step === 1)
  return {
    opType: 'Slice',
    parameters: [
      integers(resolved.map(({ start }) => start)),
      integers(resolved.map(({ end }) => end)),
      plainAxes ? null : integers(op.axes),
      plainSteps ? null : integers(op.steps),
    ],
  }
}

function spellReduce(op: OpOf<'Reduce'>, { opset, operands }: SpellingContext): Spelling {
  if (op.axes.length === 0 && operands[0]!.shape.length > 0)
    throw new EdgewrightError(
      'GRAPH_INVALID',
      `Reduce.${op.fn} lists no axis, which ONNX reads as every axis.`,
    )
  const keep = unless(true, op.keepDims, int('keepdims', 0))
  const asInput = op.fn === 'Sum' || opset >= 18
  return {
    opType: `Reduce${op.fn}`,
    parameters: asInput && op.axes.length > 0 ? [integers(op.axes)] : [],
    attributes: [keep, asInput || op.axes.length === 0 ? null : ints('axes', op.axes)],
    since: (op.fn === 'Max' || op.fn === 'Min') && operands[0]!.dtype === 'bool' ? 20 : 13,
  }
}

function spellArg(opType: string, op: OpOf<'ArgMax'> | OpOf<'ArgMin'>): Spelling {
  return {
    opType,
    attributes: [
      unless(0, op.axis, int('axis', op.axis)),
      unless(true, op.keepDims, int('keepdims', 0)),
      unless(false, op.selectLastIndex, int('select_last_index', 1)),
    ],
  }
}

/** Add, Sub, Mul and Div of 8- and 16-bit integers came with operator set 14. */
function sinceOfBinary(op: OpOf<'Binary'>, operands: SpellingContext['operands']): number {
  const { dtype } = operands[0]!
  if (op.fn === 'Min' || op.fn === 'Max' || op.fn === 'Pow') return 13
  return isFloat(dtype) || dtype.endsWith('32') || dtype.endsWith('64') ? 13 : 14
}

function bound(value: number, operands: SpellingContext['operands']): Constant | null {
  return Number.isFinite(value) ? constantOfNumbers(operands[0]!.dtype, [], [value]) : null
}

function integers(list: readonly number[]): Constant {
  return constantOfNumbers('int64', [list.length], list)
}

function isFloat(dtype: string): boolean {
  return dtype.startsWith('float') || dtype === 'bfloat16'
}
