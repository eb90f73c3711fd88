import { readersOf, producersOf } from './graph-uses.ts'
import type { Op, OpKind, OpOf } from '../../graph/ops.ts'
import type { Graph, Node, TensorType } from '../../graph/types.ts'
import { fusedActivations, type FusedActivation } from './options.ts'

/** Several of our operators that are one in the file. The last one stands for all, the others are skipped. */
export type Fusion =
  | {
      readonly kind: 'keepDimensions'
      readonly rows: Node
      readonly product: Node
      readonly activation: Node | null
    }
  | { readonly kind: 'reciprocalRoot'; readonly root: Node }
  | { readonly kind: 'squaredDifference'; readonly difference: Node }
  | { readonly kind: 'notEqual'; readonly equal: Node }
  | { readonly kind: 'narrowIndices'; readonly arg: Node }
  | { readonly kind: 'pack'; readonly parts: readonly Node[]; readonly axis: number }
  | { readonly kind: 'unpack'; readonly outputs: readonly string[]; readonly axis: number }
  | { readonly kind: 'transposed'; readonly x: Node | null; readonly y: Node | null }

export interface Fusions {
  readonly skipped: ReadonlySet<Node>
  readonly byNode: ReadonlyMap<Node, Fusion>
  /** The activation that a node's kernel applies too, with the value that it then makes. */
  readonly activations: ReadonlyMap<Node, { readonly code: number; readonly output: string }>
}

const activatedKinds: ReadonlySet<OpKind> = new Set<OpKind>([
  'Conv',
  'Gemm',
  'AveragePool',
  'MaxPool',
  'Binary',
])
const activatedFunctions = new Set(['Add', 'Sub', 'Mul', 'Div'])

/** Finds what the file says in one operator. Inner values with another reader, and outputs, are never swallowed. */
export function findFusions(graph: Graph): Fusions {
  const uses = new Uses(graph)
  const skipped = new Set<Node>()
  const byNode = new Map<Node, Fusion>()
  const activations = new Map<Node, { code: number; output: string }>()
  const free = (...nodes: (Node | null)[]) =>
    nodes.every((node) => !node || (!skipped.has(node) && !byNode.has(node)))
  for (const node of graph.nodes) {
    if (!free(node)) continue
    const found = swallow(node, uses)
    if (found && free(...found.inner)) {
      byNode.set(node, found.fusion)
      for (const inner of found.inner) if (inner) skipped.add(inner)
    }
  }
  // what swallows more goes first
  for (const node of graph.nodes) {
    if (!free(node)) continue
    const activation = activationAfter(node, uses)
    if (activation && free(activation.node)) {
      activations.set(node, { code: activation.code, output: activation.node.outputs[0]! })
      skipped.add(activation.node)
    }
  }
  return { skipped, byNode, activations }
}

class Uses {
  readonly graph: Graph
  readonly #producers: ReadonlyMap<string, Node>
  readonly #readers: ReadonlyMap<string, readonly Node[]>

  constructor(graph: Graph) {
    this.graph = graph
    this.#producers = producersOf(graph)
    this.#readers = readersOf(graph)
  }

  type(name: string): TensorType {
    return this.graph.values.get(name)!.type
  }

  /** The node of a kind that makes a value which only `reader` reads, through any of its operands. */
  maker<K extends OpKind>(
    name: string | null | undefined,
    kind: K,
    reader: Node,
  ): (Node & { op: OpOf<K> }) | null {
    const node = name == null ? undefined : this.#producers.get(name)
    if (!node || node.op.kind !== kind || node.outputs.length !== 1) return null
    return this.onlyReader(name!) === reader ? (node as Node & { op: OpOf<K> }) : null
  }

  /** The one node that reads a value; null where there are several or it is an output. */
  onlyReader(name: string): Node | null {
    if (this.graph.outputs.includes(name)) return null
    const readers = new Set(this.#readers.get(name) ?? [])
    return readers.size === 1 ? [...readers][0]! : null
  }
}

interface Found {
  readonly fusion: Fusion
  readonly inner: readonly (Node | null)[]
}

function swallow(node: Node, uses: Uses): Found | null {
  const { op } = node
  switch (op.kind) {
    case 'Unary':
      return op.fn === 'Reciprocal'
        ? reciprocalRoot(node, uses)
        : op.fn === 'Not'
          ? notEqual(node, uses)
          : null
    case 'Binary':
      return op.fn === 'Mul' && node.inputs[0] === node.inputs[1] ? squaredDifference(node, uses) : null
    case 'Cast':
      return narrowIndices(node, uses)
    case 'Concat':
      return pack(node, op.axis, uses)
    case 'Split':
      return unpack(node, op, uses)
    case 'MatMul':
      return transposed(node, uses)
    case 'Reshape':
      return keepDimensions(node, op.shape, uses)
    default:
      return null
  }
}

function reciprocalRoot(node: Node, uses: Uses): Found | null {
  const root = uses.maker(node.inputs[0], 'Unary', node)
  return root?.op.fn === 'Sqrt' ? { fusion: { kind: 'reciprocalRoot', root }, inner: [root] } : null
}

function notEqual(node: Node, uses: Uses): Found | null {
  const equal = uses.maker(node.inputs[0], 'Comparison', node)
  return equal?.op.fn === 'Equal' ? { fusion: { kind: 'notEqual', equal }, inner: [equal] } : null
}

function squaredDifference(node: Node, uses: Uses): Found | null {
  const difference = uses.maker(node.inputs[0], 'Binary', node)
  return difference?.op.fn === 'Sub'
    ? { fusion: { kind: 'squaredDifference', difference }, inner: [difference] }
    : null
}

function narrowIndices(node: Node, uses: Uses): Found | null {
  if (uses.type(node.outputs[0]!).dtype !== 'int32') return null
  const arg = uses.maker(node.inputs[0], 'ArgMax', node) ?? uses.maker(node.inputs[0], 'ArgMin', node)
  if (!arg || arg.op.keepDims) return null
  return { fusion: { kind: 'narrowIndices', arg }, inner: [arg] }
}

function pack(node: Node, axis: number, uses: Uses): Found | null {
  const parts = node.inputs.map((name) => uses.maker(name, 'Reshape', node))
  if (parts.some((part) => !part || !inserts(uses, part.inputs[0]!, part.op.shape, axis))) return null
  if (new Set(parts).size < parts.length) return null
  const all = parts as Node[]
  return { fusion: { kind: 'pack', parts: all, axis }, inner: all }
}

function unpack(node: Node, op: OpOf<'Split'>, uses: Uses): Found | null {
  if (op.sizes.some((size) => size !== 1)) return null
  const readers = node.outputs.map((name) => uses.onlyReader(name))
  const drops = readers.every(
    (reader) =>
      reader?.op.kind === 'Reshape' &&
      inserts(uses, reader.outputs[0]!, uses.type(reader.inputs[0]!).shape, op.axis),
  )
  if (!drops) return null
  const all = readers as Node[]
  const outputs = all.map((reader) => reader.outputs[0]!)
  return { fusion: { kind: 'unpack', outputs, axis: op.axis }, inner: all }
}

/** Whether a shape is that of a value with an axis of one element put in. */
function inserts(uses: Uses, name: string, shape: readonly number[], axis: number): boolean {
  const without = uses.type(name).shape
  return (
    shape[axis] === 1 &&
    shape.toSpliced(axis, 1).join() === without.join() &&
    shape.length === without.length + 1
  )
}

function transposed(node: Node, uses: Uses): Found | null {
  const swaps = (name: string | null | undefined) => {
    const maker = uses.maker(name, 'Transpose', node)
    if (!maker || node.inputs[0] === node.inputs[1]) return null
    const rank = maker.op.perm.length
    const swapped = [...Array(rank - 2).keys(), rank - 1, rank - 2]
    return rank >= 2 && maker.op.perm.join() === swapped.join() ? maker : null
  }
  const [x, y] = [swaps(node.inputs[0]), swaps(node.inputs[1])]
  return x || y ? { fusion: { kind: 'transposed', x, y }, inner: [x, y] } : null
}

/** Rows of a tensor of any rank through the same weights: its leading dimensions come out as they went in. */
function keepDimensions(node: Node, shape: readonly number[], uses: Uses): Found | null {
  const activation = activationOf(uses, node)
  const product = uses.maker((activation ?? node).inputs[0], 'Gemm', activation ?? node)
  if (!product?.op.transB || product.op.transA || product.op.alpha !== 1) return null
  const rows = uses.maker(product.inputs[0], 'Reshape', product)
  if (!rows) return null
  const x = uses.type(rows.inputs[0]!).shape
  const width = uses.type(product.inputs[1]!).shape[1]
  const keeps =
    x.length !== 2 &&
    x.at(-1) === width &&
    x.slice(0, -1).join() === shape.slice(0, -1).join() &&
    x.length === shape.length
  if (!keeps || shape.at(-1) !== uses.type(product.outputs[0]!).shape[1]) return null
  return { fusion: { kind: 'keepDimensions', rows, product, activation }, inner: [rows, product, activation] }
}

function activationOf(uses: Uses, node: Node): Node | null {
  for (const kind of ['Relu', 'Clip'] as const) {
    const maker = uses.maker(node.inputs[0], kind, node)
    if (maker && activationCode(maker.op) !== null && sameType(uses, maker.inputs[0]!, maker.outputs[0]!))
      return maker
  }
  return null
}

function activationAfter(node: Node, uses: Uses): { node: Node; code: number } | null {
  const { op } = node
  if (!activatedKinds.has(op.kind) || (op.kind === 'Binary' && !activatedFunctions.has(op.fn))) return null
  const reader = uses.onlyReader(node.outputs[0]!)
  const code = reader && activationCode(reader.op)
  if (!reader || code === null || !sameType(uses, node.outputs[0]!, reader.outputs[0]!)) return null
  return { node: reader, code }
}

/** Kernels clamp what they have rescaled once: only where both sides have one type of reals. */
function sameType(uses: Uses, a: string, b: string): boolean {
  const [left, right] = [uses.type(a), uses.type(b)]
  const real = left.quantization !== null || left.dtype === 'float32'
  return (
    real &&
    left.dtype === right.dtype &&
    JSON.stringify(left.quantization) === JSON.stringify(right.quantization)
  )
}

/** The number of the fused activation that an operator is, or null. */
export function activationCode(op: Op): number | null {
  const name = activationName(op)
  return name && fusedActivations.indexOf(name)
}

export function activationName(op: Op): FusedActivation | null {
  if (op.kind === 'Relu' || (op.kind === 'Clip' && op.min === 0 && op.max === Infinity)) return 'RELU'
  if (op.kind !== 'Clip') return null
  if (op.min === 0 && op.max === 6) return 'RELU6'
  return op.min === -1 && op.max === 1 ? 'RELU_N1_TO_1' : null
}
