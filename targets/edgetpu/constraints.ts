import type { Operand, Operator } from './operators.ts'
import { activationsOf, nodeOf, operatorOfNode } from './operators.ts'
import type { Source } from './sources.ts'
import { knownAbsent, supportedOperators } from './supported.ts'
import type { Basis, Check, Constraint } from '../target.ts'

/** The words of `edgetpu_compiler` for an operator that it leaves on the CPU. */
export type Status =
  | 'Mapped to Edge TPU'
  | 'Operation not supported'
  | 'Operation is otherwise supported, but not mapped due to some unspecified limitation'
  | 'More than one subgraph is not supported'
  | 'Operation version not supported'
  | 'Operation is working on an unsupported data type'
  | 'Tensor has unsupported rank (up to 3 innermost dimensions mapped)'

/** A limit of the Edge TPU. */
export interface Limit {
  readonly id: string
  /** Operators that it is about; null: all of them. */
  readonly operators: readonly string[] | null
  readonly sentence: string
  readonly basis: Basis
  readonly source: Source
  readonly status: Status
  readonly remedy?: string
  check(operator: Operator): Check
}

const ok: Check = { ok: true }
const saw = (what: string): Check => ({ ok: false, saw: what })
const limited: Status = 'Operation is otherwise supported, but not mapped due to some unspecified limitation'
const wrongType: Status = 'Operation is working on an unsupported data type'

const mapped = new Map(supportedOperators.map((row) => [row.type, row]))
const spatial = ['CONV_2D', 'DEPTHWISE_CONV_2D', 'TRANSPOSE_CONV']
const weighted = [...spatial, 'FULLY_CONNECTED']
const lstm = ['LSTM', 'UNIDIRECTIONAL_SEQUENCE_LSTM']
const reductions = ['MEAN', 'SUM', 'REDUCE_MAX', 'REDUCE_MIN']
const resizes = ['RESIZE_BILINEAR', 'RESIZE_NEAREST_NEIGHBOR']

/** Elements that a resize may make: 128×128×32 is mapped, 1024×1024×3 is not; where between is not known. */
export const maxResizedElements = 2 ** 21
/** Places that a mean may be over: 64×128 is mapped, 256×128 is not; where between is not known. */
export const maxMeanPlaces = 2 ** 14
export const maxSoftmaxElements = 16_000

/** What keeps an operator off the Edge TPU, in the order they are checked. */
export const limits: readonly Limit[] = [
  {
    id: 'supported-operator',
    operators: null,
    sentence: 'The operator is in Coral’s table of supported operations; custom operators are not.',
    basis: 'documented',
    source: 'CORAL',
    status: 'Operation not supported',
    remedy: 'Replace it, or move it behind the part that is to run on the Edge TPU.',
    check: (operator) =>
      mapped.has(operator.type)
        ? ok
        : saw(operator.custom ? `the custom operator ${operator.type}` : operator.type),
  },
  {
    id: 'eight-bit',
    operators: null,
    sentence: 'All tensors of the operator are int8 or uint8 (biases int32).',
    basis: 'documented',
    source: 'CORAL',
    status: wrongType,
    remedy: 'Quantize the network to full-int8, with --io int8 or uint8.',
    check(operator) {
      // quantize-integers speaks of this one; an LSTM keeps its cell state in int16
      if (operator.type === 'QUANTIZE' || lstm.includes(operator.type)) return ok
      const other = activationsOf(operator).find(
        ({ type }) => type.dtype !== 'int8' && type.dtype !== 'uint8',
      )
      return other ? saw(`${other.name} is ${other.type.dtype}`) : ok
    },
  },
  {
    id: 'quantize-integers',
    operators: ['QUANTIZE'],
    sentence: 'A QUANTIZE goes from int8 or uint8 to int8 or uint8; one that takes floats stays on the CPU.',
    basis: 'observed',
    source: 'google-coral#20',
    status: limited,
    remedy: 'Feed integers: --io int8 or uint8 leaves no QUANTIZE at the input.',
    check({ inputs, outputs }) {
      const other = [...inputs, ...outputs].find(
        ({ type }) => type.dtype !== 'int8' && type.dtype !== 'uint8',
      )
      return other ? saw(`${other.name} is ${other.type.dtype}`) : ok
    },
  },
  {
    id: 'lstm-integers',
    operators: lstm,
    sentence: 'An LSTM has int8 activations and constant int8 weights.',
    basis: 'observed',
    source: 'PAIRS',
    status: wrongType,
    check({ inputs, outputs }) {
      const input = inputs.find(({ constant }) => !constant)
      const other = [input, ...outputs].find(
        (operand) => operand && operand.type.dtype !== 'int8' && operand.type.dtype !== 'uint8',
      )
      return other ? saw(`${other.name} is ${other.type.dtype}`) : ok
    },
  },
  {
    id: 'static-shapes',
    operators: null,
    sentence: 'All tensor sizes are fixed when the network is compiled.',
    basis: 'documented',
    source: 'CORAL',
    status: limited,
    remedy: 'Bind the dimension with --shape.',
    check(operator) {
      const open = activationsOf(operator).find(({ type }) => type.shape.some((size) => !(size >= 1)))
      return open ? saw(`${open.name} has shape ${shapeText(open)}`) : ok
    },
  },
  {
    id: 'three-inner-dimensions',
    operators: null,
    sentence: 'Only the three innermost dimensions of a tensor are larger than 1, so the batch is 1.',
    basis: 'documented',
    source: 'CORAL',
    status: 'Tensor has unsupported rank (up to 3 innermost dimensions mapped)',
    remedy: 'Bind the batch to 1 with --shape, and reshape tensors with more dimensions.',
    check(operator) {
      const deep = activationsOf(operator).find(({ type }) =>
        type.shape.slice(0, -3).some((size) => size > 1),
      )
      return deep ? saw(`${deep.name} has shape ${shapeText(deep)}`) : ok
    },
  },
  {
    id: 'constant-parameters',
    operators: weighted,
    sentence: 'Weights and biases are constant.',
    basis: 'documented',
    source: 'CORAL',
    status: limited,
    check(operator) {
      const computed = operator.inputs.filter(({ constant }) => !constant)
      return computed.length <= 1 ? ok : saw(`${computed.at(-1)!.name} is computed`)
    },
  },
  {
    id: 'equal-dilation',
    operators: spatial,
    sentence: 'The dilation is the same in x and y.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check(operator) {
      const dilations = (nodeOf(operator, 'Conv') ?? nodeOf(operator, 'ConvTranspose'))?.op.dilations ?? []
      return new Set(dilations).size <= 1 ? ok : saw(`dilation ${dilations.join('×')}`)
    },
  },
  {
    id: 'no-fused-activation',
    operators: ['AVERAGE_POOL_2D', 'MAX_POOL_2D', 'CONCATENATION'],
    sentence: 'A pool or concatenation has no fused activation.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    remedy: 'Put the activation in an operator of its own.',
    check(operator) {
      const fused = nodeOf(operator, 'Relu') ?? nodeOf(operator, 'Clip') ?? nodeOf(operator, 'Tanh')
      return fused && operator.nodes.length > 1 ? saw(`a fused ${fused.op.kind}`) : ok
    },
  },
  {
    id: 'concatenated-constants',
    operators: ['CONCATENATION'],
    sentence: 'A concatenation with a constant has exactly two inputs, and the constant is all zeros.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check({ inputs }) {
      const constant = inputs.find((operand) => operand.constant)
      if (!constant) return ok
      if (inputs.length !== 2) return saw(`${inputs.length} inputs, ${constant.name} constant`)
      return isZero(constant) ? ok : saw(`${constant.name} is not all zeros`)
    },
  },
  {
    id: 'fully-connected-output',
    operators: ['FULLY_CONNECTED'],
    sentence: 'A fully connected layer has the default weight format and makes a one-dimensional output.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    remedy: 'Write a layer over many places as a 1×1 convolution.',
    check({ outputs }) {
      const wide = outputs.find(({ type }) => type.shape.slice(0, -1).some((size) => size > 1))
      return wide ? saw(`${wide.name} has shape ${shapeText(wide)}`) : ok
    },
  },
  {
    id: 'softmax-size',
    operators: ['SOFTMAX'],
    sentence: 'A softmax is over a one-dimensional tensor of at most 16,000 elements.',
    basis: 'documented',
    source: 'CORAL-2019',
    status: limited,
    remedy: 'End the network before it: the largest logit is the largest probability.',
    check({ outputs }) {
      const { shape } = outputs[0]!.type
      if (shape.slice(0, -1).some((size) => size > 1)) return saw(`shape ${shapeText(outputs[0]!)}`)
      return shape.at(-1)! <= maxSoftmaxElements ? ok : saw(`${shape.at(-1)} elements`)
    },
  },
  {
    id: 'reduction-axes',
    operators: reductions,
    sentence: 'A reduction leaves the batch alone.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check(operator) {
      const axes = nodeOf(operator, 'Reduce')?.op.axes
      const rank = operator.inputs[0]!.type.shape.length
      return axes && rank > 1 && axes.includes(0)
        ? saw(`axes ${axes.join(', ')}`)
        : ok
          ? saw(`axes ${axes.join(', ')}`)
          : ok
    },
  },
  {
    id: 'mean-channels',
    operators: ['MEAN'],
    sentence: 'A mean over channels has a multiple of 4 of them.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check(operator) {
      const axes = nodeOf(operator, 'Reduce')?.op.axes
      const { shape } = operator.inputs[0]!.type
      const channels = shape.at(-1)!
      return axes?.includes(shape.length - 1) && channels % 4 !== 0 ? saw(`${channels} channels`) : ok
    },
  },
  {
    id: 'mean-size',
    operators: ['MEAN'],
    sentence:
      'A mean is over at most 16,384 places (64×128 is mapped, 256×128 is not; the bound between them is ours).',
    basis: 'observed',
    source: 'edgetpu#461',
    status: limited,
    remedy: 'The rewrite mean-to-average-pool takes it in two steps.',
    check(operator) {
      const from = operator.inputs[0]!.type.shape
      const to = operator.outputs[0]!.type.shape
      const places = product(from) / Math.max(1, product(to))
      return places <= maxMeanPlaces ? ok : saw(`${places} places`)
    },
  },
  {
    id: 'pack-axis',
    operators: ['PACK'],
    sentence: 'A pack is not along the batch.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check(operator) {
      const axis = nodeOf(operator, 'Concat')?.op.axis
      return axis === 0 && operator.outputs[0]!.type.shape.length > 1 ? saw('axis 0') : ok
    },
  },
  {
    id: 'split-axis',
    operators: ['SPLIT'],
    sentence: 'A split is not along the batch.',
    basis: 'documented',
    source: 'CORAL-2019',
    status: limited,
    check(operator) {
      const axis = nodeOf(operator, 'Split')?.op.axis
      return axis === 0 && operator.inputs[0]!.type.shape.length > 1 ? saw('axis 0') : ok
    },
  },
  {
    id: 'pad-batch',
    operators: ['PAD'],
    sentence: 'Padding leaves the batch alone.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check(operator) {
      const pad = nodeOf(operator, 'Pad')?.op
      const batch = pad && pad.padsBegin.length > 3 && (pad.padsBegin[0] !== 0 || pad.padsEnd[0] !== 0)
      return batch ? saw(`${pad.padsBegin[0]} before, ${pad.padsEnd[0]} after`) : ok
    },
  },
  {
    id: 'prelu-alpha',
    operators: ['PRELU'],
    sentence: 'The slopes of a PReLU are constant, one for each channel (Keras: shared_axes=[1, 2]).',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check({ inputs }) {
      const slopes = inputs.find(({ constant }) => constant)
      if (!slopes) return saw('computed slopes')
      const elements = product(slopes.type.shape)
      return elements === Math.max(1, ...slopes.type.shape) ? ok : saw(`slopes of shape ${shapeText(slopes)}`)
    },
  },
  {
    id: 'resize-from-one',
    operators: resizes,
    sentence: 'A resize does not start from a single place (1×1).',
    basis: 'observed',
    source: 'PAIRS',
    status: limited,
    remedy: 'The rewrite broadcast-one-place adds the 1×1 tensor to zeros of the larger shape.',
    check({ inputs, outputs }) {
      const from = inputs[0]!.type.shape
      const to = outputs[0]!.type.shape
      return product(from.slice(1, 3)) === 1 && product(to.slice(1, 3)) > 1
        ? saw(`${places(from)} to ${places(to)}`)
        : ok
    },
  },
  {
    id: 'resize-size',
    operators: resizes,
    sentence:
      'A resize makes at most 2,097,152 elements (128×128×32 is mapped, 1024×1024×3 is not; the bound between them is ours).',
    basis: 'observed',
    source: 'edgetpu#31',
    status: limited,
    remedy: 'Make the input smaller, or resize the result in the application.',
    check({ inputs, outputs }) {
      const elements = product(outputs[0]!.type.shape)
      if (elements <= maxResizedElements) return ok
      return saw(
        `${places(inputs[0]!.type.shape)} to ${places(outputs[0]!.type.shape)}, ${elements} elements`,
      )
    },
  },
  {
    id: 'resize-three-dimensions',
    operators: resizes,
    sentence: 'A resize works on height, width and channels.',
    basis: 'documented',
    source: 'AXIS',
    status: limited,
    check: ({ inputs }) =>
      inputs[0]!.type.shape.length === 4 ? ok : saw(`${inputs[0]!.type.shape.length} dimensions`),
  },
  {
    id: 'strided-slice-strides',
    operators: ['STRIDED_SLICE', 'SLICE'],
    sentence: 'A slice has strides of 1.',
    basis: 'documented',
    source: 'CORAL-2019',
    status: limited,
    check(operator) {
      const steps = nodeOf(operator, 'Slice')?.op.steps ?? []
      return steps.every((step) => step === 1) ? ok : saw(`strides ${steps.join(', ')}`)
    },
  },
]

/** The same sentences as constraints on single nodes. */
export const constraints: readonly Constraint[] = limits.map((limit) => ({
  id: limit.id,
  sentence: limit.sentence,
  basis: limit.basis,
  ...(limit.remedy ? { remedy: limit.remedy } : {}),
  check(node, graph, options) {
    const operator = operatorOfNode(node, graph, { assumeInt8: options.scheme === 'full-int8' })
    return applies(limit, operator) ? limit.check(operator) : ok
  },
}))

export interface Broken {
  readonly limit: Limit
  readonly saw: string
  readonly status: Status
  readonly remedy: string | null
  readonly basis: Basis
  readonly source: Source
}

/** The first limit that an operator breaks; null where it can be mapped. */
export function brokenLimit(operator: Operator): Broken | null {
  for (const limit of limits) {
    if (!applies(limit, operator)) continue
    const result = limit.check(operator)
    if (!result.ok) return described(limit, result.saw, operator)
  }
  return null
}

function applies(limit: Limit, operator: Operator): boolean {
  return limit.operators === null || limit.operators.includes(operator.type)
}

function described(limit: Limit, seen: string, operator: Operator): Broken {
  const known =
    limit.id === 'supported-operator' ? knownAbsent.find(({ type }) => type === operator.type) : undefined
  return {
    limit,
    saw: seen,
    status: limit.id === 'supported-operator' && !isEightBit(operator) ? wrongType : limit.status,
    remedy: known?.remedy ?? limit.remedy ?? null,
    basis: known?.basis ?? limit.basis,
    source: known?.source ?? limit.source,
  }
}

/** The compiler looks at the types first. */
function isEightBit(operator: Operator): boolean {
  return activationsOf(operator).every(({ type }) => type.dtype === 'int8' || type.dtype === 'uint8')
}

/** In the type's own zero: a stored zero point is a real 0. */
function isZero({ constant, type }: Operand): boolean {
  const zero = type.quantization?.zeroPoints[0] ?? 0
  const stored = type.dtype === 'int8' || type.dtype === 'uint8' ? zero & 0xff : 0
  return constant!.bytes().every((byte) => byte === stored)
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

function shapeText({ type }: Operand): string {
  return `[${type.shape.join(', ')}]`
}

function places(shape: readonly number[]): string {
  return shape.slice(1, 3).join('×')
}
