import type { Graph } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import type { PrecisionGroup } from './precision-groups.ts'

/**
 * What a float operator costs beyond an integer one, in integer multiply-accumulates, by order of magnitude: float takes
 * about three times as long for each on CPUs with dot products of bytes; a weight is three bytes more to read each time,
 * which is all that counts in a fully connected layer; a conversion goes over memory for each element. Only the order of
 * groups depends on these.
 */
const perFloatMac = 2
const perFloatWeight = 12
const perConvertedElement = 16

/** Groups that add less than this share of the noise wait until those that add more are in float. */
const leastShare = 1e-3

export interface PlacementOptions {
  /** True where the network's inputs and outputs are reals. */
  readonly realBoundary: boolean
}

/**
 * The order in which groups go to float: each next one takes away the most noise for its cost, which counts what
 * conversions it adds and saves, so that a float region grows rather than another starts. A group whose cost is below
 * that of the conversions around it goes along for nothing.
 *
 * @param noise what each group adds at the outputs, in any unit that adds up
 * @returns indices into `groups`; every prefix is a placement
 */
export function floatOrder(
  graph: Graph,
  groups: readonly PrecisionGroup[],
  noise: readonly number[],
  options: PlacementOptions,
): number[] {
  const cost = new PlacementCost(graph, groups, options)
  const floor = leastShare * noise.reduce((sum, one) => sum + Math.max(0, one), 0)
  const order: number[] = []
  const left = new Set(groups.keys())
  while (left.size > 0) {
    let best: { index: number; rank: readonly number[] } | null = null
    for (const index of left) {
      const price = cost.of(index, order)
      const gain = Math.max(0, noise[index]!)
      // first what makes the network cheaper, then what is worth its price, then the rest by price
      const touches = order.length > 0 && price < 0
      const rank = touches ? [2, -price] : gain > floor ? [1, gain / Math.max(price, 1)] : [0, -price]
      if (!best || isAbove(rank, best.rank)) best = { index, rank }
    }
    order.push(best!.index)
    left.delete(best!.index)
  }
  return order
}

function isAbove([a, x]: readonly number[], [b, y]: readonly number[]): boolean {
  return a! > b! || (a === b && x! > y!)
}

/** What groups in float cost, the conversions at their borders included. */
export class PlacementCost {
  readonly #groups: readonly PrecisionGroup[]
  readonly #realBoundary: boolean
  /** Of each real value between groups. */
  readonly #values: Border[]
  /** By group: the indices of the values that it makes or reads. */
  readonly #touched: number[][]

  constructor(graph: Graph, groups: readonly PrecisionGroup[], { realBoundary }: PlacementOptions) {
    this.#groups = groups
    this.#realBoundary = realBoundary
    this.#values = bordersOf(graph, groups)
    this.#touched = groups.map(() => [])
    for (const [at, { maker, readers }] of this.#values.entries())
      for (const group of new Set([maker, ...readers]))
        if (typeof group === 'number') this.#touched[group]!.push(at)
  }

  /** What it costs more that a group goes to float where those of `float` are; below 0 where it saves conversions. */
  of(group: number, float: readonly number[]): number {
    const before = new Set(float)
    const after = new Set([...float, group])
    before.delete(group)
    const conversions = this.#touched[group]!.reduce(
      (sum, at) =>
        sum + this.#converted(this.#values[at]!, after) - this.#converted(this.#values[at]!, before),
      0,
    )
    const { macs, weights } = this.#groups[group]!
    return perFloatMac * macs + perFloatWeight * weights + perConvertedElement * conversions
  }

  /** Elements converted of one value. */
  #converted({ maker, readers, elements }: Border, float: ReadonlySet<number>): number {
    const isReal = (end: End) =>
      typeof end === 'number' ? float.has(end) : end === 'float' || this.#realBoundary
    const made = isReal(maker)
    return readers.some((reader) => isReal(reader) !== made) ? elements : 0
  }
}

/** A group, an operator that is in float whatever is chosen, or the network's edge. */
type End = number | 'float' | 'boundary'

interface Border {
  readonly maker: End
  readonly readers: readonly End[]
  readonly elements: number
}

function bordersOf(graph: Graph, groups: readonly PrecisionGroup[]): Border[] {
  const groupOf = new Map(groups.flatMap(({ nodes }, index) => nodes.map((node) => [node, index] as const)))
  const makers = new Map<string, End>(graph.inputs.map((name) => [name, 'boundary']))
  const readers = new Map<string, End[]>(graph.outputs.map((name) => [name, ['boundary']]))
  for (const node of graph.nodes) {
    const end = groupOf.get(node) ?? 'float'
    for (const name of node.outputs) makers.set(name, end)
    for (const name of node.inputs) if (name) readers.set(name, [...(readers.get(name) ?? []), end])
  }
  return [...makers].flatMap(([name, maker]) => {
    const { type } = graph.values.get(name)!
    const read = readers.get(name) ?? []
    if (type.dtype !== 'float32' || read.every((reader) => reader === maker)) return []
    return [{ maker, readers: read, elements: elementCount(type.shape) }]
  })
}
