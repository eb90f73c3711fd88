import type { Graph } from '../../src/graph/types.ts'
import type { Decision, Prepared, TargetOptions } from '../target.ts'
import { dialectOf } from './numerics.ts'
import { isIntegerOnly, unsignedTwin } from './unsigned-twin.ts'

/** True for a network that came with scales and zero points of its own. */
export function isQuantized(graph: Graph): boolean {
  for (const value of graph.values.values()) if (value.type.quantization) return true
  return false
}

/** Its scales are kept; only the signedness follows what the CPU computes best. */
export function keepAsQuantized(graph: Graph, options: TargetOptions): Prepared {
  const decisions: Decision[] = [
    {
      where: graph.name,
      reason: 'The file already carries scales and zero points: they are kept as they are.',
    },
  ]
  const typed = dialectOf(options.cpu).activations === 'uint8' ? unsignedTwin(graph) : graph
  return { graph: typed, decisions, integerOnly: isIntegerOnly(typed) }
}
