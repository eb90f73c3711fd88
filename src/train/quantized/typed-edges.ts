import type { Graph, Node } from '../../graph/types.ts'
import type { OpKind } from '../../graph/ops.ts'
import { type Grid, gridOf, sameGrid } from './grid.ts'

/** Which values of a typed graph's grids an operand passes on its way from its producer, in order. */
export type Chain = readonly string[]

/**
 * What a typed graph does to the operands of the float graph that it was made of. A node is known by its name in both; what
 * stands in the typed graph alone (conversions, guards) is part of the way between two nodes.
 */
export class TypedEdges {
  readonly #typed: Graph
  readonly #float: ReadonlyMap<string, Node>
  readonly #nodes: ReadonlyMap<string, Node>
  readonly #producers: ReadonlyMap<string, Node>

  constructor(float: Graph, typed: Graph) {
    this.#typed = typed
    this.#float = new Map(float.nodes.map((node) => [node.name, node]))
    this.#nodes = new Map(typed.nodes.map((node) => [node.name, node]))
    this.#producers = new Map(
      typed.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)),
    )
  }

  /** The node that computes a node of the float graph; absent where another one does its work. */
  node(name: string): Node | undefined {
    return this.#nodes.get(name)
  }

  /** Typed values whose grids the operand of a float node is rounded to; empty where it is read as it is made. */
  operand(node: Node, position: number): Chain {
    const typed = this.#nodes.get(node.name)
    const name = typed?.inputs[position]
    if (!typed || !name) return []
    // the clip that an operator carries: its result is rounded, which rounds the operand too
    const clips = node.op.kind === 'Relu' || node.op.kind === 'Clip'
    if (clips && typed.op.kind !== 'Convert' && sameGrid(this.grid(name), this.grid(typed.outputs[0]!)))
      return []
    return this.#chain(name)
  }

  output(position: number): Chain {
    return this.#chain(this.#typed.outputs[position]!)
  }

  grid(name: string): Grid | null {
    return gridOf(this.#typed.values.get(name)!.type)
  }

  #chain(start: string): string[] {
    const chain: string[] = []
    const add = (name: string) => {
      const grid = this.grid(name)
      if (grid && !(chain[0] !== undefined && sameGrid(this.grid(chain[0]), grid))) chain.unshift(name)
    }
    for (let name = start; ; ) {
      const producer = this.#producers.get(name)
      if (!producer) {
        if (!this.#typed.values.get(name)!.constant) add(name)
        return chain
      }
      if (this.#float.has(producer.name)) {
        if (!this.#staysOnGrid(producer, name)) add(name)
        return chain
      }
      add(name)
      name = producer.inputs[0]!
    }
  }

  /** True for what moves or compares numbers of one grid: the result cannot leave it. */
  #staysOnGrid({ op, inputs }: Node, output: string): boolean {
    const always = moves.has(op.kind)
    const comparesOnly =
      (op.kind === 'Binary' && (op.fn === 'Min' || op.fn === 'Max')) ||
      (op.kind === 'Reduce' && (op.fn === 'Min' || op.fn === 'Max')) ||
      (op.kind === 'Resize' && op.mode === 'nearest') ||
      (op.kind === 'Pad' && (op.mode !== 'constant' || op.value === 0))
    if (!always && !comparesOnly) return false
    const grid = this.grid(output)
    return inputs.every((name) => {
      const type = name === null ? null : this.#typed.values.get(name)!.type
      // indices and conditions are no numbers of the grid
      return !type || !(type.quantization || type.dtype === 'float32') || sameGrid(gridOf(type), grid)
    })
  }
}

const moves: ReadonlySet<OpKind> = new Set<OpKind>([
  'MaxPool',
  'GlobalMaxPool',
  'Concat',
  'Split',
  'Slice',
  'Gather',
  'Reshape',
  'Transpose',
  'Expand',
  'Tile',
  'DepthToSpace',
  'SpaceToDepth',
  'Where',
  'Identity',
])
