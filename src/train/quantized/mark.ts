import { constantOf, numbersOf } from '../../graph/constant.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Graph, Node, TensorType } from '../../graph/types.ts'
import { gridOf, sameGrid } from './grid.ts'
import type { TieRounding, Ties } from '../../quantize/ties.ts'
import type { LayerNumerics } from './layers.ts'
import type { Chain, TypedEdges } from './typed-edges.ts'

/** A float graph with a mark wherever a value is rounded to a grid. */
export interface Marked {
  readonly graph: Graph
  /** Value of the typed graph whose grid is meant, by name of the marking node. */
  readonly marks: ReadonlyMap<string, string>
  /** How halves are rounded where that is not to the even integer, by name of the marking node. */
  readonly ties: ReadonlyMap<string, TieRounding>
  /** Constants that stand for stored integers: their numbers must not change. */
  readonly still: ReadonlySet<string>
}

/**
 * Puts a Clip to the ends of the grid wherever values are rounded: it goes through changes of layout and batch as any
 * other operator does, and is what a straight-through estimator is but for the rounding.
 */
export function markGrids(
  graph: Graph,
  typed: Graph,
  edges: TypedEdges,
  layers: readonly LayerNumerics[],
  ties: Ties = {},
): Marked {
  return new Marking(graph, typed, edges, layers, ties).run()
}

class Marking {
  readonly #graph: Graph
  readonly #typed: Graph
  readonly #edges: TypedEdges
  readonly #layers: ReadonlySet<string>
  readonly #kernels: Ties
  readonly #editor: GraphEditor
  readonly #ties = new Map<string, TieRounding>()
  readonly #marks = new Map<string, string>()
  readonly #still = new Set<string>()
  /** What was made of a value and a grid. */
  readonly #made = new Map<string, string>()
  /** Outputs that are rounded keep their name for that: what they were before has another. */
  readonly #real = new Map<string, string>()

  constructor(
    graph: Graph,
    typed: Graph,
    edges: TypedEdges,
    layers: readonly LayerNumerics[],
    kernels: Ties,
  ) {
    this.#kernels = kernels
    this.#graph = graph
    this.#typed = typed
    this.#edges = edges
    this.#layers = new Set(layers.map(({ node }) => node))
    this.#editor = GraphEditor.empty(graph.name)
  }

  run(): Marked {
    const { inputs, outputs, nodes } = this.#graph
    for (const name of inputs) this.#editor.addInput(name, this.#type(name))
    outputs.forEach((name, position) => {
      const isMade = !inputs.includes(name) && !this.#graph.values.get(name)!.constant
      if (isMade && this.#edges.output(position).length > 0) this.#real.set(name, this.#fresh(`${name}/real`))
    })
    for (const node of nodes) this.#copy(node)
    outputs.forEach((name, position) => {
      const real = this.#real.get(name)
      if (real !== undefined) this.#chain(real, this.#edges.output(position), name)
      else this.#constantOf(name)
    })
    this.#editor.outputs = [...outputs]
    return { graph: this.#editor.finish(), marks: this.#marks, ties: this.#ties, still: this.#still }
  }

  #copy(node: Node): void {
    const { name, op, source, inputs, outputs } = node
    if (op.kind === 'Opaque') for (const captured of op.captures) this.#constantOf(captured)
    this.#editor.addNode({
      name,
      op,
      source,
      inputs: inputs.map((input, position) => (input === null ? null : this.#operand(node, input, position))),
      outputs: outputs.map((output) => ({
        name: this.#real.get(output) ?? output,
        type: this.#type(output),
      })),
    })
  }

  #operand(node: Node, input: string, position: number): string {
    const { constant } = this.#graph.values.get(input)!
    if (!constant) return this.#chain(this.#real.get(input) ?? input, this.#edges.operand(node, position))
    if (this.#layers.has(node.name) && position > 0) return this.#constantOf(input)
    const stored = this.#edges.node(node.name)?.inputs[position]
    return (stored && this.#storedConstant(input, stored)) || this.#constantOf(input)
  }

  #constantOf(name: string): string {
    const { constant, type } = this.#graph.values.get(name)!
    if (constant && !this.#editor.hasValue(name)) this.#editor.addConstant(name, constant, type.quantization)
    return name
  }

  /** The reals that a stored constant means, in the place of those that it was made of. */
  #storedConstant(name: string, stored: string): string | null {
    const { type, constant } = this.#typed.values.get(stored)!
    const grid = gridOf(type)
    const own = this.#graph.values.get(name)!.constant!
    if (!constant || !grid || own.dtype !== 'float32') return null
    const key = `${name}\0${stored}`
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const zeroPoint = type.quantization!.zeroPoints[0]!
    const reals = Float32Array.from(numbersOf(constant), (q) => (q - zeroPoint) * grid.scale)
    const made = this.#editor.addConstant(
      this.#fresh(`${name}/stored`),
      constantOf('float32', own.shape, reals),
    )
    this.#made.set(key, made)
    this.#still.add(made)
    return made
  }

  /** @param last the name of what comes out in the end */
  #chain(from: string, chain: Chain, last?: string): string {
    return chain.reduce(
      (value, typed, step) => this.#mark(value, typed, step === chain.length - 1 ? last : undefined),
      from,
    )
  }

  #mark(from: string, typed: string, wanted?: string): string {
    const grid = this.#edges.grid(typed)!
    // one for all readers who want the same numbers
    const key = `${from}\0${grid.scale} ${grid.lowest} ${grid.highest}`
    const known = this.#made.get(key)
    if (known !== undefined && wanted === undefined) return known
    const name = `fake_quantize/${this.#marks.size}`
    const made = wanted ?? this.#fresh(`${from}/rounded`)
    const op = { kind: 'Clip', min: grid.lowest * grid.scale, max: grid.highest * grid.scale } as const
    this.#editor.addNode({
      name,
      op,
      inputs: [from],
      outputs: [{ name: made, type: this.#editor.type(from) }],
    })
    this.#marks.set(name, typed)
    const ties = this.#tieRounding(from, typed)
    if (ties) this.#ties.set(name, ties)
    this.#made.set(key, made)
    return made
  }

  /** That of the kernel that makes a value; null where it rounds to the even integer, or between two scales. */
  #tieRounding(made: string, typed: string): TieRounding | null {
    const node = this.#editor.producer(made)
    const kernel = node && this.#edges.node(node.name)
    if (!kernel || (kernel.op.kind === 'Resize' && kernel.op.mode !== 'linear')) return null
    const grid = this.#edges.grid(typed)!
    const averages = sameGrid(this.#edges.grid(kernel.inputs[0]!), grid) && grid.highest - grid.lowest === 255
    return (averages && this.#kernels[kernel.op.kind]) || null
  }

  #type(name: string): TensorType {
    return this.#graph.values.get(name)!.type
  }

  /** A name that neither graph has. */
  #fresh(wanted: string): string {
    for (let i = 0; ; i++) {
      const name = i === 0 ? wanted : `${wanted}_${i}`
      if (!this.#editor.hasValue(name) && !this.#graph.values.has(name)) return name
    }
  }
}
