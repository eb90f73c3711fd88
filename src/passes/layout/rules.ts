import type { Op, OpKind, OpOf } from '../../graph/ops.ts'
import type { Node } from '../../graph/types.ts'
import { elementCount } from '../../tensor.ts'
import type { LayoutConverter } from './converter.ts'
import { absorbedOrder, followOrder } from './flatten.ts'
import { convertReshape } from './reshape-rule.ts'
import {
  compose,
  identity,
  invert,
  isIdentity,
  type Permutation,
  permute,
  sameElementOrder,
  samePermutation,
  towards,
  withoutAxes,
} from './permutation.ts'

/** What a rule knows besides the new graph. */
export interface RuleContext {
  readonly converter: LayoutConverter
  readonly wanted: ReadonlyMap<string, Permutation>
}

type Rule<K extends OpKind> = (context: RuleContext, node: Node, op: OpOf<K>) => void

/** Brings one operator of the source graph into the new one. */
export function convertNode(context: RuleContext, node: Node): void {
  if (followOrder(context, node)) return
  const rule = rules[node.op.kind] as Rule<OpKind>
  rule(context, node, node.op)
}

const rules: { readonly [K in OpKind]: Rule<K> } = {
  Conv: spatial,
  ConvTranspose: spatial,
  MaxPool: spatial,
  AveragePool: spatial,
  GlobalAveragePool: spatial,
  GlobalMaxPool: spatial,
  DepthToSpace: spatial,
  SpaceToDepth: spatial,
  BatchNormalization: spatial,
  Resize: spatial,
  InstanceNormalization: inOwnOrder,
  Relu: elementwise,
  LeakyRelu: elementwise,
  PRelu: elementwise,
  Clip: elementwise,
  Sigmoid: elementwise,
  HardSigmoid: elementwise,
  HardSwish: elementwise,
  Tanh: elementwise,
  Elu: elementwise,
  Gelu: elementwise,
  Unary: elementwise,
  Binary: elementwise,
  Comparison: elementwise,
  Where: elementwise,
  Cast: elementwise,
  Identity: elementwise,
  Convert: elementwise,
  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  Concat: alongAxis,
  Split: alongAxis,
  ArgMax: reduceAxis,
  ArgMin: reduceAxis,
  Reduce: convertReduce,
  Slice: (context, node, op) => {
    const { perm, inverse } = operandOrder(context, node)
    remapped(context, node, { ...op, axes: op.axes.map((axis) => inverse[axis]!) }, perm)
  },
  Pad: (context, node, op) => {
    const { perm } = operandOrder(context, node)
    const padsBegin = permute(op.padsBegin, perm)
    remapped(context, node, { ...op, padsBegin, padsEnd: permute(op.padsEnd, perm) }, perm)
  },
  Tile: (context, node, op) => {
    const { perm } = operandOrder(context, node)
    remapped(context, node, { ...op, repeats: permute(op.repeats, perm) }, perm)
  },
  Expand: convertExpand,
  Gather: convertGather,
  Transpose: convertTranspose,
  Reshape: (context, node, op) => convertReshape(context, node, op, absorbedOrder),
  MatMul: convertMatMul,
  Gemm: inOwnOrder,
  LayerNormalization: convertLayerNormalization,
  Opaque: (context, node, op) => {
    // a subgraph finds what it captures under its name
    for (const name of op.captures) publishCaptured(context, name)
    inOwnOrder(context, node, op)
  },
}

function spatial({ converter }: RuleContext, node: Node, op: Op & { layout: unknown }): void {
  const [x, ...parameters] = node.inputs as [string, ...(string | null)[]]
  const { to } = converter
  const perm = op.layout === to ? identity(converter.shape(x).length) : towards(to, converter.shape(x).length)
  const inputs = [converter.get(x, perm), ...plain(converter, parameters)]
  const moved = { ...op, layout: to } as Op
  converter.emit(node, moved.kind === 'Resize' ? permuteResize(moved, perm) : moved, inputs, [perm])
}

function permuteResize(op: OpOf<'Resize'>, perm: Permutation): OpOf<'Resize'> {
  const rank = perm.length
  return {
    ...op,
    sizes: permute(op.sizes, perm),
    scales: op.scales && permute(op.scales, perm),
    roi: op.roi && [...permute(op.roi.slice(0, rank), perm), ...permute(op.roi.slice(rank), perm)],
  }
}

/** For operators that are tied to the order of their axes. */
function inOwnOrder({ converter }: RuleContext, node: Node, op: Op): void {
  const perms = node.outputs.map((name) => identity(converter.shape(name).length))
  converter.emit(node, op, plain(converter, node.inputs), perms)
}

function elementwise(context: RuleContext, node: Node, op: Op): void {
  const { converter } = context
  const output = node.outputs[0]!
  const perm = commonOrder(context, node, converter.shape(output).length)
  const inputs = node.inputs.map((name) => (name === null ? null : converter.broadcastTo(name, perm)))
  converter.emit(node, op, inputs, [perm])
}

/** Softmax, Concat and Split: everything in one order, the axis follows. */
function alongAxis(context: RuleContext, node: Node, op: Op & { axis: number }): void {
  const { converter } = context
  const perm = commonOrder(context, node, converter.shape(node.inputs[0]!).length)
  const inputs = node.inputs.map((name) => converter.get(name!, perm))
  const moved = { ...op, axis: perm.indexOf(op.axis) } as Op
  converter.emit(
    node,
    moved,
    inputs,
    node.outputs.map(() => perm),
  )
}

function reduceAxis(context: RuleContext, node: Node, op: OpOf<'ArgMax'> | OpOf<'ArgMin'>): void {
  const { perm, inverse } = operandOrder(context, node)
  const result = op.keepDims ? perm : withoutAxes(perm, [op.axis])
  remapped(context, node, { ...op, axis: inverse[op.axis]! }, perm, result)
}

function convertReduce(context: RuleContext, node: Node, op: OpOf<'Reduce'>): void {
  const { perm, inverse } = operandOrder(context, node)
  const axes = op.axes.map((axis) => inverse[axis]!).toSorted((a, b) => a - b)
  remapped(context, node, { ...op, axes }, perm, op.keepDims ? perm : withoutAxes(perm, op.axes))
}

function convertExpand(context: RuleContext, node: Node, op: OpOf<'Expand'>): void {
  const perm = commonOrder(context, node, op.shape.length)
  const inputs = [context.converter.broadcastTo(node.inputs[0]!, perm)]
  context.converter.emit(node, { ...op, shape: permute(op.shape, perm) }, inputs, [perm])
}

function convertGather(context: RuleContext, node: Node, op: OpOf<'Gather'>): void {
  const { converter } = context
  const [, indices] = node.inputs as [string, string]
  const rank = converter.shape(indices).length
  if (rank > 1) {
    inOwnOrder(context, node, op)
    return
  }
  const { perm, inverse } = operandOrder(context, node)
  const inputs = [converter.get(node.inputs[0]!, perm), converter.get(indices)]
  const result = rank === 1 ? perm : withoutAxes(perm, [op.axis])
  converter.emit(node, { ...op, axis: inverse[op.axis]! }, inputs, [result])
}

/** A Transpose is a way of looking at what is there; readers get it in the order that they need. */
function convertTranspose({ converter }: RuleContext, node: Node, op: OpOf<'Transpose'>): void {
  const [x] = node.inputs as [string]
  const stored = converter.at(x)
  if (!stored || converter.isCaptured(node.outputs[0]!)) {
    converter.emit(node, op, [converter.get(x)], [identity(op.perm.length)])
    return
  }
  converter.alias(node.outputs[0]!, { ...stored, perm: compose(invert(op.perm), stored.perm) })
}

/** Axes that a matrix product only runs over may stand in any order where the other operand does not know them. */
function convertMatMul(context: RuleContext, node: Node, op: OpOf<'MatMul'>): void {
  const { converter } = context
  const [a, b] = node.inputs as [string, string]
  const perm = converter.perm(a)
  const free =
    converter.shape(b).length === 2 && converter.shape(a).length > 2 && perm.at(-1) === perm.length - 1
  if (!free) {
    inOwnOrder(context, node, op)
    return
  }
  converter.emit(node, op, [converter.get(a, perm), converter.get(b)], [perm])
}

function convertLayerNormalization(context: RuleContext, node: Node, op: OpOf<'LayerNormalization'>): void {
  const { converter } = context
  const [x, ...parameters] = node.inputs as [string, ...(string | null)[]]
  const perm = converter.perm(x)
  const fixed = perm.every((axis, i) => i < op.axis || axis === i)
  const within = parameters.every(
    (name) => name === null || converter.shape(name).length <= perm.length - op.axis,
  )
  if (!fixed || !within) {
    inOwnOrder(context, node, op)
    return
  }
  converter.emit(node, op, [converter.get(x, perm), ...plain(converter, parameters)], [perm])
}

function publishCaptured({ converter }: RuleContext, name: string): void {
  if (converter.constant(name)) converter.get(name)
  else if (converter.at(name)) converter.publish(name)
}

function plain(converter: LayoutConverter, names: readonly (string | null)[]): (string | null)[] {
  return names.map((name) => (name === null ? null : converter.get(name)))
}

function operandOrder({ converter }: RuleContext, node: Node): { perm: Permutation; inverse: Permutation } {
  const perm = converter.perm(node.inputs[0]!)
  return { perm, inverse: invert(perm) }
}

function remapped(
  { converter }: RuleContext,
  node: Node,
  op: Op,
  perm: Permutation,
  result: Permutation = perm,
): void {
  converter.emit(node, op, [converter.get(node.inputs[0]!, perm)], [result])
}

/** The order of axes in which an operator's operands meet with the least to move. */
function commonOrder({ converter, wanted }: RuleContext, node: Node, rank: number): Permutation {
  const operands = node.inputs.filter(
    (name): name is string =>
      name !== null && converter.at(name) !== null && converter.shape(name).length === rank,
  )
  const candidates: Permutation[] = []
  for (const name of operands)
    if (!candidates.some((perm) => samePermutation(perm, converter.perm(name))))
      candidates.push(converter.perm(name))
  if (candidates.length <= 1) return candidates[0] ?? identity(rank)
  const preferred = wanted.get(node.outputs[0]!)
  const cost = (perm: Permutation) =>
    operands.reduce((sum, name) => sum + costToMove(converter, name, perm), 0) +
    // of two that cost the same, what the readers want, then what is not in the source's order
    (preferred && samePermutation(perm, preferred) ? 0 : isIdentity(perm) ? 0.5 : 0.25)
  return candidates.reduce((best, perm) => (cost(perm) < cost(best) ? perm : best))
}

function costToMove(converter: LayoutConverter, name: string, perm: Permutation): number {
  const stored = converter.perm(name)
  if (samePermutation(stored, perm)) return 0
  const shape = converter.shape(name)
  return sameElementOrder(shape, stored, perm) ? 1 : elementCount(shape)
}
