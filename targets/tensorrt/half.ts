import { constantOf, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import { numberToFloat16 } from '../../src/graph/encode.ts'
import type { OpKind } from '../../src/graph/ops.ts'
import type { Constant, Graph, Node, TensorType } from '../../src/graph/types.ts'
import { isFloat16, largestFloat16 } from '../../src/quantize/float16-grid.ts'
import { FreshNames } from './fresh-names.ts'
import { GraphIndex } from './graph-index.ts'

/**
 * The network with its reals in float16: inputs and outputs stay float32 behind a Cast, and so does what float16 has
 * too small a range for (sums over many elements, powers, exponentials, what feeds these alone).
 *
 * @param beyond values that were seen beyond float16
 * @returns why not, in words, where it cannot be said in float16
 */
export function halfPrecision(graph: Graph, beyond: ReadonlySet<string> = new Set()): Graph | string {
  if (graph.nodes.some(({ op }) => op.kind === 'Opaque' && op.captures.length > 0))
    return 'A subgraph reads values from outside, in float32.'
  for (const { name, type } of graph.values.values())
    if (type.quantization && !type.quantization.scales.every(isFloat16))
      return `The scale of ${name} is beyond float16.`
  return new Halving(graph, beyond).run()
}

/** Operators that add up many elements, or give numbers of quite another magnitude than they take. */
const wide: ReadonlySet<OpKind> = new Set<OpKind>(['Opaque', 'LogSoftmax', 'InstanceNormalization'])
const wideFunctions: ReadonlySet<string> = new Set(
  'Exp Log Softplus Reciprocal Sqrt Pow Div Mean Sum Prod L1 L2 LogSum LogSumExp SumSquare'.split(' '),
)
/** Operators that stay wide where all that reads them is. */
const elementwise: ReadonlySet<OpKind> = new Set<OpKind>(['Binary', 'Unary'])

class Halving {
  readonly #graph: Graph
  readonly #index: GraphIndex
  readonly #editor: GraphEditor
  readonly #beyond: ReadonlySet<string>
  readonly #names: FreshNames
  readonly #nodeNames: FreshNames
  readonly #wide: ReadonlySet<Node>
  /** By value of the graph: its name in each precision. */
  readonly #halves = new Map<string, string>()
  readonly #fulls = new Map<string, string>()

  constructor(graph: Graph, beyond: ReadonlySet<string>) {
    this.#graph = graph
    this.#beyond = beyond
    this.#names = new FreshNames(graph.values.keys())
    this.#nodeNames = new FreshNames(graph.nodes.map(({ name }) => name))
    this.#index = new GraphIndex(graph)
    this.#editor = GraphEditor.empty(graph.name)
    this.#wide = this.#wideNodes()
  }

  run(): Graph | string {
    // Q/DQ are of the type of their scale: what stands on their real side cannot stay float32
    const mixed = [...this.#wide].find(
      ({ op, inputs }) =>
        op.kind === 'Convert' ||
        inputs.some((name) => name !== null && this.#type(name).quantization !== null),
    )
    if (mixed) return `Numbers beside the int8 of ${mixed.inputs[0]} are beyond float16.`
    for (const name of this.#graph.inputs) this.#editor.addInput(name, this.#type(name))
    for (const name of this.#graph.inputs) this.#fulls.set(name, name)
    for (const node of this.#graph.nodes) this.#add(node)
    this.#editor.outputs = this.#graph.outputs.map((name) =>
      this.#isReal(name) ? this.#full(name) : this.#plain(name),
    )
    return this.#editor.finish()
  }

  #wideNodes(): Set<Node> {
    const found = new Set<Node>()
    for (const node of [...this.#graph.nodes].reverse()) {
      const { op, outputs } = node
      const readers = outputs.flatMap((name) => this.#index.readers(name))
      const feedsWide =
        elementwise.has(op.kind) &&
        readers.length > 0 &&
        readers.every((reader) => found.has(reader)) &&
        !outputs.some((name) => this.#index.isOutput(name))
      const needs =
        wide.has(op.kind) ||
        ('fn' in op && wideFunctions.has(op.fn)) ||
        [...node.inputs, ...outputs].some((name) => name !== null && this.#beyond.has(name)) ||
        this.#readsBeyond(node)
      if (needs || feedsWide) found.add(node)
    }
    return found
  }

  /** Constants that would become infinite, or 0. */
  #readsBeyond({ inputs }: Node): boolean {
    return inputs.some((name) => {
      const constant = name === null ? null : this.#graph.values.get(name)!.constant
      if (constant?.dtype !== 'float32') return false
      const numbers = numbersOf(constant)
      // among many weights a tiny one may vanish; one that stands alone is an epsilon
      const least = numbers.length === 1 ? 2 ** -24 : 0
      return numbers.some((x) => Math.abs(x) > largestFloat16 || (x !== 0 && Math.abs(x) < least))
    })
  }

  #add(node: Node): void {
    const isWide = this.#wide.has(node)
    const inputs = node.inputs.map((name) => {
      if (name === null) return null
      if (!this.#isReal(name)) return this.#plain(name)
      return isWide ? this.#full(name) : this.#half(name)
    })
    const outputs = node.outputs.map((name) => {
      const type = this.#type(name)
      if (!this.#isReal(name)) return { name, type }
      const own = isWide || !this.#index.isOutput(name) ? name : this.#names.make(`${name}_half`)
      ;(isWide ? this.#fulls : this.#halves).set(name, own)
      return { name: own, type: isWide ? type : asHalf(type) }
    })
    this.#editor.addNode({ name: node.name, op: node.op, source: node.source, inputs, outputs })
  }

  #half(name: string): string {
    const known = this.#halves.get(name)
    if (known) return known
    const { constant, type } = this.#graph.values.get(name)!
    const made = constant
      ? this.#editor.addConstant(this.#names.make(`${name}_half`), halfConstant(constant))
      : this.#cast(this.#fulls.get(name)!, this.#names.make(`${name}_half`), asHalf(type))
    this.#halves.set(name, made)
    return made
  }

  #full(name: string): string {
    const known = this.#fulls.get(name)
    if (known) return known
    const { constant, type } = this.#graph.values.get(name)!
    // an output that float16 operators make keeps its own name here
    const free = this.#editor.hasValue(name) ? this.#names.make(`${name}_full`) : name
    const made = constant
      ? this.#editor.addConstant(free, constant)
      : this.#cast(this.#halves.get(name)!, free, type)
    this.#fulls.set(name, made)
    return made
  }

  /** Integers, booleans and quantized values stay what they are. */
  #plain(name: string): string {
    const { constant, type } = this.#graph.values.get(name)!
    if (constant && !this.#editor.hasValue(name)) this.#editor.addConstant(name, constant, type.quantization)
    return name
  }

  #cast(from: string, to: string, type: TensorType): string {
    this.#editor.addNode({
      name: this.#nodeNames.make(`cast_${to}`),
      op: { kind: 'Cast' },
      inputs: [from],
      outputs: [{ name: to, type }],
    })
    return to
  }

  #isReal(name: string): boolean {
    const { dtype, quantization } = this.#type(name)
    return dtype === 'float32' && quantization === null
  }

  #type(name: string): TensorType {
    return this.#graph.values.get(name)!.type
  }
}

function asHalf(type: TensorType): TensorType {
  return { ...type, dtype: 'float16' }
}

function halfConstant(constant: Constant): Constant {
  return constantOf('float16', constant.shape, Uint16Array.from(numbersOf(constant), numberToFloat16))
}
