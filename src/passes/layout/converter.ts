import { EdgewrightError } from '../../error.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Layout, Op } from '../../graph/ops.ts'
import type { Constant, Graph, Node, NodeSource, TensorType, Value } from '../../graph/types.ts'
import { elementCount } from '../../tensor.ts'
import { permuteConstant, reorderConstant, reshapeConstant } from '../../graph/rearrange.ts'
import {
  compose,
  identity,
  invert,
  isIdentity,
  type Permutation,
  permute,
  permuteType,
  sameElementOrder,
  samePermutation,
} from './permutation.ts'

/** Stored element i along `axis` is element `index[i]`: what is left of a flatten that met another layout. */
export interface ElementOrder {
  readonly axis: number
  readonly index: Uint32Array
}

/** How a value of the source graph is at hand in the new one. */
export interface Stored {
  readonly name: string
  readonly perm: Permutation
  readonly order: ElementOrder | null
}

/**
 * The new graph while it grows. Values keep their names where they can: one that is stored in another order gives its
 * name up only if the outside (an output, a subgraph) knows it.
 */
export class LayoutConverter {
  readonly source: Graph
  readonly to: Layout
  readonly #stored = new Map<string, Stored>()
  readonly #values = new Map<string, Value>()
  readonly #nodes: Node[] = []
  readonly #readers = new Map<string, Node[]>()
  readonly #reordered = new Map<string, string>()
  readonly #known: ReadonlySet<string>
  readonly #captured: ReadonlySet<string>

  constructor(source: Graph, to: Layout) {
    this.source = source
    this.to = to
    this.#captured = new Set(source.nodes.flatMap(({ op }) => (op.kind === 'Opaque' ? op.captures : [])))
    this.#known = new Set([...source.inputs, ...source.outputs, ...this.#captured])
    for (const node of source.nodes)
      for (const name of new Set(node.inputs)) {
        if (name === null) continue
        const readers = this.#readers.get(name)
        if (readers) readers.push(node)
        else this.#readers.set(name, [node])
      }
  }

  type(name: string): TensorType {
    return this.#sourceValue(name).type
  }

  shape(name: string): readonly number[] {
    return this.type(name).shape
  }

  constant(name: string): Constant | null {
    return this.#sourceValue(name).constant
  }

  /** Who reads a value in the source graph. */
  readers(name: string): readonly Node[] {
    return this.#readers.get(name) ?? []
  }

  /** True where the outside reads a value under its name. */
  isKnown(name: string): boolean {
    return this.#known.has(name)
  }

  isCaptured(name: string): boolean {
    return this.#captured.has(name)
  }

  /** A value that is not constant, as it stands; null before it is made. */
  at(name: string): Stored | null {
    return this.#stored.get(name) ?? null
  }

  perm(name: string): Permutation {
    return this.at(name)?.perm ?? identity(this.shape(name).length)
  }

  addInput(name: string, perm: Permutation): void {
    this.#values.set(name, { name, type: permuteType(this.type(name), perm), constant: null })
    this.#stored.set(name, { name, perm, order: null })
  }

  /** Says that a value of the source graph is another one seen through a permutation: no node is needed. */
  alias(name: string, stored: Stored): void {
    this.#stored.set(name, stored)
  }

  /** The name under which a value is at hand in a given order of axes, brought into it where need be. */
  get(name: string, perm: Permutation = identity(this.shape(name).length)): string {
    const constant = this.constant(name)
    if (constant) return this.#constantAs(name, constant, perm)
    const stored = this.at(name)
    if (!stored || stored.order)
      throw new EdgewrightError('INTERNAL', `Internal error: ${name} cannot be brought into another layout.`)
    if (samePermutation(stored.perm, perm)) return stored.name
    const key = `${stored.name}\0${compose(invert(stored.perm), perm)}`
    const found = this.#reordered.get(key)
    if (found !== undefined) return found
    const made = this.#reorder(name, stored, perm)
    this.#reordered.set(key, made)
    return made
  }

  /**
   * An operand of lower rank than the result it broadcasts to, for axes stored as `perm` of that result.
   */
  broadcastTo(name: string, perm: Permutation): string {
    const { shape } = this.type(name)
    const missing = perm.length - shape.length
    if (missing === 0) return this.get(name, perm)
    if (isIdentity(perm) || elementCount(shape) === 1) return this.get(name)
    const full = [...new Array<number>(missing).fill(1), ...shape]
    const constant = this.constant(name)
    const type = { ...this.type(name), shape: full }
    const axis = type.quantization?.axis ?? null
    const aligned: TensorType =
      type.quantization && axis !== null
        ? { ...type, quantization: { ...type.quantization, axis: axis + missing } }
        : type
    const result = permuteType(aligned, perm)
    if (constant)
      return this.#shortConstant(name, permuteConstant(reshapeConstant(constant, full), perm), result)
    const low = this.get(name)
    const key = `${low}\0to\0${perm}`
    const found = this.#reordered.get(key)
    if (found !== undefined) return found
    const made = sameElementOrder(full, perm, identity(perm.length))
      ? this.#add(name, { kind: 'Reshape', shape: [...result.shape] }, [low], result, 'aligned')
      : this.#add(
          name,
          { kind: 'Transpose', perm: [...perm] },
          [this.#add(name, { kind: 'Reshape', shape: full }, [low], aligned, 'aligned')],
          result,
          'transposed',
        )
    this.#reordered.set(key, made)
    return made
  }

  /** A constant with its elements along one axis in another order. */
  reorderedConstant(name: string, axis: number, { index }: ElementOrder): string {
    const constant = reorderConstant(this.constant(name)!, axis, index)
    const type = this.type(name)
    const { quantization } = type
    const moved =
      quantization && quantization.axis === axis
        ? {
            ...quantization,
            scales: Array.from(index, (i) => quantization.scales[i]!),
            zeroPoints: Array.from(index, (i) => quantization.zeroPoints[i]!),
          }
        : quantization
    return this.#addConstant(`${name}\0order\0${constant.digest}`, name, constant, {
      ...type,
      quantization: moved,
    })
  }

  /** Puts an operator into the new graph; its outputs are stored as said, one entry for each. */
  emit(
    node: Node,
    op: Op,
    inputs: readonly (string | null)[],
    perms: readonly Permutation[],
    order: ElementOrder | null = null,
  ): void {
    const outputs = node.outputs.map((name, i) => {
      const perm = perms[i]!
      const type = permuteType(this.type(name), perm)
      const plain = isIdentity(perm) && order === null
      const stored = plain || !this.isKnown(name) ? name : this.#freshName(`${name}_${this.to}`)
      this.#values.set(stored, { name: stored, type, constant: null })
      this.#stored.set(name, { name: stored, perm, order })
      return stored
    })
    this.#nodes.push({ ...node, op, inputs, outputs })
  }

  /** Makes a value readable under its own name and in its own order. */
  publish(name: string): void {
    const at = this.get(name)
    if (at === name) return
    const producer = this.#nodes.findIndex(({ outputs }) => outputs.includes(at))
    if (producer >= 0 && !this.isKnown(at)) {
      this.#rename(at, name)
      return
    }
    this.#values.set(name, { name, type: this.type(name), constant: null })
    this.#nodes.push({
      name: `${name}_copy`,
      op: { kind: 'Identity' },
      inputs: [at],
      outputs: [name],
      source: null,
    })
  }

  /** An output given to the outside as it is stored. */
  publishAsStored(name: string): void {
    const { name: at } = this.at(name)!
    if (at !== name) this.#rename(at, name)
  }

  finish(): Graph {
    const { name, inputs, outputs } = this.source
    return new GraphEditor({ name, inputs, outputs, values: this.#values, nodes: this.#nodes }).finish()
  }

  #sourceValue(name: string): Value {
    const value = this.source.values.get(name)
    if (!value) throw new EdgewrightError('GRAPH_INVALID', `No value is named ${JSON.stringify(name)}.`)
    return value
  }

  #constantAs(name: string, constant: Constant, perm: Permutation): string {
    if (isIdentity(perm)) {
      this.#values.set(name, this.#sourceValue(name))
      return name
    }
    const moved = sameElementOrder(constant.shape, perm, identity(perm.length))
      ? reshapeConstant(constant, permute(constant.shape, perm))
      : permuteConstant(constant, perm)
    return this.#addConstant(`${name}\0${perm}`, name, moved, permuteType(this.type(name), perm))
  }

  /** Without the leading axes of size 1, which broadcasting adds again. */
  #shortConstant(name: string, constant: Constant, type: TensorType): string {
    const axis = type.quantization?.axis ?? null
    const first = type.shape.findIndex((size) => size !== 1)
    const lead = Math.min(first < 0 ? type.shape.length - 1 : first, axis ?? Infinity)
    const shape = type.shape.slice(lead)
    const quantization =
      type.quantization && axis !== null ? { ...type.quantization, axis: axis - lead } : type.quantization
    const short = reshapeConstant(constant, shape)
    return this.#addConstant(`${name}\0short\0${short.digest}`, name, short, { ...type, shape, quantization })
  }

  #addConstant(key: string, name: string, constant: Constant, type: TensorType): string {
    const found = this.#reordered.get(key)
    if (found !== undefined) return found
    const made = this.#freshName(`${name}_${this.to}`)
    this.#values.set(made, { name: made, type, constant })
    this.#reordered.set(key, made)
    return made
  }

  /** Leads from the stored order to another: a Reshape where only axes of size 1 move. */
  #reorder(name: string, { name: from, perm: stored }: Stored, perm: Permutation): string {
    const type = permuteType(this.type(name), perm)
    const op: Op = sameElementOrder(this.shape(name), stored, perm)
      ? { kind: 'Reshape', shape: [...type.shape] }
      : { kind: 'Transpose', perm: compose(invert(stored), perm) }
    return this.#add(name, op, [from], type, 'transposed')
  }

  #add(name: string, op: Op, inputs: string[], type: TensorType, suffix: string): string {
    const made = this.#freshName(`${name}_${suffix}`)
    this.#values.set(made, { name: made, type, constant: null })
    const source: NodeSource | null = null
    this.#nodes.push({ name: made, op, inputs, outputs: [made], source })
    return made
  }

  #rename(from: string, to: string): void {
    const { type, constant } = this.#values.get(from)!
    this.#values.delete(from)
    this.#values.set(to, { name: to, type, constant })
    const renamed = (name: string | null) => (name === from ? to : name)
    this.#nodes.forEach((node, i) => {
      if (!node.inputs.includes(from) && !node.outputs.includes(from)) return
      this.#nodes[i] = {
        ...node,
        inputs: node.inputs.map(renamed),
        outputs: node.outputs.map(renamed) as string[],
      }
    })
    for (const [key, name] of this.#reordered) if (name === from) this.#reordered.set(key, to)
    for (const [key, stored] of this.#stored)
      if (stored.name === from) this.#stored.set(key, { ...stored, name: to })
  }

  #freshName(wanted: string): string {
    const taken = (name: string) => this.#values.has(name) || this.source.values.has(name)
    if (!taken(wanted)) return wanted
    for (let i = 1; ; i++) if (!taken(`${wanted}_${i}`)) return `${wanted}_${i}`
  }
}
