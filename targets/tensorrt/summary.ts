import type { Graph } from '../../src/graph/types.ts'
import type { TargetOptions, TargetSummary } from '../target.ts'
import { dlaInt8Sentence } from './dla.ts'
import { offDla } from './inspect.ts'
import { nameOf } from './operators.ts'

/** What the rows do not say: the GPU's generation, and what a DLA beside it would take. */
export function summary(graph: Graph, options: TargetOptions): TargetSummary {
  const { accelerator } = options
  if (!accelerator) return { lines: [], facts: { dla: null } }
  const gpu = `GPU of compute capability ${accelerator.computeCapability ?? 'unknown'}${accelerator.newestTensorRt ? `, TensorRT up to ${accelerator.newestTensorRt}` : ''}`
  if (accelerator.dlaCores === 0)
    return {
      lines: [`${gpu}; no DLA.`],
      facts: { computeCapability: accelerator.computeCapability, dla: null },
    }
  const refused = offDla(graph, options)
  const reasons = new Map<string, string[]>()
  for (const { node, constraint, saw } of refused) {
    const sentence = constraint.sentence
    reasons.set(sentence, [...(reasons.get(sentence) ?? []), `${node.name || nameOf(node.op)} (${saw})`])
  }
  const taken = graph.nodes.length - refused.length
  return {
    lines: [
      `${gpu}; ${accelerator.dlaCores} DLA.`,
      `The DLA would take ${Math.max(0, taken)} of ${graph.nodes.length} operators in float16 (--scheme float16 --allow dla). ${dlaInt8Sentence}`,
      ...[...reasons].map(([sentence, nodes]) => `not on the DLA: ${sentence} Saw: ${listed(nodes)}.`),
    ],
    facts: {
      computeCapability: accelerator.computeCapability,
      dla: {
        cores: accelerator.dlaCores,
        refused: refused.map(({ node, constraint, saw }) => ({
          name: node.name,
          operator: nameOf(node.op),
          constraint: constraint.id,
          sentence: constraint.sentence,
          saw,
          remedy: constraint.remedy ?? null,
        })),
      },
    },
  }
}

function listed(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
}
