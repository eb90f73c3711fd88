import { GraphEditor } from '../../graph/edit.ts'
import type { Graph, Node } from '../../graph/types.ts'

/** What lies between values that can be looked at in the float network and in the quantized one. */
export interface Segment {
  /** What it makes. */
  readonly value: string
  /** Operators of the float graph, in its order. */
  readonly nodes: readonly Node[]
  /** Values that it starts from, those among `seen` only. */
  readonly reads: readonly string[]
}

/** The stretch of a float graph behind each seen value, back to the seen values before it. Inputs have none. */
export function segmentsOf(graph: Graph, seen: ReadonlySet<string>): Map<string, Segment> {
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])))
  const rank = new Map(graph.nodes.map((node, index) => [node, index]))
  const segments = new Map<string, Segment>()
  for (const value of seen) {
    const start = producers.get(value)
    if (!start) continue
    const nodes = new Set([start])
    const reads = new Set<string>()
    for (const node of nodes)
      for (const input of node.inputs) {
        if (input === null) continue
        const before = producers.get(input)
        if (seen.has(input)) reads.add(input)
        else if (before) nodes.add(before)
      }
    segments.set(value, {
      value,
      nodes: [...nodes].sort((a, b) => rank.get(a)! - rank.get(b)!),
      reads: [...reads],
    })
  }
  return segments
}

/** A network without its chain of errors: every operator reads what it is given, not what was computed before it. */
export interface OpenLoop {
  readonly graph: Graph
  /** Inputs of `graph` by what is to be fed: a cut value's key, or the name of an input that was not cut. */
  readonly feeds: ReadonlyMap<string, string>
}

/**
 * @param cuts by value of `graph`, the key under which its readers are fed; several values may have one key
 * @param outputs what is wanted of it
 * @param keeps true for a reader that goes on reading what is computed
 */
export function openLoop(
  graph: Graph,
  cuts: ReadonlyMap<string, string>,
  outputs: readonly string[],
  keeps: (node: Node) => boolean = () => false,
): OpenLoop {
  const editor = new GraphEditor(graph)
  const given = new Map<string, string>()
  const inputOf = (name: string) => {
    const made = given.get(name) ?? editor.addInput(editor.freshName(`${name}_given`), editor.type(name))
    given.set(name, made)
    return made
  }
  for (const node of editor.nodes) {
    if (keeps(node) || !node.inputs.some((input) => input !== null && cuts.has(input))) continue
    editor.updateNode(node, {
      inputs: node.inputs.map((input) => (input !== null && cuts.has(input) ? inputOf(input) : input)),
    })
  }
  editor.outputs = [...new Set(outputs)]
  const needed = new Set(editor.finish().nodes.flatMap(({ inputs }) => inputs))
  editor.inputs = editor.inputs.filter((name) => needed.has(name))
  const feeds = new Map(editor.inputs.map((name) => [name, name]))
  for (const [name, input] of given) if (feeds.has(input)) feeds.set(input, cuts.get(name)!)
  return { graph: editor.finish(), feeds }
}
