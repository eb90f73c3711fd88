import type { Graph } from '../../src/graph/types.ts'
import { type StoredScheme, storeWeights as store } from '../../src/quantize/stored-weights.ts'
import type { Decision, TargetOptions } from '../target.ts'
import { weightLimit } from './numerics.ts'
import { hasWeights, weightAxis } from './weight-axis.ts'

/** Operators with kernels for float activations and int8 weights, which quantize the activations on the way. */
const hybridKernels = new Set(['Conv', 'Gemm'])

/** Schemes that leave activations real. */
export function storeWeights(
  graph: Graph,
  scheme: StoredScheme,
  options: TargetOptions,
): { graph: Graph; decisions: Decision[] } {
  const stored = store(graph, {
    scheme,
    method: options.weightRange,
    keepFloat: options.keepFloat,
    formOf: ({ op }, weights) =>
      hasWeights(op)
        ? {
            axis: weightAxis(op, weights, options),
            limit: weightLimit,
            hybrid: scheme === 'dynamic' && hybridKernels.has(op.kind),
          }
        : null,
  })
  return { graph: stored.graph, decisions: stored.notes }
}
