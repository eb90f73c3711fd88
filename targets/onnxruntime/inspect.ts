import type { Graph } from '../../src/graph/types.ts'
import type { Placement, TargetOptions } from '../target.ts'
import { nameOf } from './constraints.ts'
import { planGraph } from './plan.ts'

/** Where each operator runs: everything is on the CPU here; what differs is whether it computes on integers. */
export function inspect(graph: Graph, options: TargetOptions): Placement[] {
  const plan = planGraph(graph, options)
  return graph.nodes.map((node, position) => {
    const planned = plan.placements.get(node)!
    const int8 = options.scheme !== 'float' && planned.how !== 'float'
    return {
      index: node.source?.index ?? position,
      sourceOp: node.source?.opType ?? nameOf(node),
      name: node.name,
      outputs: node.outputs,
      placement: 'cpu',
      precision: int8 ? 'int8' : 'float',
      reason: options.scheme === 'float' ? 'The scheme is float.' : planned.reason,
      remedy: options.scheme === 'float' ? null : planned.remedy,
      basis: options.scheme === 'float' ? null : planned.basis,
    }
  })
}
