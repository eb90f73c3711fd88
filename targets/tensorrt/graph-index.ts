import { usedNames } from '../../src/graph/edit.ts'
import type { Graph, Node } from '../../src/graph/types.ts'

/** Who makes and who reads each value. */
export class GraphIndex {
  readonly graph: Graph
  readonly #makers = new Map<string, Node>()
  readonly #readers = new Map<string, Node[]>()
  readonly #outputs: ReadonlySet<string>

  constructor(graph: Graph) {
    this.graph = graph
    this.#outputs = new Set(graph.outputs)
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.#makers.set(output, node)
      for (const name of usedNames(node)) {
        const known = this.#readers.get(name)
        if (known) known.push(node)
        else this.#readers.set(name, [node])
      }
    }
  }

  maker(name: string): Node | undefined {
    return this.#makers.get(name)
  }

  /** A node that reads a value twice is there twice. */
  readers(name: string): readonly Node[] {
    return this.#readers.get(name) ?? []
  }

  isOutput(name: string): boolean {
    return this.#outputs.has(name)
  }

  isConstant(name: string): boolean {
    return this.graph.values.get(name)?.constant != null
  }

  /** Operands that carry activations. */
  activations({ op, inputs }: Node): string[] {
    const names = op.kind === 'Gather' ? inputs.slice(0, 1) : inputs
    return names.filter((name): name is string => name !== null && !this.isConstant(name))
  }
}
