import type { Op, OpKind, OpOf } from '../../src/graph/ops.ts'
import type { Constant, Graph, Node, TensorType } from '../../src/graph/types.ts'

/** A tensor that an operator reads or makes. */
export interface Operand {
  readonly name: string
  readonly type: TensorType
  readonly constant: Constant | null
}

/**
 * An operator of a `.tflite` file as the Edge TPU compiler sees it: one per operator of the file, whatever number of
 * nodes it was read as. For a network of another format, one per node, named as LiteRT would name it.
 */
export interface Operator {
  readonly index: number
  /** `CONV_2D`; a custom operator's own name. */
  readonly type: string
  /** As the file's own format names it. */
  readonly sourceOp: string
  readonly name: string
  readonly custom: boolean
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
  readonly nodes: readonly Node[]
}

export interface ViewOptions {
  /** True: a float network is seen as LiteRT's int8 file of it would be. */
  readonly assumeInt8: boolean
  /** Nodes of a float network that would still compute on reals. */
  readonly realNodes?: ReadonlySet<Node>
  /** Clips of a float network that the operator before them would carry as its activation. */
  readonly fusedInto?: ReadonlyMap<Node, Node>
}

/**
 * The operators of a channels-last graph, in the order that the file has them. Of a network that is quantized in a
 * `.tflite` file, exactly the file's; else one for each node.
 */
export function operatorsOf(graph: Graph, options: ViewOptions): Operator[] {
  const readers = readersOf(graph)
  if (isQuantized(graph) && isTflite(graph))
    // an Identity without a source stands for an output that is an input
    return groupBySource(graph.nodes.filter((node) => node.source))
      .map((nodes) => operatorOf(nodes, 0, graph, readers, true))
      .sort((a, b) => a.index - b.index)
  const view = options.assumeInt8 && !isQuantized(graph) ? int8View(graph) : graph
  return groupFused(graph.nodes, options.fusedInto ?? new Map()).map((nodes, position) =>
    operatorOf(nodes, position, options.realNodes?.has(nodes[0]!) ? graph : view, readers, false),
  )
}

/** One operator for each group of nodes, in the order of their first ones. */
export function groupedOperators(graph: Graph, keyOf: (node: Node) => string): Operator[] {
  const groups = new Map<string, Node[]>()
  for (const node of graph.nodes) {
    const key = keyOf(node)
    const group = groups.get(key)
    if (group) group.push(node)
    else groups.set(key, [node])
  }
  const readers = readersOf(graph)
  return [...groups.values()].map((nodes, position) => operatorOf(nodes, position, graph, readers, false))
}

/** One node as an operator of its own: what a constraint checks. */
export function operatorOfNode(node: Node, graph: Graph, options: ViewOptions): Operator {
  const whole = isQuantized(graph) && isTflite(graph) && node.source
  const nodes = whole ? graph.nodes.filter((other) => other.source?.index === node.source!.index) : [node]
  const view = options.assumeInt8 && !isQuantized(graph) ? int8View(graph) : graph
  return operatorOf(nodes, 0, view, readersOf(graph), Boolean(whole))
}

/** True where a file says of any tensor how its integers map to reals. */
export function isQuantized(graph: Graph): boolean {
  for (const { type } of graph.values.values()) if (type.quantization) return true
  return false
}

/** True where the nodes were read from operators of a `.tflite` file. */
export function isTflite(graph: Graph): boolean {
  const sourced = graph.nodes.filter((node) => node.source)
  if (sourced.length === 0) return false
  return sourced.every(({ op, source }) =>
    op.kind === 'Opaque' ? op.format === 'tflite' : /^[A-Z0-9_]+$/.test(source!.opType),
  )
}

/** The node of a kind among those that an operator was read as. */
export function nodeOf<K extends OpKind>(
  operator: Operator,
  kind: K,
): (Node & { readonly op: OpOf<K> }) | null {
  const found = operator.nodes.find((node) => node.op.kind === kind)
  return (found as (Node & { readonly op: OpOf<K> }) | undefined) ?? null
}

/** Operands that are computed, not constants of the file. */
export function activationsOf(operator: Operator): Operand[] {
  return [...operator.inputs.filter((operand) => !operand.constant), ...operator.outputs]
}

function groupBySource(nodes: readonly Node[]): Node[][] {
  const groups = new Map<number, Node[]>()
  for (const node of nodes) {
    const key = node.source!.index
    const group = groups.get(key)
    if (group) group.push(node)
    else groups.set(key, [node])
  }
  return [...groups.values()]
}

function groupFused(nodes: readonly Node[], fusedInto: ReadonlyMap<Node, Node>): Node[][] {
  const groups = new Map<Node, Node[]>()
  for (const node of nodes) {
    const group = groups.get(fusedInto.get(node) ?? node)
    if (group) group.push(node)
    else groups.set(node, [node])
  }
  return [...groups.values()]
}

function operatorOf(
  nodes: readonly Node[],
  position: number,
  graph: Graph,
  readers: ReadonlyMap<string, Node[]>,
  asFile: boolean,
): Operator {
  const first = nodes[0]!
  const inside = new Set(nodes)
  const made = new Set(nodes.flatMap((node) => node.outputs))
  const read = new Set(
    nodes.flatMap((node) => node.inputs.filter((name): name is string => name !== null && !made.has(name))),
  )
  const last = nodes.at(-1)!
  const leaves = (name: string) =>
    last.outputs.includes(name) ||
    graph.outputs.includes(name) ||
    (readers.get(name) ?? []).some((node) => !inside.has(node))
  const operand = (name: string): Operand => ({
    name,
    type: graph.values.get(name)!.type,
    constant: graph.values.get(name)!.constant,
  })
  const tflite = asFile && first.source !== null
  return {
    index: first.source?.index ?? position,
    type: tflite ? first.source!.opType : tfliteName(first, graph),
    sourceOp: first.source?.opType ?? tfliteName(first, graph),
    name: first.source?.name || first.name,
    custom: first.op.kind === 'Opaque' && !/^[A-Z0-9_]+$/.test(first.op.opType),
    inputs: [...read].map(operand),
    outputs: [...made].filter(leaves).map(operand),
    nodes,
  }
}

function readersOf(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes)
    for (const name of node.inputs) {
      if (name === null) continue
      const list = readers.get(name)
      if (list) list.push(node)
      else readers.set(name, [node])
    }
  return readers
}

/** The same graph with reals as the int8 that LiteRT's full-integer quantization makes of them. */
function int8View(graph: Graph): Graph {
  const values = new Map(graph.values)
  for (const [name, value] of values)
    if (value.type.dtype === 'float32') values.set(name, { ...value, type: { ...value.type, dtype: 'int8' } })
  return { ...graph, values }
}

/** What LiteRT calls the operator that a node becomes. */
export function tfliteName(node: Node, graph: Graph): string {
  const { op } = node
  switch (op.kind) {
    case 'Opaque':
      return op.opType
    case 'Conv':
      return isDepthwise(node, op, graph) ? 'DEPTHWISE_CONV_2D' : 'CONV_2D'
    case 'MatMul':
      return constantOperand(node, graph, 1)?.shape.length === 2 ? 'FULLY_CONNECTED' : 'BATCH_MATMUL'
    case 'Clip':
      return clipName(op)
    case 'Unary':
      return unaryNames[op.fn] ?? snake(op.fn)
    case 'Binary':
      return binaryNames[op.fn] ?? op.fn.toUpperCase()
    case 'Comparison':
      return snake(op.fn)
    case 'Reduce':
      return reduceNames[op.fn] ?? `REDUCE_${op.fn.toUpperCase()}`
    case 'Resize':
      return op.mode === 'nearest'
        ? 'RESIZE_NEAREST_NEIGHBOR'
        : op.mode === 'linear'
          ? 'RESIZE_BILINEAR'
          : 'RESIZE_CUBIC'
    case 'Slice':
      return op.steps.every((step) => step === 1) ? 'SLICE' : 'STRIDED_SLICE'
    case 'Split':
      return new Set(op.sizes).size === 1 ? 'SPLIT' : 'SPLIT_V'
    case 'Pad':
      return op.mode === 'constant' ? (op.value === 0 ? 'PAD' : 'PADV2') : 'MIRROR_PAD'
    case 'Convert':
      return convertName(node, graph)
    default:
      return kindNames[op.kind] ?? snake(op.kind)
  }
}

const kindNames: Partial<Record<OpKind, string>> = {
  ConvTranspose: 'TRANSPOSE_CONV',
  Gemm: 'FULLY_CONNECTED',
  Relu: 'RELU',
  PRelu: 'PRELU',
  Sigmoid: 'LOGISTIC',
  MaxPool: 'MAX_POOL_2D',
  AveragePool: 'AVERAGE_POOL_2D',
  GlobalAveragePool: 'MEAN',
  GlobalMaxPool: 'REDUCE_MAX',
  Concat: 'CONCATENATION',
  Expand: 'BROADCAST_TO',
  Where: 'SELECT_V2',
  Identity: 'RESHAPE',
  ArgMax: 'ARG_MAX',
  ArgMin: 'ARG_MIN',
}
const unaryNames: Readonly<Record<string, string>> = { Not: 'LOGICAL_NOT' }
const binaryNames: Readonly<Record<string, string>> = { Min: 'MINIMUM', Max: 'MAXIMUM' }
const reduceNames: Readonly<Record<string, string>> = { Mean: 'MEAN', Sum: 'SUM' }

function clipName({ min, max }: OpOf<'Clip'>): string {
  if (min === 0 && max === 6) return 'RELU6'
  if (min === -1 && max === 1) return 'RELU_N1_TO_1'
  if (min === 0 && max === 1) return 'RELU_0_TO_1'
  if (min === 0 && max === Number.POSITIVE_INFINITY) return 'RELU'
  return max === Number.POSITIVE_INFINITY ? 'MAXIMUM' : 'MINIMUM'
}

function convertName(node: Node, graph: Graph): string {
  const out = graph.values.get(node.outputs[0]!)!.type.dtype
  return out.startsWith('float') ? 'DEQUANTIZE' : 'QUANTIZE'
}

function isDepthwise(node: Node, op: OpOf<'Conv'>, graph: Graph): boolean {
  if (op.group === 1) return false
  const { shape } = graph.values.get(node.inputs[0]!)!.type
  return op.group === (op.layout === 'channels-first' ? shape[1] : shape.at(-1))
}

function constantOperand(node: Node, graph: Graph, index: number): Constant | null {
  const name = node.inputs[index]
  return name ? (graph.values.get(name)?.constant ?? null) : null
}

/** `LeakyRelu` → `LEAKY_RELU`. */
function snake(name: Op['kind'] | string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()
}
