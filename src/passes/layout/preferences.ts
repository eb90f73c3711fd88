import type { Layout, Op } from '../../graph/ops.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { compose, identity, type Permutation, towards } from './permutation.ts'

/**
 * How the readers of a value would like it stored, looking through what does not care about layout to the first
 * operator that does. No entry where nobody cares.
 */
export function preferences(graph: Graph, to: Layout): Map<string, Permutation> {
  const wanted = new Map<string, Permutation>()
  // backwards, so that the reader nearest to the producer has the last word
  for (const node of graph.nodes.toReversed()) {
    const rankOf = (name: string) => graph.values.get(name)!.type.shape.length
    for (const name of node.inputs) {
      if (name === null || graph.values.get(name)!.constant) continue
      const perm = wantedBy(node, name === node.inputs[0], rankOf(name), to, wanted)
      if (perm && perm.length === rankOf(name)) wanted.set(name, perm)
    }
  }
  return wanted
}

function wantedBy(
  { op, outputs }: Node,
  isFirst: boolean,
  rank: number,
  to: Layout,
  wanted: ReadonlyMap<string, Permutation>,
): Permutation | null {
  const layout = layoutOf(op)
  if (layout !== null) return isFirst ? (layout === to ? identity(rank) : towards(to, rank)) : null
  const after = wanted.get(outputs[0]!)
  if (!after) return null
  if (op.kind === 'Transpose') return compose(op.perm, after)
  return passesThrough.has(op.kind) ? after : null
}

/** The layout that an operator computes in; null where it has none. */
export function layoutOf(op: Op): Layout | null {
  if ('layout' in op) return op.layout
  return op.kind === 'InstanceNormalization' ? 'channels-first' : null
}

/** Operators that compute the same in any order of axes, once their own attributes follow. */
const passesThrough: ReadonlySet<Op['kind']> = new Set([
  'Relu',
  'LeakyRelu',
  'PRelu',
  'Clip',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'Tanh',
  'Elu',
  'Gelu',
  'Softmax',
  'LogSoftmax',
  'Unary',
  'Binary',
  'Comparison',
  'Where',
  'Concat',
  'Split',
  'Slice',
  'Pad',
  'Tile',
  'Cast',
  'Identity',
  'Convert',
])
