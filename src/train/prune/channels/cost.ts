import { macsOf } from '../../../graph/macs.ts'
import type { Graph, Node } from '../../../graph/types.ts'
import { elementCount } from '../../../tensor.ts'
import { type ChannelStructure, channelStructure, type GroupAxes, staysGroup } from './structure.ts'

/** What a network costs. */
export interface ChannelCost {
  /** Multiply-adds, as `macsOf` counts them. */
  readonly macs: number
  /** Elements of the kernels and matrices of its layers. */
  readonly weights: number
}

/** An axis of a tensor that shrinks. */
interface Extent {
  left: number
  /** How many of its indices each group has. */
  readonly indices: ReadonlyMap<number, number>
}

/** A product of sizes, of which some shrink. */
interface Term {
  readonly of: keyof ChannelCost
  readonly fixed: number
  readonly extents: readonly Extent[]
}

/** Multiply-adds and weights of a network as groups of channels are taken out of it one after the other. */
export class RunningCost {
  /** By group, what it is a factor of. */
  readonly #terms: readonly (readonly Term[])[]
  /** By group, every axis of the graph that it is on. */
  readonly #extents: readonly (readonly Extent[])[]
  #now: ChannelCost
  readonly total: ChannelCost

  constructor(graph: Graph, structure: ChannelStructure = channelStructure(graph)) {
    const { groupCount, values, cuts } = structure
    const cutOf = new Map(cuts.map(({ node, input, axes }) => [`${input} of ${node.outputs[0]}`, axes]))
    const axesOf = (node: Node, input: number): GroupAxes =>
      cutOf.get(`${input} of ${node.outputs[0]}`) ?? values.get(node.inputs[input]!) ?? []
    const known = new Map<Int32Array, Extent>()
    const extentOf = (groups: Int32Array) => {
      const extent = known.get(groups) ?? { left: groups.length, indices: countOf(groups) }
      known.set(groups, extent)
      return extent
    }
    const term = (of: keyof ChannelCost, size: number, axes: GroupAxes): Term => {
      const extents = axes.flatMap((groups) => (groups ? [extentOf(groups)] : []))
      return { of, fixed: size / extents.reduce((product, { left }) => product * left, 1), extents }
    }
    const terms: Term[] = []
    const weighed = new Set<string>()
    for (const node of graph.nodes) {
      const macs = macsOf(node, graph)
      if (macs === 0) continue
      terms.push(term('macs', macs, factorsOf(node, values.get(node.outputs[0]!) ?? [], axesOf)))
      node.inputs.slice(0, 2).forEach((name, input) => {
        const constant = graph.values.get(name!)!.constant
        if (!constant || weighed.has(name!)) return
        weighed.add(name!)
        terms.push(term('weights', elementCount(constant.shape), axesOf(node, input)))
      })
    }
    for (const axes of [...values.values(), ...cuts.map((cut) => cut.axes)])
      for (const groups of axes) if (groups) extentOf(groups)
    this.#terms = byGroup(groupCount, terms, ({ extents }) => extents)
    this.#extents = byGroup(groupCount, [...known.values()], (extent) => [extent])
    this.#now = { macs: sum(terms, 'macs'), weights: sum(terms, 'weights') }
    this.total = this.#now
  }

  get now(): ChannelCost {
    return this.#now
  }

  /** What groups cost now, together. */
  savedBy(groups: readonly number[]): ChannelCost {
    const saved = { macs: 0, weights: 0 }
    for (const term of new Set(groups.flatMap((group) => this.#terms[group]!)))
      saved[term.of] += product(term) - product(term, groups)
    return saved
  }

  /** True where every tensor keeps a channel without them. */
  canLose(groups: readonly number[]): boolean {
    const affected = new Set(groups.flatMap((group) => this.#extents[group]!))
    return [...affected].every((extent) => leftWithout(extent, groups) >= 1)
  }

  remove(groups: readonly number[]): void {
    const saved = this.savedBy(groups)
    for (const group of groups)
      for (const extent of this.#extents[group]!) extent.left -= extent.indices.get(group)!
    this.#now = { macs: this.#now.macs - saved.macs, weights: this.#now.weights - saved.weights }
  }

  /** What is alike of groups that save alike, whatever goes: the same parts of the same products. */
  kindOf(group: number): string {
    const place = (extent: Extent) => {
      if (!this.#numbers.has(extent)) this.#numbers.set(extent, this.#numbers.size)
      return `${this.#numbers.get(extent)}×${extent.indices.get(group)}`
    }
    return this.#extents[group]!.map(place).join()
  }
  readonly #numbers = new Map<Extent, number>()
}

/** The axes whose sizes the multiply-adds of a layer are the product of. */
function factorsOf(node: Node, made: GroupAxes, axesOf: (node: Node, input: number) => GroupAxes): GroupAxes {
  const { op } = node
  switch (op.kind) {
    case 'Conv':
      return [...made, ...axesOf(node, 1).slice(1)]
    case 'ConvTranspose':
      return [...axesOf(node, 0), ...axesOf(node, 1).slice(1)]
    case 'Gemm':
      return [...made, axesOf(node, 0)[op.transA ? 0 : 1] ?? null]
    case 'MatMul':
      return [...made, axesOf(node, 0).at(-1) ?? null]
    default:
      return []
  }
}

function product({ fixed, extents }: Term, without: readonly number[] = []): number {
  return extents.reduce((size, extent) => size * leftWithout(extent, without), fixed)
}

function leftWithout({ left, indices }: Extent, groups: readonly number[]): number {
  return groups.reduce((count, group) => count - (indices.get(group) ?? 0), left)
}

function sum(terms: readonly Term[], of: keyof ChannelCost): number {
  return terms.reduce((total, term) => total + (term.of === of ? product(term) : 0), 0)
}

function countOf(groups: Int32Array): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1)
  return counts
}

function byGroup<T>(
  groupCount: number,
  all: readonly T[],
  extentsOf: (one: T) => readonly Extent[],
): readonly (readonly T[])[] {
  const found = Array.from({ length: groupCount + 1 }, (): T[] => [])
  for (const one of all)
    for (const group of new Set(extentsOf(one).flatMap(({ indices }) => [...indices.keys()])))
      if (group !== staysGroup) found[group]!.push(one)
  return found
}
