import type { Op } from '../../../graph/ops.ts'
import type { Graph, Node } from '../../../graph/types.ts'
import { type ChannelUnion, unscaled } from '../../../passes/equalization/channel-union.ts'

/** The class of channels that nothing may remove. */
export const pinned = unscaled

/** For each axis of a value, a member of the union for each index along it; null where the axis keeps all it has. */
export type AxisLabels = readonly (Int32Array | null)[]

/**
 * How channels pass an operator: labels of its outputs, or null for what mixes them in a way that no rule knows, so
 * that all it reads stays. Cuts of constant operands and sums over channels are told to the labelling.
 */
export type LabelRule<O extends Op = Op> = (op: O, labelling: Labelling) => readonly AxisLabels[] | null

/** Along each labelled axis a constant operand loses what its labels lose. */
export interface LabelledCut {
  readonly node: Node
  readonly input: number
  readonly axes: (Int32Array | null)[]
}

/** An operand that an operator sums over along an axis: there a channel that is gone counts as zeros. */
export interface ChannelRead {
  readonly node: Node
  readonly input: number
  readonly axis: number
}

/** One operator as a rule sees it, and what the rule says of it. */
export class Labelling {
  readonly node: Node
  readonly union: ChannelUnion
  /** Labels of operands; all null for constants and for operands that are left out. */
  readonly labels: readonly AxisLabels[]
  readonly shapes: readonly (readonly number[])[]
  readonly outputShapes: readonly (readonly number[])[]
  readonly cuts = new Map<number, LabelledCut>()
  readonly reads: ChannelRead[] = []
  readonly #graph: Graph

  constructor(graph: Graph, node: Node, union: ChannelUnion, known: ReadonlyMap<string, AxisLabels>) {
    const shapeOf = (name: string | null) => (name === null ? [] : graph.values.get(name)!.type.shape)
    this.#graph = graph
    this.node = node
    this.union = union
    this.shapes = node.inputs.map(shapeOf)
    this.outputShapes = node.outputs.map(shapeOf)
    this.labels = node.inputs.map(
      (name, input) => known.get(name ?? '') ?? this.shapes[input]!.map(() => null),
    )
  }

  has(input: number): boolean {
    return this.node.inputs[input] !== null && this.node.inputs[input] !== undefined
  }

  isConstant(input: number): boolean {
    return this.constant(input) !== null
  }

  constant(input: number) {
    return this.has(input) ? this.#graph.values.get(this.node.inputs[input]!)!.constant : null
  }

  /** New channels. An axis of one index has none: it could lose nothing. */
  fresh(count: number): Int32Array | null {
    return count > 1 ? this.union.fresh(count) : null
  }

  pin(input: number, axis: number): void {
    const labels = this.labels[input]?.[axis]
    if (labels) this.union.pin(labels)
  }

  /** A constant operand has the channels of `labels` along an axis. */
  cut(input: number, axis: number, labels: Int32Array | null): void {
    if (!labels) return
    const known = this.cuts.get(input)
    const cut = known ?? { node: this.node, input, axes: this.shapes[input]!.map(() => null) }
    cut.axes[axis] = labels
    this.cuts.set(input, cut)
  }

  read(input: number, axis: number): void {
    this.reads.push({ node: this.node, input, axis })
  }

  /** The channels that several operands have in common along an axis each: united, cut, or pinned where one is neither. */
  share(places: readonly { readonly input: number; readonly axis: number }[]): Int32Array | null {
    const labelled = places.flatMap(({ input, axis }) => this.labels[input]![axis] ?? [])
    const [first] = labelled
    if (!first) return null
    for (const other of labelled) this.union.uniteAll(first, other)
    for (const { input, axis } of places) {
      if (this.isConstant(input)) this.cut(input, axis, first)
      else if (!this.labels[input]![axis]) this.union.pin(first)
    }
    return first
  }

  /** numpy broadcasting of operands to a shape: labels of the result. */
  broadcast(inputs: readonly number[], shape: readonly number[]): AxisLabels {
    return shape.map((size, axis) => {
      if (size === 1) return null
      const places = inputs.flatMap((input) => {
        if (!this.has(input)) return []
        const own = axis - (shape.length - this.shapes[input]!.length)
        return own >= 0 && this.shapes[input]![own] === size ? [{ input, axis: own }] : []
      })
      return this.share(places)
    })
  }
}
