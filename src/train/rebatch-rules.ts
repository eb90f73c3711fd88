import { sliceExtent } from '../graph/infer.ts'
import type { Op, OpKind, OpOf } from '../graph/ops.ts'
import { elementCount } from '../tensor.ts'

/**
 * Where a value carries the batch: an axis of `batch · inner` elements, the samples outermost. `inner` is 1 unless a
 * Reshape joined the batch with axes behind it.
 */
export interface BatchAxis {
  readonly axis: number
  readonly inner: number
}

/** An operand that stands for one sample and has to be repeated along an axis. */
export interface Repeat {
  readonly input: number
  readonly axis: number
}

/** What a rule is given: everything as it is at the batch before. */
export interface Follow<O extends Op = Op> {
  readonly op: O
  readonly inputs: readonly (BatchAxis | null)[]
  readonly shapes: readonly (readonly number[] | null)[]
  readonly outputShapes: readonly (readonly number[])[]
  readonly from: number
  readonly to: number
}

/** Where the batch went; `op` where its attributes state the size of the batch. */
export interface Followed {
  readonly outputs: readonly (BatchAxis | null)[]
  readonly op?: Op
  readonly repeat?: readonly Repeat[]
}

/** Follows the batch through an operator that takes it by at least one operand, or says why that cannot be. */
export function followBatch(follow: Follow): Followed | string {
  const rule = rules[follow.op.kind] as Rule<OpKind>
  return rule(follow as Follow<never>)
}

type Rule<K extends OpKind> = (follow: Follow<OpOf<K>>) => Followed | string

const rules: { readonly [K in OpKind]: Rule<K> } = {
  Conv: firstAxis,
  ConvTranspose: firstAxis,
  MaxPool: firstAxis,
  AveragePool: firstAxis,
  GlobalAveragePool: firstAxis,
  GlobalMaxPool: firstAxis,
  DepthToSpace: firstAxis,
  SpaceToDepth: firstAxis,
  InstanceNormalization: firstAxis,
  BatchNormalization: firstAxis,
  Gemm: followGemm,
  MatMul: followMatMul,
  LayerNormalization: (follow) => {
    const [x, ...parameters] = follow.inputs
    if (!x || parameters.some((parameter) => parameter !== null)) return 'its scale depends on the sample'
    return x.axis >= follow.op.axis ? 'it normalizes over the samples' : broadcast(follow)
  },
  Relu: broadcast,
  LeakyRelu: broadcast,
  PRelu: broadcast,
  Clip: broadcast,
  Sigmoid: broadcast,
  HardSigmoid: broadcast,
  HardSwish: broadcast,
  Tanh: broadcast,
  Elu: broadcast,
  Gelu: broadcast,
  Unary: broadcast,
  Binary: broadcast,
  Comparison: broadcast,
  Where: broadcast,
  Cast: broadcast,
  Identity: broadcast,
  Convert: broadcast,
  Softmax: beside,
  LogSoftmax: beside,
  Split: beside,
  Concat: followConcat,
  Slice: followSlice,
  Gather: followGather,
  Reshape: followReshape,
  Transpose: ({ op, inputs }) => {
    const { axis, inner } = inputs[0]!
    return { outputs: [{ axis: op.perm.indexOf(axis), inner }] }
  },
  Expand: (follow) => {
    const { op, from, to } = follow
    const followed = broadcast(follow)
    if (typeof followed === 'string') return followed
    const { axis } = followed.outputs[0]!
    const shape = op.shape.with(axis, (op.shape[axis]! / from) * to)
    return { ...followed, op: { ...op, shape } }
  },
  Tile: ({ op, inputs }) =>
    op.repeats[inputs[0]!.axis] === 1 ? { outputs: [inputs[0]!] } : 'it repeats the samples',
  Pad: ({ op, inputs }) => {
    const { axis } = inputs[0]!
    return op.padsBegin[axis] === 0 && op.padsEnd[axis] === 0
      ? { outputs: [inputs[0]!] }
      : 'it pads the axis of the samples'
  },
  Resize: ({ op, inputs, shapes, from, to }) => {
    const { axis } = inputs[0]!
    const size = shapes[0]![axis]!
    if (op.sizes[axis] !== size) return 'it resizes the axis of the samples'
    return { outputs: [inputs[0]!], op: { ...op, sizes: op.sizes.with(axis, (size / from) * to) } }
  },
  Reduce: ({ op, inputs }) => reduced(inputs[0]!, op.axes, op.keepDims),
  ArgMax: ({ op, inputs }) => reduced(inputs[0]!, [op.axis], op.keepDims),
  ArgMin: ({ op, inputs }) => reduced(inputs[0]!, [op.axis], op.keepDims),
  Opaque: () => 'it is not known what it does with them',
}

/** Operators that take sample by sample along axis 0, their other operands the same for all. */
function firstAxis({ inputs, outputShapes }: Follow): Followed | string {
  const [x, ...parameters] = inputs
  if (parameters.some((parameter) => parameter !== null)) return 'its weights depend on the sample'
  return x!.axis === 0 ? { outputs: outputShapes.map(() => x!) } : 'the samples are not its first axis'
}

/** Softmax, Split: along an axis that must be another. */
function beside({ op, inputs, outputShapes }: Follow<Op & { axis: number }>): Followed | string {
  const { axis } = inputs[0]!
  return op.axis === axis
    ? 'it works along the axis of the samples'
    : { outputs: outputShapes.map(() => inputs[0]!) }
}

/** numpy broadcasting: every operand that carries the batch must do so along one axis of the result. */
function broadcast(follow: Follow): Followed | string {
  const [shape] = follow.outputShapes
  const met = meet(follow, shape!.length, () => true)
  if (typeof met === 'string') return met
  const { axis, inner } = met.outputs[0]!
  return shape![axis] === follow.from * inner ? met : 'it repeats the samples'
}

/** Operands seen from the right, as broadcasting does; `counts` says which operands take part. */
function meet(
  { inputs, shapes, from }: Follow,
  rank: number,
  counts: (input: number) => boolean,
): Followed | string {
  let found: BatchAxis | null = null
  for (const [input, at] of inputs.entries()) {
    if (!at || !counts(input)) continue
    const axis = at.axis + rank - shapes[input]!.length
    if (found && (found.axis !== axis || found.inner !== at.inner))
      return 'its operands have the samples along different axes'
    found = { axis, inner: at.inner }
  }
  if (!found) return 'none of its operands has samples'
  const repeat: Repeat[] = []
  for (const [input, at] of inputs.entries()) {
    const shape = shapes[input]
    if (at || !shape || !counts(input)) continue
    const axis = found.axis - (rank - shape.length)
    if (axis < 0 || shape[axis] === 1) continue
    // with a batch of 1 it has the rows of any sample; with more, nobody knows whose they are
    if (from !== 1) return 'a constant operand has values for each sample'
    if (shape[axis] !== found.inner) return 'it repeats the samples'
    repeat.push({ input, axis })
  }
  return { outputs: [found], repeat }
}

function followGemm({ op, inputs, shapes, from }: Follow<OpOf<'Gemm'>>): Followed | string {
  const [a, b, c] = inputs as [BatchAxis | null, BatchAxis | null, BatchAxis | null | undefined]
  if (b || !a) return 'its weights depend on the sample'
  if (a.axis !== (op.transA ? 1 : 0)) return 'it sums over the samples'
  const found = { axis: 0, inner: a.inner }
  const shape = shapes[2]
  if (c && (c.axis !== 0 || c.inner !== a.inner || shape!.length !== 2))
    return 'its operands have the samples along different axes'
  if (c || !shape || shape.length < 2 || shape[0] === 1) return { outputs: [found] }
  return from === 1
    ? { outputs: [found], repeat: [{ input: 2, axis: 0 }] }
    : 'a constant operand has values for each sample'
}

function followMatMul(follow: Follow<OpOf<'MatMul'>>): Followed | string {
  const { inputs, shapes, outputShapes } = follow
  const [a, b] = inputs
  const [left, right] = [shapes[0]!.length, shapes[1]!.length]
  if (a?.axis === left - 1 || (b && b.axis === Math.max(right - 2, 0))) return 'it sums over the samples'
  const [rows, columns] = [a?.axis === left - 2, b?.axis === right - 1]
  const rank = outputShapes[0]!.length
  if (rows || columns) {
    if (a && b) return 'both operands have samples and it takes each with each'
    const at = (a ?? b)!
    return { outputs: [{ axis: rows && right > 1 ? rank - 2 : rank - 1, inner: at.inner }] }
  }
  // the axes before the matrices broadcast; a vector has none
  return meet(follow, Math.max(left, right), (input) => shapes[input]!.length > 2)
}

function followConcat(follow: Follow<OpOf<'Concat'>>): Followed | string {
  const { op, inputs, shapes, from } = follow
  const found = inputs.find((at) => at !== null)!
  if (op.axis === found.axis) return 'it joins along the axis of the samples'
  if (inputs.some((at) => at && (at.axis !== found.axis || at.inner !== found.inner)))
    return 'its operands have the samples along different axes'
  const repeat = inputs.flatMap((at, input) => (at ? [] : [{ input, axis: found.axis }]))
  if (repeat.length > 0 && from !== 1 && shapes.length > 0)
    return 'a constant operand has values for each sample'
  return { outputs: [found], repeat }
}

function followSlice({ op, inputs, shapes, from, to }: Follow<OpOf<'Slice'>>): Followed | string {
  const at = inputs[0]!
  const k = op.axes.indexOf(at.axis)
  if (k < 0) return { outputs: [at] }
  const size = shapes[0]![at.axis]!
  const all = (length: number, end: number) => {
    const { start, count } = sliceExtent(length, op.starts[k]!, end, op.steps[k]!)
    return op.steps[k] === 1 && start === 0 && count === length
  }
  if (!all(size, op.ends[k]!)) return 'it takes some of the samples'
  const grown = (size / from) * to
  const end = op.ends[k]! === size || !all(grown, op.ends[k]!) ? grown : op.ends[k]!
  return { outputs: [at], op: { ...op, ends: op.ends.with(k, end) } }
}

function followGather({ op, inputs, shapes }: Follow<OpOf<'Gather'>>): Followed | string {
  const [x, indices] = inputs
  if (x && indices) return 'both operands have samples and it takes each with each'
  if (indices) return { outputs: [{ axis: op.axis + indices.axis, inner: indices.inner }] }
  if (x!.axis === op.axis) return 'it takes some of the samples'
  const axis = x!.axis < op.axis ? x!.axis : x!.axis - 1 + shapes[1]!.length
  return { outputs: [{ axis, inner: x!.inner }] }
}

/**
 * A Reshape keeps the order of elements: a step from sample to sample stays as many elements long, which says on which
 * axis of the result it is, and with what behind it.
 */
function followReshape({ op, inputs, shapes, from, to }: Follow<OpOf<'Reshape'>>): Followed | string {
  const { axis, inner } = inputs[0]!
  const x = shapes[0]!
  const step = inner * elementCount(x.slice(axis + 1))
  const { shape } = op
  const behind = (at: number) => elementCount(shape.slice(at + 1))
  const alone = shape.flatMap((size, at) => (size === from && behind(at) === step ? [at] : []))
  const found = alone.includes(axis) && inner === 1 ? axis : alone[0]
  const grown = (at: number) => ({ ...op, shape: shape.with(at, (shape[at]! / from) * to) })
  if (found !== undefined) return { outputs: [{ axis: found, inner: 1 }], op: grown(found) }
  const joined = shape.findIndex(
    (size, at) => behind(at) > 0 && step % behind(at) === 0 && size * behind(at) === step * from,
  )
  if (joined < 0) return 'it joins the samples with axes before them, or cuts across them'
  return { outputs: [{ axis: joined, inner: step / behind(joined) }], op: grown(joined) }
}

function reduced(at: BatchAxis, axes: readonly number[], keepDims: boolean): Followed | string {
  if (axes.includes(at.axis)) return 'it reduces over the samples'
  const gone = keepDims ? 0 : axes.filter((axis) => axis < at.axis).length
  return { outputs: [{ axis: at.axis - gone, inner: at.inner }] }
}
