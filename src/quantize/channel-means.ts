import type { Graph } from '../graph/types.ts'

/** Running mean of each index along one axis of a tensor. */
export class ChannelMeans {
  readonly #sums: Float64Array
  readonly #inner: number
  #elements = 0

  constructor(shape: readonly number[], axis: number) {
    this.#sums = new Float64Array(shape[axis]!)
    this.#inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  }

  /** Adds all elements of a tensor, row-major. */
  observe(elements: Float32Array): void {
    const sums = this.#sums
    const inner = this.#inner
    for (
      let at = 0, channel = 0;
      at < elements.length;
      channel = channel + 1 === sums.length ? 0 : channel + 1
    ) {
      const end = at + inner
      let sum = 0
      for (; at < end; at++) sum += elements[at]!
      sums[channel]! += sum
    }
    this.#elements += elements.length
  }

  /** Zeros where nothing was seen. */
  result(): Float64Array {
    const each = this.#elements / this.#sums.length
    return each === 0 ? new Float64Array(this.#sums.length) : this.#sums.map((sum) => sum / each)
  }
}

/** For those of the wanted values that a convolution or matrix product reads as its activations. */
export function channelMeansOf(graph: Graph, wanted: readonly string[]): Map<string, ChannelMeans> {
  const names = new Set(wanted)
  const means = new Map<string, ChannelMeans>()
  for (const { op, inputs } of graph.nodes) {
    if (op.kind !== 'Conv' && op.kind !== 'ConvTranspose' && op.kind !== 'Gemm' && op.kind !== 'MatMul')
      continue
    const name = inputs[0]!
    if (!names.has(name) || means.has(name)) continue
    const { shape } = graph.values.get(name)!.type
    if (shape.length === 0 || shape.includes(0)) continue
    means.set(
      name,
      new ChannelMeans(shape, 'layout' in op && op.layout === 'channels-first' ? 1 : shape.length - 1),
    )
  }
  return means
}
