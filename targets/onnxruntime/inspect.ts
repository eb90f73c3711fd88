import type { Graph } from '../../src/graph/types.ts'
import { isStoredScheme, type StoredScheme } from '../../src/quantize/stored-weights.ts'
import type { Placement, TargetOptions } from '../target.ts'
import { nameOf } from './constraints.ts'
import { planGraph } from './plan.ts'
import { isHybrid, storeWeights } from './stored-weights.ts'

/** Where each operator runs: everything is on the CPU here; what differs is whether it computes on integers. */
export function inspect(graph: Graph, options: TargetOptions): Placement[] {
  if (isStoredScheme(options.scheme)) return inspectStored(graph, options.scheme, options)
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

/** Under schemes that leave activations real only products that quantize them as they run compute on integers. */
function inspectStored(graph: Graph, scheme: StoredScheme, options: TargetOptions): Placement[] {
  const stored = storeWeights(graph, scheme, options).graph
  const hybrid = new Set(stored.nodes.filter((node) => isHybrid(node, stored)).map(({ name }) => name))
  return graph.nodes.map((node, position) => ({
    index: node.source?.index ?? position,
    sourceOp: node.source?.opType ?? nameOf(node),
    name: node.name,
    outputs: node.outputs,
    placement: 'cpu',
    precision: hybrid.has(node.name) ? 'int8' : 'float',
    reason: hybrid.has(node.name) ? '' : `The scheme ${scheme} computes it in float.`,
    remedy: null,
    basis: null,
  }))
}
