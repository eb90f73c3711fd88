import { GraphEditor } from '../graph/edit.ts'
import { macsOf } from '../graph/macs.ts'
import type { Graph, Node } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import { isStoredAlike, keepsScale, storedTypeOf, type TypedForm } from './stored-classes.ts'

/** Operators that compute on integers together: an activation with the layer that does it, moves with what they move. */
export interface PrecisionGroup {
  readonly nodes: readonly Node[]
  /** The values that they make, by which a target is told to keep them in float. */
  readonly values: readonly string[]
  readonly macs: number
  /** Elements of the kernels and matrices that they read. */
  readonly weights: number
}

/**
 * The integer operators of a typed network in topological order, in the smallest groups that it is of use to change
 * from integers to float: what a target fused stays together, and so does what must store its result as its operand is
 * stored. Operators with several operands are groups of their own, so that a concatenation in float leaves each of its
 * branches a scale of its own.
 */
export function precisionGroups(graph: Graph, typed: TypedForm): PrecisionGroup[] {
  const index = new GraphEditor(graph)
  const typedIndex = new GraphEditor(typed.graph)
  const leaders = new Map<Node, Node>()
  const groups = new Map<Node, Node[]>()
  const join = (node: Node, leader: Node) => {
    leaders.set(node, leader)
    groups.set(leader, [...(groups.get(leader) ?? []), node])
  }
  for (const node of graph.nodes) {
    const before = node.inputs[0] ? index.producer(node.inputs[0]) : null
    const leader = before && leaders.get(before)
    if (leader && (isFused(node.inputs[0]!, typed) || isMoved(node, graph, typed))) join(node, leader)
    else if (isInteger(node, index, typed, typedIndex)) join(node, node)
  }
  return [...groups.values()].map((nodes) => ({
    nodes,
    values: nodes.flatMap(({ outputs }) => outputs),
    macs: nodes.reduce((sum, node) => sum + macsOf(node, graph), 0),
    weights: nodes.reduce((sum, node) => sum + weightsOf(node, graph), 0),
  }))
}

function weightsOf(node: Node, graph: Graph): number {
  return node.inputs.reduce((sum, name) => {
    const shape = graph.values.get(name ?? '')?.constant?.shape ?? []
    return shape.length > 1 ? sum + elementCount(shape) : sum
  }, 0)
}

/** A value that the typed network does not hold: the operator that makes it does what reads it too. */
function isFused(name: string, { stored }: TypedForm): boolean {
  return !stored.has(name)
}

function isMoved({ op, inputs, outputs }: Node, graph: Graph, typed: TypedForm): boolean {
  const operands = inputs.filter((name) => name && graph.values.get(name)!.constant === null)
  return (
    keepsScale.has(op.kind) &&
    operands.length === 1 &&
    isStoredAlike(storedTypeOf(inputs[0]!, typed), storedTypeOf(outputs[0]!, typed))
  )
}

function isInteger(node: Node, index: GraphEditor, typed: TypedForm, typedIndex: GraphEditor): boolean {
  const name = node.outputs[0]!
  const held = typed.stored.get(name)
  if (held === undefined) {
    // done by the operator before or after it: then that one tells
    const [reader] = index.consumers(name)
    return reader !== undefined && isInteger(reader, index, typed, typedIndex)
  }
  const maker = typedIndex.producer(held)
  const isQuantized = (value: string | null) => value !== null && typedIndex.type(value).quantization !== null
  // of integers that a conversion made of reals, what gave the reals: it may have computed on integers too
  const isConversion = maker?.op.kind === 'Convert' && !isQuantized(maker.inputs[0]!)
  const real = isConversion ? typedIndex.producer(maker.inputs[0]!) : maker
  return real?.inputs.some(isQuantized) ?? false
}

/** A network of which some operators are in float: what that costs beside integers. */
export interface FloatCost {
  /** Share of all multiply-accumulates. */
  readonly macShare: number
  /** Between integers and reals, in either direction. */
  readonly conversions: number
  readonly convertedElements: number
}

/** Of a typed network as a target made it. */
export function floatCost(typed: Graph): FloatCost {
  let all = 0
  let real = 0
  let conversions = 0
  let convertedElements = 0
  const isQuantized = (name: string) => typed.values.get(name)!.type.quantization !== null
  for (const node of typed.nodes) {
    const macs = macsOf(node, typed)
    all += macs
    if (!isQuantized(node.inputs[0] ?? node.outputs[0]!)) real += macs
    if (node.op.kind !== 'Convert' || isQuantized(node.inputs[0]!) === isQuantized(node.outputs[0]!)) continue
    conversions++
    convertedElements += elementCount(typed.values.get(node.outputs[0]!)!.type.shape)
  }
  return { macShare: all > 0 ? real / all : 0, conversions, convertedElements }
}
