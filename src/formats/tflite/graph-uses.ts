import type { Graph, Node } from '../../graph/types.ts'
import { usedNames } from '../../graph/edit.ts'

/** The node that makes each value. */
export function producersOf(graph: Graph): Map<string, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
}

/** The nodes that read each value. */
export function readersOf(graph: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>()
  for (const node of graph.nodes)
    for (const name of usedNames(node)) {
      const list = readers.get(name)
      if (list) list.push(node)
      else readers.set(name, [node])
    }
  return readers
}
