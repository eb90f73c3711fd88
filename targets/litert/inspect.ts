import type { Graph, Node } from '../../src/graph/types.ts'
import type { Placement, TargetOptions } from '../target.ts'
import { brokenConstraint, fileConstraints, nameOf } from './constraints.ts'
import { activationTypeOf } from './numerics.ts'
import { isInteger, type Plan, planGraph } from './plan.ts'
import { isQuantized, tailor } from './prepare.ts'
import { xnnpackConstraints } from './xnnpack.ts'

/**
 * One row for each operator of the network as given: in int8 on XNNPACK (no reason), in int8 on LiteRT's own kernels,
 * in float, or not at all. Everything computes on the CPU; what differs is how fast.
 */
export function inspect(graph: Graph, options: TargetOptions): Placement[] {
  const tailored = tailor(graph, options)
  const activation = isQuantized(tailored) ? null : activationTypeOf(options)
  const plan = activation ? planGraph(tailored, options, activation) : null
  const rows = new Map<string, Row[]>()
  for (const node of tailored.nodes) {
    const row = plan ? rowOfPlan(plan, node, options) : rowOfTyped(tailored, node, options)
    const key = keyOf(node)
    rows.set(key, [...(rows.get(key) ?? []), row])
  }
  return groupsOf(graph).map((nodes, position) => {
    const [node] = nodes as [Node]
    return {
      index: node.source?.index ?? position,
      sourceOp: node.source?.opType ?? nameOf(node.op),
      name: node.name,
      outputs: resultsOf(graph, nodes),
      ...worst(rows.get(keyOf(node)) ?? [gone]),
    }
  })
}

/** What the user's file has as one operator is one row, whatever number of nodes it was read or rewritten as. */
export function groupsOf(graph: Graph): Node[][] {
  const groups = new Map<string, Node[]>()
  for (const node of graph.nodes) groups.set(keyOf(node), [...(groups.get(keyOf(node)) ?? []), node])
  return [...groups.values()]
}

/** What others than the operator itself read of it. */
export function resultsOf(graph: Graph, nodes: readonly Node[]): string[] {
  const inside = new Set(nodes)
  const readOutside = new Set(graph.outputs)
  for (const node of graph.nodes)
    if (!inside.has(node)) for (const input of node.inputs) if (input !== null) readOutside.add(input)
  const outputs = nodes.flatMap((node) => node.outputs)
  const read = outputs.filter((output) => readOutside.has(output))
  return read.length > 0 ? read : outputs.slice(-1)
}

type Row = Pick<Placement, 'placement' | 'precision' | 'reason' | 'remedy' | 'basis'>

const gone: Row = { placement: 'cpu', precision: 'int8', reason: '', remedy: null, basis: null }

/** Rewrites keep where an operator comes from. */
export function keyOf({ source, name }: Node): string {
  return source ? `${source.index} ${source.name}` : name
}

function rowOfPlan(plan: Plan, node: Node, options: TargetOptions): Row {
  const planned = plan.placements.get(node)!
  const { reason, remedy, basis } = planned
  if (planned.how === 'unsupported')
    return { placement: 'unsupported', precision: 'float', reason, remedy, basis }
  if (!isInteger(planned)) return { placement: 'cpu', precision: 'float', reason, remedy, basis }
  return onXnnpack(plan.graph, node, options) ?? gone
}

/** Of a network whose types stand already, or that stays real. */
function rowOfTyped(graph: Graph, node: Node, options: TargetOptions): Row {
  const missing = brokenConstraint(fileConstraints, node, graph, options)
  if (missing)
    return {
      placement: 'unsupported',
      precision: 'float',
      reason: `${missing.constraint.sentence} Saw: ${missing.saw}.`,
      remedy: missing.constraint.remedy ?? null,
      basis: missing.constraint.basis,
    }
  const output = graph.values.get(node.outputs[0]!)!.type
  if (output.quantization) return onXnnpack(graph, node, options) ?? gone
  const reason = options.scheme === 'float' ? 'The scheme is float.' : 'Its result is not quantized.'
  return { placement: 'cpu', precision: 'float', reason, remedy: null, basis: null }
}

function onXnnpack(graph: Graph, node: Node, options: TargetOptions): Row | null {
  const broken = brokenConstraint(xnnpackConstraints, node, graph, options)
  if (!broken) return null
  return {
    placement: 'cpu',
    precision: 'int8',
    reason: `In int8 on LiteRT’s own kernel. ${broken.constraint.sentence} Saw: ${broken.saw}.`,
    remedy: broken.constraint.remedy ?? null,
    basis: broken.constraint.basis,
  }
}

/** Of the operators that one became, the row that costs most; of several in float, the one that has to be. */
function worst(rows: readonly Row[]): Row {
  const cost = (row: Row) => {
    if (row.placement === 'unsupported') return 4
    if (row.precision === 'float') return row.basis === 'documented' ? 3 : 2
    return row.reason ? 1 : 0
  }
  return rows.reduce((a, b) => (cost(b) > cost(a) ? b : a))
}
