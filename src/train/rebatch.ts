import { EdgewrightError } from '../error.ts'
import { GraphEditor } from '../graph/edit.ts'
import { inferTypes } from '../graph/infer.ts'
import type { Graph, Node } from '../graph/types.ts'
import { type BatchAxis, type Follow, type Followed, followBatch, type Repeat } from './rebatch-rules.ts'

/**
 * The same network for another number of samples at a time. The batch is axis 0 of every input; it is followed from
 * there through the graph, and what states its size (shapes of Reshape, Expand, Resize, Slice) is changed. A constant
 * that meets it where a batch of 1 needed no repetition (a class token) is repeated. The same function, row by row.
 *
 * @param batchSize samples at a time, 1 or more
 * @returns the same graph where its batch is that already
 * @throws GRAPH_INVALID where inputs disagree on the batch; OPERATOR_UNSUPPORTED naming the operator that mixes samples,
 * or through which the batch cannot be followed
 */
export function rebatch(graph: Graph, batchSize: number): Graph {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1)
    throw new EdgewrightError('USAGE', 'A batch is a whole number of samples, 1 or more.', {
      saw: `${batchSize}`,
    })
  const before = batchOf(graph)
  return before === batchSize ? graph : new Rebatching(graph, before, batchSize).run()
}

/** How many samples a graph takes at a time: the first axis of its inputs. */
export function batchOf(graph: Graph): number {
  const sizes = new Map<number, string>()
  for (const name of graph.inputs) {
    const size = graph.values.get(name)!.type.shape[0]
    if (size !== undefined && !sizes.has(size)) sizes.set(size, name)
  }
  if (sizes.size === 1) return [...sizes.keys()][0]!
  const saw = [...sizes].map(([size, name]) => `${name}: ${size}`).join(', ')
  throw new EdgewrightError(
    'GRAPH_INVALID',
    sizes.size === 0
      ? 'No input of the network has an axis for samples.'
      : 'The inputs of the network disagree on the number of samples, their first axis.',
    { where: graph.name, ...(saw && { saw }), hint: 'Train with the batch that the file states.' },
  )
}

class Rebatching {
  readonly #graph: Graph
  readonly #editor: GraphEditor
  readonly #from: number
  readonly #to: number
  readonly #axes = new Map<string, BatchAxis>()
  readonly #repetitions = new Set<string>()

  constructor(graph: Graph, from: number, to: number) {
    this.#graph = graph
    this.#editor = new GraphEditor(graph)
    this.#from = from
    this.#to = to
  }

  run(): Graph {
    for (const name of this.#graph.inputs) {
      const { type } = this.#graph.values.get(name)!
      if (type.shape.length === 0) continue
      this.#axes.set(name, { axis: 0, inner: 1 })
      this.#editor.retype(name, { ...type, shape: type.shape.with(0, this.#to) })
    }
    // with one sample nothing is repeated
    for (const node of this.#graph.nodes) if (this.#from === 1 || !this.#repeatAgain(node)) this.#follow(node)
    this.#requireRows()
    if (this.#to === 1 && this.#from > 1) this.#withoutRepetitions()
    return this.#editor.finish()
  }

  #follow(node: Node): void {
    const inputs = node.inputs.map((name) => (name === null ? null : (this.#axes.get(name) ?? null)))
    const captures = node.op.kind === 'Opaque' ? node.op.captures : []
    if (inputs.every((axis) => axis === null) && !captures.some((name) => this.#axes.has(name))) return
    const followed = followBatch(this.#contextOf(node, inputs))
    if (typeof followed === 'string') throw refused(node, followed, this.#from)
    const repeated = this.#repeated(node, followed)
    const operands = repeated.map((name) => (name === null ? null : { type: this.#editor.type(name) }))
    const op = followed.op ?? node.op
    const types = inferTypes(op, operands, node.outputs.length, node.name)
    this.#editor.updateNode(node, { op, inputs: repeated })
    node.outputs.forEach((name, index) => {
      const axis = followed.outputs[index]
      if (axis) this.#axes.set(name, axis)
      this.#editor.retype(name, { ...this.#editor.type(name), shape: types[index]!.shape })
    })
  }

  /** A constant that an earlier change of the batch repeated. */
  #repeatAgain(node: Node): boolean {
    const axis = repeatedAlong(node, this.#from)
    if (axis === null) return false
    const [x, output] = [node.inputs[0]!, node.outputs[0]!]
    const type = this.#editor.type(x)
    this.#axes.set(output, { axis, inner: type.shape[axis]! })
    const repeats = type.shape.map((_, at) => (at === axis ? this.#to : 1))
    this.#editor.updateNode(node, { op: { kind: 'Tile', repeats } })
    this.#editor.retype(output, { ...type, shape: type.shape.with(axis, type.shape[axis]! * this.#to) })
    return true
  }

  #contextOf(node: Node, inputs: readonly (BatchAxis | null)[]): Follow {
    const shapeOf = (name: string) => this.#graph.values.get(name)!.type.shape
    return {
      op: node.op,
      inputs,
      shapes: node.inputs.map((name) => (name === null ? null : shapeOf(name))),
      outputShapes: node.outputs.map(shapeOf),
      from: this.#from,
      to: this.#to,
    }
  }

  /** Operands, those that must be repeated for each sample behind a Tile. */
  #repeated(node: Node, { repeat }: Followed): (string | null)[] {
    return node.inputs.map((name, index) => {
      const along = repeat?.find(({ input }) => input === index)
      return name === null || along === undefined ? name : this.#tile(name, along)
    })
  }

  #tile(name: string, { axis }: Repeat): string {
    const made = `${name}${repeatedName}${axis}`
    if (this.#repetitions.has(made)) return made
    this.#repetitions.add(made)
    const type = this.#editor.type(name)
    const repeats = type.shape.map((_, at) => (at === axis ? this.#to : 1))
    const shape = type.shape.with(axis, type.shape[axis]! * this.#to)
    this.#editor.addNode({
      name: made,
      op: { kind: 'Tile', repeats },
      inputs: [name],
      outputs: [{ name: made, type: { ...type, shape } }],
    })
    return made
  }

  /** For one sample nothing is repeated. */
  #withoutRepetitions(): void {
    for (const node of this.#editor.nodes) {
      if (repeatedAlong(node, 1) === null) continue
      this.#editor.removeNode(node)
      this.#editor.redirect(node.outputs[0]!, node.inputs[0]!)
    }
  }

  #requireRows(): void {
    for (const name of this.#graph.outputs) {
      const at = this.#axes.get(name)
      if (at && at.axis === 0 && at.inner === 1) continue
      throw new EdgewrightError(
        'OPERATOR_UNSUPPORTED',
        'An output of the network does not have the samples as its first axis.',
        {
          where: name,
          saw: `[${this.#graph.values.get(name)!.type.shape.join(', ')}]`,
          hint: hint(this.#from),
        },
      )
    }
  }
}

const repeatedName = '_for_each_sample_'

/** The axis along which a node that `rebatch` made repeats a constant for a batch; null for any other node. */
function repeatedAlong({ op, name, inputs }: Node, batch: number): number | null {
  if (op.kind !== 'Tile') return null
  const axis = op.repeats.findIndex((_, at) => name === `${inputs[0]}${repeatedName}${at}`)
  return axis >= 0 && op.repeats.every((times, at) => times === (at === axis ? batch : 1)) ? axis : null
}

function refused(node: Node, reason: string, batch: number): EdgewrightError {
  return new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'The network cannot take another number of samples at a time: an operator mixes them.',
    {
      where: node.source?.name || node.name,
      saw: `${node.op.kind === 'Opaque' ? node.op.opType : node.op.kind}: ${reason}`,
      hint: hint(batch),
    },
  )
}

function hint(batch: number): string {
  return `Train it with batch ${batch}.`
}
