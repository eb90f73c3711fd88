import type { Graph, Node } from '../../src/graph/types.ts'
import { groupsOf, keyOf, resultsOf } from '../litert/inspect.ts'
import type { Constraint, Placement, TargetOptions } from '../target.ts'
import { brokenConstraint, fileConstraints } from './constraints.ts'
import { dlaConstraints } from './dla.ts'
import { nameOf } from './operators.ts'
import { type Plan, planGraph } from './plan.ts'
import { tailor } from './prepare.ts'

/**
 * One row for each operator of the network as given: int8, fp16 or fp32 on the GPU, with the reason where it is not
 * int8, or not at all. What the file has as one operator is one row, whatever it was rewritten as.
 */
export function inspect(graph: Graph, options: TargetOptions): Placement[] {
  const tailored = tailor(graph, options)
  const plan = options.scheme === 'full-int8' ? planGraph(tailored, options) : null
  const rows = new Map<string, Row[]>()
  for (const node of tailored.nodes)
    rows.set(keyOf(node), [...(rows.get(keyOf(node)) ?? []), rowOf(node, tailored, plan, options)])
  return groupsOf(graph).map((nodes, position) => {
    const [node] = nodes as [Node]
    return {
      index: node.source?.index ?? position,
      sourceOp: node.source?.opType ?? nameOf(node.op),
      name: node.name,
      outputs: resultsOf(graph, nodes),
      ...worst(rows.get(keyOf(node)) ?? []),
    }
  })
}

/** The operators that the DLA does not take, each with the sentence that it breaks. */
export function offDla(
  graph: Graph,
  options: TargetOptions,
): { node: Node; constraint: Constraint; saw: string }[] {
  const tailored = tailor(graph, options)
  return tailored.nodes.flatMap((node) => {
    const broken = brokenConstraint(dlaConstraints, node, tailored, options)
    return broken ? [{ node, ...broken }] : []
  })
}

type Row = Pick<Placement, 'placement' | 'precision' | 'label' | 'reason' | 'remedy' | 'basis'>

function rowOf(node: Node, graph: Graph, plan: Plan | null, options: TargetOptions): Row {
  const unparsed = brokenConstraint(fileConstraints, node, graph, options)
  if (unparsed)
    return {
      placement: 'unsupported',
      precision: 'float',
      reason: `${unparsed.constraint.sentence} Saw: ${unparsed.saw}.`,
      remedy: unparsed.constraint.remedy ?? null,
      basis: unparsed.constraint.basis,
    }
  if (!plan) {
    const label = options.scheme === 'float' ? 'fp32' : 'fp16'
    const reason = `The scheme is ${options.scheme}.`
    return { placement: 'accelerator', precision: 'float', label, reason, remedy: null, basis: null }
  }
  const { how, reason, remedy, basis } = plan.placements.get(node)!
  const precision = how === 'float' ? 'float' : 'int8'
  const label = how === 'float' ? 'fp16' : 'int8'
  return { placement: 'accelerator', precision, label, reason, remedy, basis }
}

const gone: Row = {
  placement: 'accelerator',
  precision: 'int8',
  label: 'int8',
  reason: '',
  remedy: null,
  basis: null,
}

/** Of the operators that one became, the one that is farthest from int8. */
function worst(rows: readonly Row[]): Row {
  const cost = ({ placement, precision, basis }: Row) =>
    placement === 'unsupported' ? 3 : precision === 'float' ? (basis ? 2 : 1) : 0
  return rows.length === 0 ? gone : rows.reduce((a, b) => (cost(b) > cost(a) ? b : a))
}
