import type { Graph } from '../../src/graph/types.ts'
import { elementCount } from '../../src/tensor.ts'
import type { Decision } from '../target.ts'
import type { Plan } from './plan.ts'

/** Conversions inside cost a pass over memory each; many of them can make int8 slower than float. */
export function conversionDecisions(typed: Graph): Decision[] {
  const inside = typed.nodes.filter(
    ({ op, inputs, outputs }) =>
      op.kind === 'Convert' && !typed.inputs.includes(inputs[0]!) && !typed.outputs.includes(outputs[0]!),
  )
  const elements = inside.reduce(
    (sum, node) => sum + elementCount(typed.values.get(node.inputs[0]!)!.type.shape),
    0,
  )
  if (inside.length === 0) return []
  const reason = `${inside.length} conversions inside the network, over ${elements} elements an inference: measure float too.`
  return [{ where: typed.name, reason }]
}

/** The operators that stay in float, each with its reason. */
export function islandDecisions(graph: Graph, plan: Plan): Decision[] {
  const decisions: Decision[] = []
  for (const node of graph.nodes) {
    const planned = plan.placements.get(node)!
    if (planned.how === 'float') decisions.push({ where: node.name, reason: `float: ${planned.reason}` })
  }
  return decisions
}
