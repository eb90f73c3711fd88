import type * as TensorFlow from '@tensorflow/tfjs'
import { EdgewrightError } from '../../error.ts'
import { decodeNode } from '../../formats/onnx/proto.ts'
import { Attributes } from '../../formats/onnx/read-attributes.ts'
import type { Op, OpKind, OpOf } from '../../graph/ops.ts'
import type { Graph, Node, TensorType } from '../../graph/types.ts'
import type { DType } from '../../tensor.ts'
import { convolve, convolveTransposed, metBy, padded, tapsOf } from './tfjs-windows.ts'

export type Tf = typeof TensorFlow
type Tensor = TensorFlow.Tensor

interface Call<O extends Op = Op> {
  readonly tf: Tf
  readonly op: O
  readonly node: Node
  readonly inputs: readonly (Tensor | null)[]
  /** Of the outputs. */
  readonly types: readonly TensorType[]
}

type Rule<O extends Op> = (call: Call<O>) => Tensor | Tensor[]

/** What an operator of a program computes, in TensorFlow.js. */
export function computeOperator(call: Call): Tensor[] {
  const made = ruleOf(call.node)!(call as never)
  return Array.isArray(made) ? made : [made]
}

/** @throws OPERATOR_UNSUPPORTED naming the first node that TensorFlow.js would not compute, or not alike */
export function requireOperators(graph: Graph): void {
  for (const node of graph.nodes) {
    const saw = refusal(node, graph)
    if (saw === null) continue
    throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'The training engine cannot compute this operator.', {
      where: node.source?.name || node.name,
      saw,
      hint: 'Train with --engine onnxruntime.',
    })
  }
}

/** What of a node cannot be done; null where all can. */
function refusal(node: Node, graph: Graph): string | null {
  const { op } = node
  const name = op.kind === 'Opaque' ? op.opType : op.kind
  if (!ruleOf(node)) return name
  const types = [...node.inputs, ...node.outputs].flatMap((value) =>
    value === null ? [] : [graph.values.get(value)!.type],
  )
  const narrow = name === 'QuantizeLinear' || name === 'DequantizeLinear'
  const other = types.find(({ dtype }) => !(exactTypes.has(dtype) || (narrow && bytes.has(dtype))))
  if (other) return `${name} of ${other.dtype}`
  if (op.kind === 'Pad' && op.mode !== 'constant' && op.mode !== 'reflect') return `${name}, ${op.mode}`
  if (op.kind === 'ArgMax' && op.selectLastIndex) return `${name} of the last of equal ones`
  if ((op.kind === 'Conv' || op.kind === 'ConvTranspose') && op.strides.length > 2)
    return `${name} in three dimensions`
  return op.kind === 'Opaque' ? stockRefusal(name, attributesOf(node)) : null
}

/** Numbers that TensorFlow.js has; it knows one kind of integer, of 32 bits, which indices and labels fit. */
const exactTypes: ReadonlySet<DType> = new Set(['float32', 'bool', 'int32', 'int64'])
const bytes: ReadonlySet<DType> = new Set(['int8', 'uint8'])

/** Gradients use these operators in one form each; a network may hold others. */
function stockRefusal(name: string, attributes: Attributes): string | null {
  if (name === 'ScatterElements' && attributes.string('reduction', 'none') !== 'add')
    return `${name} that adds nothing up`
  const odd = attributes.string('auto_pad', 'NOTSET') !== 'NOTSET' || attributes.int('storage_order', 0) !== 0
  return name === 'MaxPool' && odd ? `${name} with auto_pad or storage_order` : null
}

function ruleOf({ op }: Node): Rule<never> | undefined {
  if (op.kind === 'Opaque') return op.format === 'onnx' && !op.domain ? stock[op.opType] : undefined
  return rules[op.kind] as Rule<never> | undefined
}

const rules: { readonly [K in OpKind]?: Rule<OpOf<K>> } = {
  Conv: ({ tf, op, inputs: [x, w, bias] }) => {
    const made = convolve(tf, x!, w!, op)
    return bias ? tf.add(made, channelwise(tf, bias, made.rank)) : made
  },
  ConvTranspose: ({ tf, op, inputs: [x, w, bias] }) => {
    const made = convolveTransposed(tf, x!, w!, op)
    return bias ? tf.add(made, channelwise(tf, bias, made.rank)) : made
  },
  Gemm: ({ tf, op, inputs: [a, b, c] }) => {
    const product = tf.matMul(a!, b!, op.transA, op.transB)
    const scaled = op.alpha === 1 ? product : tf.mul(product, op.alpha)
    if (!c) return scaled
    return tf.add(scaled, op.beta === 1 ? c : tf.mul(c, op.beta))
  },
  MatMul: ({ tf, inputs: [a, b], types: [made] }) => {
    const left = a!.rank === 1 ? tf.expandDims(a!, 0) : a!
    const right = b!.rank === 1 ? tf.expandDims(b!, 1) : b!
    return tf.reshape(tf.matMul(left, right), [...made!.shape])
  },
  BatchNormalization: ({ tf, op, inputs }) => {
    const [x, scale, bias, mean, variance] = inputs as [Tensor, Tensor, Tensor, Tensor, Tensor]
    const along = (vector: Tensor) => channelwise(tf, vector, x.rank)
    const normal = tf.div(tf.sub(x, along(mean)), tf.sqrt(tf.add(along(variance), op.epsilon)))
    return tf.add(tf.mul(normal, along(scale)), along(bias))
  },
  LayerNormalization: ({ tf, op, inputs: [x, scale, bias] }) => {
    const axes = x!.shape.map((_, axis) => axis).slice(op.axis)
    const made = tf.mul(normalized(tf, x!, axes, op.epsilon), scale!)
    return bias ? tf.add(made, bias) : made
  },
  InstanceNormalization: ({ tf, op, inputs: [x, scale, bias] }) => {
    const axes = x!.shape.map((_, axis) => axis).slice(2)
    const made = normalized(tf, x!, axes, op.epsilon)
    return tf.add(tf.mul(made, channelwise(tf, scale!, x!.rank)), channelwise(tf, bias!, x!.rank))
  },

  Relu: ({ tf, inputs: [x] }) => tf.relu(x!),
  LeakyRelu: ({ tf, op, inputs: [x] }) => tf.leakyRelu(x!, op.alpha),
  PRelu: ({ tf, inputs: [x, slope] }) => tf.add(tf.relu(x!), tf.mul(tf.minimum(x!, 0), slope!)),
  Clip: ({ tf, op, inputs: [x] }) => {
    const above = Number.isFinite(op.min) ? tf.maximum(x!, op.min) : x!
    return Number.isFinite(op.max) ? tf.minimum(above, op.max) : tf.clone(above)
  },
  Sigmoid: ({ tf, inputs: [x] }) => tf.sigmoid(x!),
  HardSigmoid: ({ tf, op, inputs: [x] }) => tf.clipByValue(tf.add(tf.mul(x!, op.alpha), op.beta), 0, 1),
  HardSwish: ({ tf, inputs: [x] }) => tf.mul(x!, tf.clipByValue(tf.add(tf.div(x!, 6), 0.5), 0, 1)),
  Tanh: ({ tf, inputs: [x] }) => tf.tanh(x!),
  Elu: ({ tf, op, inputs: [x] }) =>
    tf.add(tf.relu(x!), tf.mul(tf.sub(tf.exp(tf.minimum(x!, 0)), 1), op.alpha)),
  Gelu: ({ tf, op, inputs: [x] }) => {
    const inner =
      op.approximate === 'none'
        ? tf.erf(tf.mul(x!, Math.SQRT1_2))
        : tf.tanh(tf.mul(tf.add(x!, tf.mul(tf.pow(x!, 3), 0.044715)), Math.sqrt(2 / Math.PI)))
    return tf.mul(tf.mul(x!, 0.5), tf.add(inner, 1))
  },
  Softmax: ({ tf, op, inputs: [x] }) => {
    const powers = tf.exp(tf.sub(x!, tf.max(x!, op.axis, true)))
    return tf.div(powers, tf.sum(powers, op.axis, true))
  },
  LogSoftmax: ({ tf, op, inputs: [x] }) => {
    const shifted = tf.sub(x!, tf.max(x!, op.axis, true))
    return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), op.axis, true)))
  },

  Unary: ({ tf, op, inputs: [x] }) => unary[op.fn](tf, x!),
  Binary: ({ tf, op, inputs: [a, b] }) => binary[op.fn](tf, a!, b!),
  Comparison: ({ tf, op, inputs: [a, b] }) => comparison[op.fn](tf, a!, b!),
  Where: ({ tf, inputs: [condition, a, b], types: [made] }) => {
    const wide = (x: Tensor) => tf.broadcastTo(x, [...made!.shape])
    return tf.where(wide(tf.cast(condition!, 'bool')), wide(a!), wide(b!))
  },

  MaxPool: ({ tf, op, inputs: [x], types: [made] }) =>
    metBy(tf, x!, op, op.kernel, made!.shape.slice(2), Number.NEGATIVE_INFINITY).reduce((a, b) =>
      tf.maximum(a, b),
    ),
  AveragePool: ({ tf, op, inputs: [x], types: [made] }) => {
    const positions = made!.shape.slice(2)
    const sum = (of: Tensor, window: typeof op) =>
      metBy(tf, of, window, op.kernel, positions, 0).reduce((a, b) => tf.add(a, b))
    const ones = tf.ones([1, 1, ...x!.shape.slice(2)])
    if (!op.countIncludePad) return tf.div(sum(x!, op), sum(ones, op))
    // what the padding adds counts, what a ceiling adds beyond it does not
    const counted = padded(tf, ones, [0, 0, ...op.padsBegin], [0, 0, ...op.padsEnd], 1)
    return tf.div(sum(x!, op), sum(counted, { ...op, padsBegin: op.padsBegin.map(() => 0) }))
  },
  GlobalAveragePool: ({ tf, inputs: [x] }) => tf.mean(x!, spatialAxes(x!), true),
  GlobalMaxPool: ({ tf, inputs: [x] }) => tf.max(x!, spatialAxes(x!), true),

  Concat: ({ tf, op, inputs }) => tf.concat(inputs as Tensor[], op.axis),
  Split: ({ tf, op, inputs: [x] }) => tf.split(x!, [...op.sizes], op.axis),
  Slice: ({ tf, op, inputs: [x] }) =>
    op.axes.reduce((part, axis, i) => {
      const at = indicesOf(part.shape[axis]!, op.starts[i]!, op.ends[i]!, op.steps[i]!)
      if (op.steps[i] === 1) {
        const begin = part.shape.map((_, other) => (other === axis ? (at[0] ?? 0) : 0))
        return tf.slice(part, begin, part.shape.with(axis, at.length))
      }
      return tf.gather(part, tf.tensor1d(at, 'int32'), axis)
    }, x!),
  Gather: ({ tf, op, inputs: [x, indices] }) => {
    const size = tf.scalar(x!.shape[op.axis]!, 'int32')
    const found = tf.where(tf.less(indices!, tf.scalar(0, 'int32')), tf.add(indices!, size), indices!)
    return tf.gather(x!, tf.cast(found, 'int32'), op.axis)
  },
  Reshape: ({ tf, op, inputs: [x] }) => tf.reshape(x!, [...op.shape]),
  Transpose: ({ tf, op, inputs: [x] }) => tf.transpose(x!, [...op.perm]),
  Expand: ({ tf, op, inputs: [x] }) => tf.broadcastTo(x!, [...op.shape]),
  Tile: ({ tf, op, inputs: [x] }) => tf.tile(x!, [...op.repeats]),
  Pad: ({ tf, op, inputs: [x] }) => {
    if (op.mode === 'constant') return padded(tf, x!, op.padsBegin, op.padsEnd, op.value)
    const pads = op.padsBegin.map((begin, axis): [number, number] => [begin, op.padsEnd[axis]!])
    return tf.mirrorPad(x!, pads, 'reflect')
  },
  Reduce: ({ tf, op, inputs: [x] }) => reduction[op.fn](tf, x!, [...op.axes], op.keepDims),
  ArgMax: ({ tf, op, inputs: [x] }) => {
    const found = tf.argMax(x!, op.axis)
    return op.keepDims ? tf.expandDims(found, op.axis) : found
  },
  Cast: ({ tf, inputs: [x], types: [made] }) => tf.cast(x!, dtypeOf(made!)),
  Identity: ({ tf, inputs: [x] }) => tf.clone(x!),
}

type Unary = OpOf<'Unary'>['fn']
const unary: Readonly<Record<Unary, (tf: Tf, x: Tensor) => Tensor>> = {
  Abs: (tf, x) => tf.abs(x),
  Ceil: (tf, x) => tf.ceil(x),
  Cos: (tf, x) => tf.cos(x),
  Erf: (tf, x) => tf.erf(x),
  Exp: (tf, x) => tf.exp(x),
  Floor: (tf, x) => tf.floor(x),
  Log: (tf, x) => tf.log(x),
  Neg: (tf, x) => tf.neg(x),
  Not: (tf, x) => tf.logicalNot(x),
  Reciprocal: (tf, x) => tf.div(1, x),
  // halves to even, as ONNX has it
  Round: (tf, x) => tf.round(x),
  Sign: (tf, x) => tf.sign(x),
  Sin: (tf, x) => tf.sin(x),
  Softplus: (tf, x) => tf.softplus(x),
  Softsign: (tf, x) => tf.div(x, tf.add(tf.abs(x), 1)),
  Sqrt: (tf, x) => tf.sqrt(x),
}

type Binary = OpOf<'Binary'>['fn']
const binary: Readonly<Record<Binary, (tf: Tf, a: Tensor, b: Tensor) => Tensor>> = {
  Add: (tf, a, b) => tf.add(a, b),
  Sub: (tf, a, b) => tf.sub(a, b),
  Mul: (tf, a, b) => tf.mul(a, b),
  Div: (tf, a, b) => tf.div(a, b),
  Pow: (tf, a, b) => tf.pow(a, b),
  Min: (tf, a, b) => tf.minimum(a, b),
  Max: (tf, a, b) => tf.maximum(a, b),
}

type Comparison = OpOf<'Comparison'>['fn']
const comparison: Readonly<Record<Comparison, (tf: Tf, a: Tensor, b: Tensor) => Tensor>> = {
  Equal: (tf, a, b) => tf.equal(a, b),
  Greater: (tf, a, b) => tf.greater(a, b),
  GreaterOrEqual: (tf, a, b) => tf.greaterEqual(a, b),
  Less: (tf, a, b) => tf.less(a, b),
  LessOrEqual: (tf, a, b) => tf.lessEqual(a, b),
  And: (tf, a, b) => tf.logicalAnd(a, b),
  Or: (tf, a, b) => tf.logicalOr(a, b),
  Xor: (tf, a, b) => tf.logicalXor(a, b),
}

type Reduction = OpOf<'Reduce'>['fn']
const reduction: Readonly<Record<Reduction, (tf: Tf, x: Tensor, axes: number[], keep: boolean) => Tensor>> = {
  Mean: (tf, x, axes, keep) => tf.mean(x, axes, keep),
  Sum: (tf, x, axes, keep) => tf.sum(x, axes, keep),
  Max: (tf, x, axes, keep) => tf.max(x, axes, keep),
  Min: (tf, x, axes, keep) => tf.min(x, axes, keep),
  Prod: (tf, x, axes, keep) => tf.prod(x, axes, keep),
  L1: (tf, x, axes, keep) => tf.sum(tf.abs(x), axes, keep),
  L2: (tf, x, axes, keep) => tf.sqrt(tf.sum(tf.square(x), axes, keep)),
  LogSum: (tf, x, axes, keep) => tf.log(tf.sum(x, axes, keep)),
  LogSumExp: (tf, x, axes, keep) => tf.logSumExp(x, axes, keep),
  SumSquare: (tf, x, axes, keep) => tf.sum(tf.square(x), axes, keep),
}

/** ONNX operators that the IR lacks and gradients use. */
const stock: Readonly<Record<string, Rule<OpOf<'Opaque'>>>> = {
  Clip: ({ tf, inputs: [x, least, most] }) => {
    const above = least ? tf.maximum(x!, least) : x!
    return most ? tf.minimum(above, most) : tf.clone(above)
  },
  MaxPool: ({ tf, node, inputs: [x], types: [made] }) => {
    const attributes = attributesOf(node)
    const kernel = attributes.ints('kernel_shape')!
    const each = (name: string, otherwise: number) => attributes.ints(name) ?? kernel.map(() => otherwise)
    const pads = attributes.ints('pads') ?? kernel.flatMap(() => [0, 0])
    const window = {
      strides: each('strides', 1),
      dilations: each('dilations', 1),
      padsBegin: pads.slice(0, kernel.length),
      padsEnd: pads.slice(kernel.length),
    }
    const positions = made!.shape.slice(2)
    const met = tf.stack(metBy(tf, x!, window, kernel, positions, Number.NEGATIVE_INFINITY))
    return [tf.max(met, 0), placesOf(tf, x!.shape, tf.argMax(met, 0), window, kernel)]
  },
  MaxUnpool: ({ tf, inputs: [values, places], types: [made] }) =>
    scattered(tf, places!, values!, made!.shape),
  ScatterElements: ({ tf, node, inputs: [data, indices, updates] }) => {
    const { shape } = data!
    const axis = attributesOf(node).int('axis', 0)
    let step = 1
    let places: Tensor = tf.zeros(updates!.shape, 'int32')
    for (let along = shape.length - 1; along >= 0; along--) {
      const own = updates!.shape[along]!
      const at =
        along === axis
          ? tf.cast(indices!, 'int32')
          : tf.reshape(
              tf.range(0, own, 1, 'int32'),
              shape.map((_, other) => (other === along ? own : 1)),
            )
      places = tf.add(places, tf.mul(at, tf.scalar(step, 'int32')))
      step *= shape[along]!
    }
    return tf.add(data!, scattered(tf, places, updates!, shape))
  },
  QuantizeLinear: ({ tf, node, inputs: [x, scale, zero], types: [made] }) => {
    const along = (vector: Tensor) => onAxis(tf, vector, x!.rank, attributesOf(node).int('axis', 1))
    const [least, most] = made!.dtype === 'int8' ? [-128, 127] : [0, 255]
    const steps = tf.add(tf.round(tf.div(x!, along(scale!))), tf.cast(along(zero!), 'float32'))
    return tf.cast(tf.clipByValue(steps, least, most), 'int32')
  },
  DequantizeLinear: ({ tf, node, inputs: [x, scale, zero] }) => {
    const along = (vector: Tensor) => onAxis(tf, vector, x!.rank, attributesOf(node).int('axis', 1))
    const steps = tf.sub(tf.cast(x!, 'float32'), tf.cast(along(zero!), 'float32'))
    return tf.mul(steps, along(scale!))
  },
}

/** For the tap that was largest: where in the flat input it lies. */
function placesOf(
  tf: Tf,
  shape: readonly number[],
  largest: Tensor,
  {
    strides,
    dilations,
    padsBegin,
  }: {
    readonly strides: readonly number[]
    readonly dilations: readonly number[]
    readonly padsBegin: readonly number[]
  },
  kernel: readonly number[],
): Tensor {
  const positions = largest.shape
  const integers = (values: readonly number[], axis: number) =>
    tf.reshape(
      tf.tensor1d([...values], 'int32'),
      positions.map((_, other) => (other === axis ? values.length : 1)),
    )
  const count = (size: number) => Array.from({ length: size }, (_, at) => at)
  const taps = tapsOf(kernel)
  let places: Tensor = tf.zeros([...positions], 'int32')
  let step = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const i = axis - 2
    const own =
      i < 0
        ? integers(count(positions[axis]!), axis)
        : tf.add(
            integers(
              count(positions[axis]!).map((at) => at * strides[i]! - padsBegin[i]!),
              axis,
            ),
            tf.gather(
              tf.tensor1d(
                taps.map((tap) => tap[i]! * dilations[i]!),
                'int32',
              ),
              tf.cast(largest, 'int32'),
            ),
          )
    places = tf.add(places, tf.mul(own, tf.scalar(step, 'int32')))
    step *= shape[axis]!
  }
  return places
}

/** Values added up at their places in a flat tensor of zeros. */
function scattered(tf: Tf, places: Tensor, values: Tensor, shape: readonly number[]): Tensor {
  const total = shape.reduce((product, size) => product * size, 1)
  const flat = tf.scatterND(tf.reshape(tf.cast(places, 'int32'), [-1, 1]), tf.reshape(values, [-1]), [total])
  return tf.reshape(flat, [...shape])
}

/** Of a slice along one axis, as ONNX clamps it. */
function indicesOf(size: number, start: number, end: number, step: number): number[] {
  const clamp = (at: number) => {
    const own = at < 0 ? at + size : at
    return step > 0 ? Math.min(size, Math.max(0, own)) : Math.min(size - 1, Math.max(-1, own))
  }
  const all: number[] = []
  const last = clamp(end)
  for (let at = clamp(start); step > 0 ? at < last : at > last; at += step) all.push(at)
  return all
}

function normalized(tf: Tf, x: Tensor, axes: number[], epsilon: number): Tensor {
  const { mean, variance } = tf.moments(x, axes, true)
  return tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, epsilon)))
}

function channelwise(tf: Tf, vector: Tensor, rank: number): Tensor {
  return onAxis(tf, vector, rank, 1)
}

function onAxis(tf: Tf, vector: Tensor, rank: number, axis: number): Tensor {
  if (vector.size === 1) return tf.reshape(vector, [])
  return tf.reshape(
    vector,
    Array.from({ length: rank }, (_, at) => (at === axis ? vector.size : 1)),
  )
}

function spatialAxes({ rank }: Tensor): number[] {
  return Array.from({ length: rank - 2 }, (_, i) => i + 2)
}

function attributesOf({ op, name }: Node): Attributes {
  const { payload } = op as OpOf<'Opaque'>
  return new Attributes(decodeNode(payload, name), name)
}

/** TensorFlow.js has one kind of integer, of 32 bits. */
export function dtypeOf({ dtype }: Pick<TensorType, 'dtype'>): 'float32' | 'int32' | 'bool' {
  return dtype === 'float32' || dtype === 'bool' ? dtype : 'int32'
}
