import { usedNames } from '../graph/edit.ts'
import type { OpKind } from '../graph/ops.ts'
import type { Graph, Node } from '../graph/types.ts'

/** What only moves, compares or maps its operands one by one: its result has the ends that theirs have. */
const passesEnds: ReadonlySet<OpKind> = new Set([
  ...([
    'Softmax',
    'LogSoftmax',
    'Sigmoid',
    'HardSigmoid',
    'Tanh',
    'Relu',
    'LeakyRelu',
    'Clip',
    'Unary',
  ] as const),
  ...(['Binary', 'ArgMax', 'ArgMin', 'Cast', 'Convert', 'Identity', 'MaxPool', 'GlobalMaxPool'] as const),
  ...(['Concat', 'Split', 'Slice', 'Gather', 'Reshape', 'Transpose', 'Expand', 'Tile', 'Pad'] as const),
  ...(['Resize', 'DepthToSpace', 'SpaceToDepth'] as const),
])

/** Operators of detectors that a file carries verbatim. */
const postProcessing = /NonMaxSuppression|NMS|Detection_?PostProcess|TopK/i

/**
 * Values whose ranges must keep the ends that calibration saw, whatever way of choosing ranges clips others: outputs,
 * the logits, scores and boxes that one is made of by moves and arithmetic alone, and what a softmax outside of
 * attention turns into a distribution. Their rare large elements are what the network found, not tails. Raw inputs
 * belong to them too: samples are as they are.
 */
export function neverClipped(graph: Graph): Set<string> {
  const values = new Set([...graph.outputs, ...graph.inputs])
  const readers = readersOf(graph)
  for (const node of [...graph.nodes].reverse()) {
    const reached = node.outputs.some((name) => values.has(name))
    const isDistribution = node.op.kind === 'Softmax' && !weighsValues(graph, node, readers)
    if (isDistribution || (reached && passes(node)))
      for (const name of usedNames(node)) if (isActivation(graph, name)) values.add(name)
  }
  return values
}

function passes({ op }: Node): boolean {
  if (op.kind === 'Opaque') return postProcessing.test(op.opType)
  if (op.kind === 'Reduce') return op.fn === 'Max' || op.fn === 'Min'
  return passesEnds.has(op.kind)
}

/** True for the softmax of an attention: a product with other activations reads it, directly or moved. */
function weighsValues(graph: Graph, node: Node, readers: ReadonlyMap<string, readonly Node[]>): boolean {
  return node.outputs.some((output) =>
    (readers.get(output) ?? []).some((reader) => {
      if (reader.op.kind === 'MatMul')
        return reader.inputs.every((name) => name !== null && isActivation(graph, name))
      return (
        ['Reshape', 'Transpose', 'Expand'].includes(reader.op.kind) && weighsValues(graph, reader, readers)
      )
    }),
  )
}

function isActivation(graph: Graph, name: string): boolean {
  const value = graph.values.get(name)
  return value?.constant === null && value.type.dtype.startsWith('float')
}

function readersOf(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes)
    for (const name of usedNames(node)) readers.set(name, [...(readers.get(name) ?? []), node])
  return readers
}
