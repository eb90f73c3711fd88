import { usedNames } from '../src/graph/edit.ts'
import type { OpKind } from '../src/graph/ops.ts'
import type { Graph, Node } from '../src/graph/types.ts'

/** Element by element, or a mean: as quick on reals as the conversions around it. */
const joining: ReadonlySet<OpKind> = new Set<OpKind>([
  'Binary',
  'Unary',
  'Reduce',
  'Relu',
  'LeakyRelu',
  'Clip',
  'Sigmoid',
  'HardSwish',
  'Tanh',
  'Elu',
  'Gelu',
])

/**
 * Operators beside those that run on reals that are better there too: with them no more tensors are converted, and
 * fewer roundings are made. So the parts of a normalization stay together, and sums of residual branches that only
 * normalizations read keep their precision.
 *
 * @param isFloat operators that run on reals whatever follows from here
 * @param floatBoundary whether the network takes and gives reals
 * @returns those that join them
 */
export function joinFloatIslands(
  graph: Graph,
  isFloat: (node: Node) => boolean,
  floatBoundary: boolean,
): ReadonlySet<Node> {
  const islands = new Islands(graph, isFloat, floatBoundary)
  for (let again = true; again; ) {
    again = false
    for (const node of graph.nodes) again = islands.join(node) || again
  }
  return islands.joined
}

class Islands {
  readonly joined = new Set<Node>()
  readonly #graph: Graph
  readonly #given: (node: Node) => boolean
  readonly #floatBoundary: boolean
  readonly #producers = new Map<string, Node>()
  readonly #readers = new Map<string, Set<Node>>()

  constructor(graph: Graph, isFloat: (node: Node) => boolean, floatBoundary: boolean) {
    this.#graph = graph
    this.#given = isFloat
    this.#floatBoundary = floatBoundary
    for (const node of graph.nodes) {
      for (const output of node.outputs) this.#producers.set(output, node)
      for (const name of usedNames(node))
        this.#readers.set(name, (this.#readers.get(name) ?? new Set()).add(node))
    }
  }

  /** Alone, or with what is computed for it alone: a mean, to be subtracted. */
  join(node: Node): boolean {
    if (!this.#mayJoin(node)) return false
    const makers = node.inputs
      .map((name) => (name === null ? undefined : this.#producers.get(name)))
      .filter((maker) => maker && this.#mayJoin(maker) && this.#onlyFor(maker, node)) as Node[]
    for (const group of [[node], [node, ...makers]])
      if (this.#touchesReals(group) && this.#saved(group) >= 0) {
        for (const member of group) this.joined.add(member)
        return true
      }
    return false
  }

  #mayJoin(node: Node): boolean {
    if (!joining.has(node.op.kind) || this.#isFloat(node)) return false
    // the integer operator before it clips without a cost, and its range ends there
    const clips = node.op.kind === 'Relu' || node.op.kind === 'Clip'
    return !clips || this.#isMadeReal(node.inputs[0]!)
  }

  #onlyFor(maker: Node, reader: Node): boolean {
    return maker.outputs.every((name) => {
      const readers = this.#readers.get(name)
      return !this.#graph.outputs.includes(name) && readers?.size === 1 && readers.has(reader)
    })
  }

  #touchesReals(group: readonly Node[]): boolean {
    return group.some(
      ({ inputs, outputs }) =>
        inputs.some((name) => name !== null && this.#producers.has(name) && this.#isMadeReal(name)) ||
        outputs.some((name) => [...(this.#readers.get(name) ?? [])].some((reader) => this.#isFloat(reader))),
    )
  }

  /** How many conversions fewer there are with a group on reals. */
  #saved(group: readonly Node[]): number {
    const values = [...new Set(group.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]))].filter(
      (name): name is string => this.#isActivation(name),
    )
    const conversions = () => values.filter((name) => this.#isConverted(name)).length
    const before = conversions()
    for (const node of group) this.joined.add(node)
    const after = conversions()
    for (const node of group) this.joined.delete(node)
    return before - after
  }

  #isConverted(name: string): boolean {
    const made = this.#isMadeReal(name)
    const outside = this.#graph.outputs.includes(name) && this.#floatBoundary !== made
    return outside || [...(this.#readers.get(name) ?? [])].some((reader) => this.#isFloat(reader) !== made)
  }

  #isMadeReal(name: string): boolean {
    const producer = this.#producers.get(name)
    return producer ? this.#isFloat(producer) : this.#floatBoundary
  }

  #isFloat(node: Node): boolean {
    return this.joined.has(node) || this.#given(node)
  }

  #isActivation(name: string | null): boolean {
    const value = name === null ? undefined : this.#graph.values.get(name)
    return value?.type.dtype === 'float32' && value.constant === null
  }
}
