import type { Graph, Node } from '../../src/graph/types.ts'
import { isInteger, planGraph } from '../litert/plan.ts'
import { isQuantized } from '../litert/prepare.ts'
import type { Placement, TargetOptions } from '../target.ts'
import type { Operator } from './operators.ts'
import { groupedOperators, operatorsOf } from './operators.ts'
import { litertOptions, tailor } from './prepare.ts'
import { type Predicted, type Prediction, predict } from './predict.ts'

/** One row for each operator of the network as given: on the Edge TPU, on the CPU and why, or not in LiteRT at all. */
export function inspect(graph: Graph, options: TargetOptions): Placement[] {
  const { prediction, unsupported } = predictTailored(tailor(graph, options), options)
  const rows = new Map<string, Predicted[]>()
  for (const row of prediction.operators)
    for (const key of new Set(row.operator.nodes.map(keyOf))) {
      const list = rows.get(key)
      if (list) list.push(row)
      else rows.set(key, [row])
    }
  return operatorsAsGiven(graph).map((operator) =>
    placementOf(operator, rows.get(keyOf(operator.nodes[0]!)) ?? [], unsupported),
  )
}

/** The prediction for a tailored graph, reals where LiteRT's int8 file of it would have reals. */
export function predictTailored(
  graph: Graph,
  options: TargetOptions,
): { prediction: Prediction; unsupported: ReadonlySet<Node> } {
  const unsupported = new Set<Node>()
  if (isQuantized(graph)) return { prediction: predict(graph, { assumeInt8: false }), unsupported }
  const { placements, fused, index } = planGraph(graph, litertOptions(options), 'int8')
  const fusedInto = new Map<Node, Node>()
  for (const [from, { attribute }] of fused) if (attribute) fusedInto.set(attribute, index.producer(from)!)
  const realNodes = new Set<Node>()
  for (const [node, planned] of placements) {
    if (!isInteger(planned)) realNodes.add(node)
    if (planned.how === 'unsupported') unsupported.add(node)
  }
  return { prediction: predict(graph, { assumeInt8: true, realNodes, fusedInto }), unsupported }
}

/** What the user's file has as one operator is one row, whatever number of nodes it was read or rewritten as. */
function operatorsAsGiven(graph: Graph): Operator[] {
  return isQuantized(graph) ? operatorsOf(graph, { assumeInt8: false }) : groupedOperators(graph, keyOf)
}

/** Rewrites keep where an operator comes from. */
function keyOf({ source, name }: Node): string {
  return source ? `${source.index} ${source.name}` : name
}

function placementOf(
  operator: Operator,
  rows: readonly Predicted[],
  unsupported: ReadonlySet<Node>,
): Placement {
  const { index, sourceOp, name } = operator
  const outputs = operator.outputs.map((output) => output.name)
  const row = worst(rows)
  // folded into a neighbour, or never an operator of the file
  if (!row)
    return {
      index,
      sourceOp,
      name,
      outputs,
      placement: 'accelerator',
      precision: 'int8',
      reason: '',
      remedy: null,
      basis: null,
    }
  const missing = rows.some((one) => one.operator.nodes.some((node) => unsupported.has(node)))
  const real = row.operator.outputs.some(({ type }) => type.dtype.startsWith('float'))
  return {
    index,
    sourceOp,
    name,
    outputs,
    placement: missing ? 'unsupported' : row.mapped ? 'accelerator' : 'cpu',
    precision: real ? 'float' : 'int8',
    reason: row.mapped ? '' : `${row.reason} (${row.status}; ${row.source})`,
    remedy: row.remedy,
    basis: row.mapped ? null : row.basis,
  }
}

/** Of what one operator became: what breaks a limit itself, then what is lost behind it, then what is mapped. */
function worst(rows: readonly Predicted[]): Predicted | null {
  const cost = (row: Predicted) =>
    row.mapped ? 0 : row.status === 'More than one subgraph is not supported' ? 1 : 2
  return rows.reduce<Predicted | null>((a, b) => (a === null || cost(b) > cost(a) ? b : a), null)
}
