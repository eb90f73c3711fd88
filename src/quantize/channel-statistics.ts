import type { Graph, Node } from '../graph/types.ts'

/** What was seen of each index along one axis of a tensor. */
export interface ChannelSummary {
  readonly mean: Float64Array
  readonly meanOfSquares: Float64Array
  readonly min: Float64Array
  readonly max: Float64Array
}

/** Running mean, mean square, min and max of each index along one axis of a tensor. */
export class ChannelStatistics {
  readonly #sums: Float64Array
  readonly #squares: Float64Array
  readonly #mins: Float64Array
  readonly #maxs: Float64Array
  readonly #inner: number
  #elements = 0

  constructor(shape: readonly number[], axis: number) {
    const channels = shape[axis]!
    this.#sums = new Float64Array(channels)
    this.#squares = new Float64Array(channels)
    this.#mins = new Float64Array(channels).fill(Number.POSITIVE_INFINITY)
    this.#maxs = new Float64Array(channels).fill(Number.NEGATIVE_INFINITY)
    this.#inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  }

  /** Adds all elements of a tensor, row-major. */
  observe(elements: Float32Array): void {
    if (this.#inner === 1) this.#observeRows(elements)
    else this.#observePlanes(elements)
    this.#elements += elements.length
  }

  /** Zeros where nothing was seen. */
  result(): ChannelSummary {
    const channels = this.#sums.length
    const each = this.#elements / channels
    if (each === 0) {
      const zeros = () => new Float64Array(channels)
      return { mean: zeros(), meanOfSquares: zeros(), min: zeros(), max: zeros() }
    }
    return {
      mean: this.#sums.map((sum) => sum / each),
      meanOfSquares: this.#squares.map((sum) => sum / each),
      min: this.#mins.slice(),
      max: this.#maxs.slice(),
    }
  }

  /** Channels next to each other. */
  #observeRows(elements: Float32Array): void {
    const sums = this.#sums
    const squares = this.#squares
    const mins = this.#mins
    const maxs = this.#maxs
    const channels = sums.length
    for (let start = 0; start < elements.length; start += channels)
      for (let channel = 0; channel < channels; channel++) {
        const x = elements[start + channel]!
        sums[channel]! += x
        squares[channel]! += x * x
        if (x < mins[channel]!) mins[channel] = x
        if (x > maxs[channel]!) maxs[channel] = x
      }
  }

  /** Each channel in one piece. */
  #observePlanes(elements: Float32Array): void {
    const inner = this.#inner
    const channels = this.#sums.length
    for (
      let at = 0, channel = 0;
      at < elements.length;
      channel = channel + 1 === channels ? 0 : channel + 1
    ) {
      const end = at + inner
      let sum = 0
      let squares = 0
      let min = this.#mins[channel]!
      let max = this.#maxs[channel]!
      for (; at < end; at++) {
        const x = elements[at]!
        sum += x
        squares += x * x
        if (x < min) min = x
        if (x > max) max = x
      }
      this.#sums[channel]! += sum
      this.#squares[channel]! += squares
      this.#mins[channel] = min
      this.#maxs[channel] = max
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
