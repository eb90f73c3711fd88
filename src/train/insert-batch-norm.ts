import { float32Constant, numbersOf } from '../graph/constant.ts'
import type { Constant, Graph, Node, Value } from '../graph/types.ts'
import type { Tensor } from '../tensor.ts'

/** What a channel comes to over data. */
export interface ChannelMoments {
  readonly mean: Float64Array
  readonly variance: Float64Array
}

/** A value behind a convolution that batch normalization may stand behind, and the axis of its channels. */
export interface Normalizable {
  readonly name: string
  readonly axis: number
}

const epsilon = 1e-3

/**
 * The convolutions of a network from which batch normalization was folded away, or that never had any: what each makes
 * goes on through the network. None where the network still has some of its own. Those that see one position a sample, as
 * gates do, stay as they are: a batch of them is too few.
 */
export function normalizable(graph: Graph): Normalizable[] {
  if (graph.nodes.some(({ op }) => op.kind === 'BatchNormalization')) return []
  const readers = new Map<string, number>()
  for (const { inputs } of graph.nodes)
    for (const name of inputs) if (name !== null) readers.set(name, (readers.get(name) ?? 0) + 1)
  return graph.nodes.flatMap((node) => {
    const [name] = node.outputs
    if (node.op.kind !== 'Conv' || graph.outputs.includes(name!)) return []
    // folded again, a kernel or bias that another layer shares would have to be two
    if (node.inputs.slice(1).some((operand) => operand && !isOwn(graph, operand, readers))) return []
    const { shape } = graph.values.get(name!)!.type
    const axis = node.op.layout === 'channels-first' ? 1 : shape.length - 1
    const positions = shape.reduce(
      (product, size, at) => (at === 0 || at === axis ? product : product * size),
      1,
    )
    return positions > 1 ? [{ name: name!, axis }] : []
  })
}

/**
 * For each output channel, what makes its kernel as large as He et al. 2015 begin with (a norm of √2). Before batch norm
 * the size of a kernel is free, and how far a step of training turns it depends on it.
 */
function toSizeOfHe(kernel: Constant): Float64Array {
  const numbers = numbersOf(kernel)
  const channels = kernel.shape[0]!
  const width = numbers.length / channels
  return Float64Array.from({ length: channels }, (_, channel) => {
    const row = numbers.slice(channel * width, (channel + 1) * width)
    const norm = Math.sqrt(row.reduce((sum, weight) => sum + weight * weight, 0))
    return norm > 1e-12 ? Math.SQRT2 / norm : 1
  })
}

/** The first axis goes with the factors. */
function scaled(constant: Constant, factors: Float64Array): Constant {
  const numbers = numbersOf(constant)
  const width = numbers.length / factors.length
  return float32Constant(
    constant.shape,
    numbers.map((value, index) => value * factors[Math.floor(index / width)]!),
  )
}

function isOwn(graph: Graph, operand: string, readers: ReadonlyMap<string, number>): boolean {
  return graph.values.get(operand)!.constant?.dtype === 'float32' && readers.get(operand) === 1
}

/** Mean and variance of each channel of a value over samples and positions (Chan et al. 1979 join parts so). */
export class ChannelSums {
  readonly #axis: number
  #count = 0
  #mean = new Float64Array(0)
  #squares = new Float64Array(0)

  constructor(axis: number) {
    this.#axis = axis
  }

  /** @param value float; all have as many channels */
  add({ data, shape }: Tensor): void {
    const channels = shape[this.#axis]!
    if (this.#count === 0) {
      this.#mean = new Float64Array(channels)
      this.#squares = new Float64Array(channels)
    }
    const inner = shape.slice(this.#axis + 1).reduce((product, size) => product * size, 1)
    const outer = data.length / (channels * inner)
    const count = outer * inner
    for (let channel = 0; channel < channels; channel++) {
      let sum = 0
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++) sum += Number(data[(o * channels + channel) * inner + i])
      const mean = sum / count
      let squares = 0
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i++)
          squares += (Number(data[(o * channels + channel) * inner + i]) - mean) ** 2
      const apart = mean - this.#mean[channel]!
      const all = this.#count + count
      this.#mean[channel]! += (apart * count) / all
      this.#squares[channel]! += squares + (apart * apart * this.#count * count) / all
    }
    this.#count += count
  }

  result(): ChannelMoments {
    const count = Math.max(1, this.#count)
    return { mean: this.#mean.slice(), variance: this.#squares.map((sum) => sum / count) }
  }
}

/**
 * Puts batch normalization behind convolutions with scale and shift such that the network computes what it did: √variance
 * and mean. Trained, it conditions a network as at its first training; folded again it costs nothing.
 *
 * @param moments of values that `normalizable` names; others stay without
 */
export function insertBatchNorm(graph: Graph, moments: ReadonlyMap<string, ChannelMoments>): Graph {
  const places = new Map(normalizable(graph).map((place) => [place.name, place]))
  const values = new Map(graph.values)
  const define = (wanted: string, value: Omit<Value, 'name'>): string => {
    let name = wanted
    for (let i = 1; values.has(name); i++) name = `${wanted}_${i}`
    values.set(name, { ...value, name })
    return name
  }
  const vector = (name: string, numbers: ArrayLike<number>): string => {
    const constant = float32Constant([numbers.length], numbers)
    return define(name, { type: { dtype: 'float32', shape: constant.shape, quantization: null }, constant })
  }
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const [name] = node.outputs
    const known = moments.get(name!)
    if (node.op.kind !== 'Conv' || !places.has(name!) || !known) return [node]
    const raw = define(`${name}/before_batch_norm`, { type: values.get(name!)!.type, constant: null })
    const factors = toSizeOfHe(values.get(node.inputs[1]!)!.constant!)
    const operands = node.inputs.map((operand, input) => {
      if (input === 0 || operand === null) return operand
      const { type, constant } = values.get(operand)!
      values.set(operand, { name: operand, type, constant: scaled(constant!, factors) })
      return operand
    })
    const mean = known.mean.map((value, channel) => value * factors[channel]!)
    const variance = known.variance.map((value, channel) => value * factors[channel]! ** 2)
    const label = `${node.name}/batch_norm`
    // with a variance of 0 the scale is √epsilon, and the network still computes the same
    const scale = variance.map((value, channel) => Math.sqrt(value + epsilon) / factors[channel]!)
    const inputs = [
      raw,
      vector(`${label}/scale`, scale),
      vector(`${label}/shift`, known.mean),
      vector(`${label}/mean`, mean),
      vector(`${label}/variance`, variance),
    ]
    const { layout } = node.op
    return [
      { ...node, inputs: operands, outputs: [raw] },
      {
        name: label,
        op: { kind: 'BatchNormalization', epsilon, layout },
        inputs,
        outputs: [name!],
        source: null,
      },
    ]
  })
  return { ...graph, values, nodes }
}
