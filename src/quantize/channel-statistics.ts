import type { Graph, Node } from '../graph/types.ts'
import { sumsOf } from './histogram.ts'

/** What was seen of each index along one axis of a tensor. */
export interface ChannelSummary {
  readonly mean: Float64Array
  readonly meanOfSquares: Float64Array
  readonly min: Float64Array
  readonly max: Float64Array
}

/** Running mean, mean square, min and max of each index along one axis of a tensor. */
export class ChannelStatistics {
  /** Elements of one channel that stand in a row. */
  readonly inner: number
  /** Σ, Σx², min and max of one channel after the other. */
  #sums: Float64Array
  #elements = 0

  constructor(shape: readonly number[], axis: number) {
    this.inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
    this.#sums = new Float64Array(4 * shape[axis]!)
    this.keepIn(this.#sums)
  }

  get channels(): number {
    return this.#sums.length / 4
  }

  /** Has the sums in this array from now on, which others may add to; to be called before anything is seen. */
  keepIn(sums: Float64Array): void {
    this.#sums = sums
    for (let at = 0; at < sums.length; at += 4)
      sums.set([0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], at)
  }

  /** Adds all elements of a tensor, row-major. */
  observe(elements: Float32Array): void {
    if (this.inner === 1) this.#observeRows(elements)
    else this.#observePlanes(elements)
    this.observed(elements.length)
  }

  /** So many elements were added to the sums. */
  observed(elements: number): void {
    this.#elements += elements
  }

  /** Zeros where nothing was seen. */
  result(): ChannelSummary {
    const each = this.#elements / this.channels
    // + 0 makes −0 a plain 0
    const column = (at: number, of: (x: number) => number) =>
      Float64Array.from({ length: this.channels }, (_, channel) =>
        each === 0 ? 0 : of(this.#sums[4 * channel + at]!) + 0,
      )
    return {
      mean: column(0, (sum) => sum / each),
      meanOfSquares: column(1, (sum) => sum / each),
      min: column(2, (min) => min),
      max: column(3, (max) => max),
    }
  }

  /** Channels next to each other. */
  #observeRows(elements: Float32Array): void {
    const sums = this.#sums
    for (let i = 0, at = 0; i < elements.length; i++, at = at + 4 === sums.length ? 0 : at + 4) {
      const x = elements[i]!
      sums[at]! += x
      sums[at + 1]! += x * x
      if (x < sums[at + 2]!) sums[at + 2] = x
      if (x > sums[at + 3]!) sums[at + 3] = x
    }
  }

  /** Each channel in one piece. */
  #observePlanes(elements: Float32Array): void {
    const sums = this.#sums
    for (let from = 0, at = 0; from < elements.length; at = at + 4 === sums.length ? 0 : at + 4) {
      const to = from + this.inner
      const { sum, sumOfSquares } = sumsOf(elements, from, to)
      sums[at]! += sum
      sums[at + 1]! += sumOfSquares
      let min = sums[at + 2]!
      let max = sums[at + 3]!
      for (; from < to; from++) {
        const x = elements[from]!
        if (x < min) min = x
        if (x > max) max = x
      }
      sums[at + 2] = min
      sums[at + 3] = max
    }
  }
}

/** Statistics for those of the wanted values that a convolution or matrix product reads, and for all of `extra`. */
export function channelStatisticsOf(
  graph: Graph,
  wanted: Iterable<string>,
  extra: ReadonlySet<string> = new Set(),
): Map<string, ChannelStatistics> {
  const axes = new ChannelAxes(graph)
  const statistics = new Map<string, ChannelStatistics>()
  for (const name of new Set([...wanted, ...extra])) {
    const axis = extra.has(name) ? axes.of(name) : axes.read(name)
    const shape = graph.values.get(name)?.type.shape ?? []
    if (axis !== undefined && shape.length > 0 && !shape.includes(0))
      statistics.set(name, new ChannelStatistics(shape, axis))
  }
  return statistics
}

/** Which axis of a value holds channels: as the weighted layers around it see it. */
class ChannelAxes {
  readonly #graph: Graph
  readonly #read = new Map<string, number>()
  readonly #written = new Map<string, number>()
  readonly #producers = new Map<string, Node>()

  constructor(graph: Graph) {
    this.#graph = graph
    for (const node of graph.nodes) {
      const { op, inputs, outputs } = node
      for (const output of outputs) this.#producers.set(output, node)
      if (op.kind !== 'Conv' && op.kind !== 'ConvTranspose' && op.kind !== 'Gemm' && op.kind !== 'MatMul')
        continue
      const axisOf = (name: string) =>
        'layout' in op && op.layout === 'channels-first' ? 1 : this.#shape(name).length - 1
      if (!this.#read.has(inputs[0]!)) this.#read.set(inputs[0]!, axisOf(inputs[0]!))
      this.#written.set(outputs[0]!, axisOf(outputs[0]!))
    }
    // a layer may read its activations turned round
    for (const { op, inputs, outputs } of [...graph.nodes].reverse()) {
      const axis = op.kind === 'Transpose' ? this.#read.get(outputs[0]!) : undefined
      if (op.kind === 'Transpose' && axis !== undefined && !this.#read.has(inputs[0]!))
        this.#read.set(inputs[0]!, op.perm[axis]!)
    }
  }

  /** For the activations of a weighted layer only. */
  read(name: string): number | undefined {
    return this.#read.get(name)
  }

  /** Also for what a weighted layer gives, and what an activation function makes of that. */
  of(name: string): number | undefined {
    for (let at: string | null | undefined = name; at; at = this.#producers.get(at)?.inputs[0]) {
      if (!sameShape(this.#shape(at), this.#shape(name))) return undefined
      const axis = this.#read.get(at) ?? this.#written.get(at)
      if (axis !== undefined) return axis
    }
    return undefined
  }

  #shape(name: string): readonly number[] {
    return this.#graph.values.get(name)?.type.shape ?? []
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}
