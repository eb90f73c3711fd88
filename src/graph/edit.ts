import { EdgewrightError } from '../error.ts'
import type { Op } from './ops.ts'
import type { Constant, Graph, Node, NodeSource, Quantization, TensorType, Value } from './types.ts'

/** An operator to add: outputs are given by name with their types. */
export interface NewNode {
  name: string
  op: Op
  inputs: readonly (string | null)[]
  outputs: readonly { name: string; type: TensorType }[]
  source?: NodeSource | null
}

/**
 * A graph under change. Graphs are immutable: an editor starts as a copy, `finish` gives a new graph, sorted
 * topologically and without nodes and values that nothing needs.
 */
export class GraphEditor {
  readonly name: string
  inputs: string[]
  outputs: string[]
  readonly #values: Map<string, Value>
  readonly #nodes = new Set<Node>()
  readonly #producers = new Map<string, Node>()
  readonly #readers = new Map<string, Set<Node>>()

  constructor(graph: Graph) {
    this.name = graph.name
    this.inputs = [...graph.inputs]
    this.outputs = [...graph.outputs]
    this.#values = new Map(graph.values)
    for (const node of graph.nodes) this.#insert(node)
  }

  static empty(name: string): GraphEditor {
    return new GraphEditor({ name, inputs: [], outputs: [], values: new Map(), nodes: [] })
  }

  get nodes(): Node[] {
    return [...this.#nodes]
  }

  hasValue(name: string): boolean {
    return this.#values.has(name)
  }

  value(name: string): Value {
    const value = this.#values.get(name)
    if (!value) throw new EdgewrightError('GRAPH_INVALID', `No value is named ${JSON.stringify(name)}.`, { where: this.name })
    return value
  }

  type(name: string): TensorType {
    return this.value(name).type
  }

  /** The node that makes a value; null for inputs and constants. */
  producer(name: string): Node | null {
    return this.#producers.get(name) ?? null
  }

  consumers(name: string): Node[] {
    return [...(this.#readers.get(name) ?? [])]
  }

  /** False for a node that was removed or replaced by a changed copy. */
  has(node: Node): boolean {
    return this.#nodes.has(node)
  }

  isOutput(name: string): boolean {
    return this.outputs.includes(name)
  }

  /** A name not yet taken, as near to `wanted` as possible. */
  freshName(wanted: string): string {
    if (!this.#values.has(wanted)) return wanted
    for (let i = 1; ; i++) if (!this.#values.has(`${wanted}_${i}`)) return `${wanted}_${i}`
  }

  addInput(name: string, type: TensorType): string {
    this.#define(name, type, null)
    this.inputs.push(name)
    return name
  }

  addConstant(wanted: string, constant: Constant, quantization: Quantization | null = null): string {
    const name = this.freshName(wanted)
    this.#define(name, { dtype: constant.dtype, shape: constant.shape, quantization }, constant)
    return name
  }

  addNode(spec: NewNode): Node {
    for (const output of spec.outputs) this.#define(output.name, output.type, null)
    const node: Node = {
      name: spec.name,
      op: spec.op,
      inputs: [...spec.inputs],
      outputs: spec.outputs.map((output) => output.name),
      source: spec.source ?? null,
    }
    this.#insert(node)
    return node
  }

  /** Puts a changed copy in a node's place; outputs keep their values unless their names change. */
  updateNode(node: Node, change: Partial<Pick<Node, 'op' | 'inputs' | 'outputs' | 'name'>>): Node {
    if (!this.#nodes.has(node)) throw new EdgewrightError('GRAPH_INVALID', `Node ${node.name} is not in this graph.`)
    const updated: Node = { ...node, ...change }
    // a Set keeps insertion order; finish() sorts anyway
    this.#delete(node)
    this.#insert(updated)
    return updated
  }

  removeNode(node: Node): void {
    this.#delete(node)
  }

  retype(name: string, type: TensorType): void {
    this.#values.set(name, { ...this.value(name), type })
  }

  /** Every use of `from`, as operand or graph output, becomes a use of `to`. Captured names are left alone. */
  redirect(from: string, to: string): void {
    for (const node of this.consumers(from)) {
      if (!node.inputs.includes(from)) continue
      this.updateNode(node, { inputs: node.inputs.map((input) => (input === from ? to : input)) })
    }
    this.outputs = this.outputs.map((output) => (output === from ? to : output))
  }

  /** A sorted graph of what the outputs need. Inputs stay even when unused. */
  finish(): Graph {
    const nodes = sortTopologically(this.#needed(), this.name)
    const names = new Set([...this.inputs, ...this.outputs])
    for (const node of nodes) {
      for (const name of usedNames(node)) names.add(name)
      for (const name of node.outputs) names.add(name)
    }
    const values = new Map<string, Value>()
    for (const name of names) values.set(name, this.value(name))
    return { name: this.name, inputs: this.inputs, outputs: this.outputs, values, nodes }
  }

  #define(name: string, type: TensorType, constant: Constant | null): void {
    if (this.#values.has(name))
      throw new EdgewrightError('GRAPH_INVALID', `Two values are named ${JSON.stringify(name)}.`, { where: this.name })
    this.#values.set(name, { name, type, constant })
  }

  #insert(node: Node): void {
    this.#nodes.add(node)
    for (const output of node.outputs) this.#producers.set(output, node)
    for (const name of usedNames(node)) {
      const readers = this.#readers.get(name)
      if (readers) readers.add(node)
      else this.#readers.set(name, new Set([node]))
    }
  }

  #delete(node: Node): void {
    this.#nodes.delete(node)
    for (const output of node.outputs) if (this.#producers.get(output) === node) this.#producers.delete(output)
    for (const name of usedNames(node)) this.#readers.get(name)?.delete(node)
  }

  #needed(): Node[] {
    const needed = new Set<Node>()
    const pending = [...this.outputs]
    while (pending.length > 0) {
      const node = this.#producers.get(pending.pop()!)
      if (!node || needed.has(node)) continue
      needed.add(node)
      pending.push(...usedNames(node))
    }
    return this.nodes.filter((node) => needed.has(node))
  }
}

/** Everything a node reads: its operands and what its subgraphs capture. */
export function usedNames(node: Node): string[] {
  const names = node.inputs.filter((input): input is string => input !== null)
  return node.op.kind === 'Opaque' ? [...names, ...node.op.captures] : names
}

/** Kahn's algorithm, stable in the given order. Throws GRAPH_INVALID naming a node on a cycle. */
export function sortTopologically(nodes: readonly Node[], where: string): Node[] {
  const producers = new Map<string, Node>()
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node)
  const waiting = new Map<Node, number>()
  const followers = new Map<Node, Node[]>()
  for (const node of nodes) {
    const before = new Set(usedNames(node).map((name) => producers.get(name)).filter((p): p is Node => p !== undefined))
    waiting.set(node, before.size)
    for (const producer of before) {
      const list = followers.get(producer)
      if (list) list.push(node)
      else followers.set(producer, [node])
    }
  }
  const rank = new Map(nodes.map((node, index) => [node, index]))
  const ready = new MinHeap<Node>((a, b) => rank.get(a)! - rank.get(b)!)
  for (const node of nodes) if (waiting.get(node) === 0) ready.push(node)
  const sorted: Node[] = []
  for (let node = ready.pop(); node; node = ready.pop()) {
    sorted.push(node)
    for (const follower of followers.get(node) ?? []) {
      const left = waiting.get(follower)! - 1
      waiting.set(follower, left)
      if (left === 0) ready.push(follower)
    }
  }
  if (sorted.length < nodes.length) {
    const stuck = nodes.find((node) => waiting.get(node)! > 0)!
    throw new EdgewrightError('GRAPH_INVALID', 'The graph has a cycle.', { where, saw: `node ${stuck.name} needs its own result` })
  }
  return sorted
}

class MinHeap<T> {
  readonly #items: T[] = []
  readonly #compare: (a: T, b: T) => number
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare
  }
  push(item: T): void {
    const items = this.#items
    let i = items.push(item) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (this.#compare(items[parent]!, items[i]!) <= 0) break
      ;[items[parent], items[i]] = [items[i]!, items[parent]!]
      i = parent
    }
  }
  pop(): T | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (items.length === 0 || last === undefined) return top
    items[0] = last
    for (let i = 0; ; ) {
      const left = 2 * i + 1
      if (left >= items.length) break
      const right = left + 1
      const child = right < items.length && this.#compare(items[right]!, items[left]!) < 0 ? right : left
      if (this.#compare(items[i]!, items[child]!) <= 0) break
      ;[items[i], items[child]] = [items[child]!, items[i]!]
      i = child
    }
    return top
  }
}
