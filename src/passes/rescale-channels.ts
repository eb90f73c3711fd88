import { float32Constant, numbersOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Constant, Graph, Node } from '../graph/types.ts'
import { constantOperand } from './match.ts'
import { biasOf, type Linear, linearOf, replaceWeights } from './weights.ts'

/**
 * How the channels of a value can be divided by factors without changing the network's function: constants before it
 * take the division, weights that read it the product.
 */
export interface Rescaling {
  readonly channels: number
  /** Each value that changes, with the axes whose row-major index is the channel. */
  readonly values: ReadonlyMap<string, readonly number[]>
  /** Constant operands to divide: scale and bias of a normalization, the terms of a sum, a factor. */
  readonly divided: readonly DividedOperand[]
  /** Layers whose output channels are divided. */
  readonly makers: readonly Linear[]
  /** Layers whose weights are multiplied. */
  readonly readers: readonly Linear[]
}

interface DividedOperand {
  readonly node: Node
  readonly index: number
  /** Shape and channel axes of what the operand is broadcast to. */
  readonly shape: readonly number[]
  readonly axes: readonly number[]
}

/**
 * Follows a value back to constants and forth to layers, through what commutes with a factor for each channel: moves,
 * sums, products, normalizations, and the mixing of tokens by attention.
 *
 * @param axis of the value's channels
 * @returns or, in words, what stands in the way
 */
export function findRescaling(graph: Graph, value: string, axis: number): Rescaling | string {
  const editor = new GraphEditor(graph)
  const search = new Search(editor)
  const obstacle = search.divide(value, [axis]) ?? search.follow()
  if (obstacle !== null) return obstacle
  const { values, divided, makers, readers } = search.found
  return { channels: editor.type(value).shape[axis]!, values, divided, makers, readers }
}

/** The same function with the channels of the values divided by the factors. Rescalings of one graph must not overlap. */
export function rescale(
  graph: Graph,
  changes: readonly { readonly rescaling: Rescaling; readonly factors: ArrayLike<number> }[],
): Graph {
  const editor = new GraphEditor(graph)
  // a layer may be changed on both sides: what was found of it is out of date then
  const current = (node: Node) => editor.producer(node.outputs[0]!)!
  const linear = (node: Node) => linearOf(editor, current(node)) as Linear
  for (const { rescaling, factors } of changes) {
    for (const { node, index, shape, axes } of rescaling.divided) {
      const constant = constantOperand(editor, current(node), index)!
      const name = editor.addConstant(
        `${current(node).inputs[index]}_rescaled`,
        divideConstant(constant, shape, axes, factors),
      )
      const inputs = current(node).inputs.map((input, i) => (i === index ? name : input))
      editor.updateNode(current(node), { inputs })
    }
    for (const { node } of rescaling.makers) {
      const maker = linear(node)
      const numbers = maker.numbers.map((w, i) => w / factors[maker.outputChannelOf(i)]!)
      const bias = node.inputs[2] ? biasOf(editor, maker)!.map((b, channel) => b / factors[channel]!) : null
      replaceWeights(editor, maker, numbers, bias)
    }
    for (const { node } of rescaling.readers) {
      const reader = linear(node)
      const numbers = reader.numbers.map((w, i) => w * factors[reader.inputChannelOf(i)]!)
      replaceWeights(editor, reader, numbers, null)
    }
  }
  return editor.finish()
}

interface Found {
  readonly values: Map<string, readonly number[]>
  /** By node that passes the division on: the operands that it comes in by. */
  readonly carriers: Map<Node, readonly number[]>
  readonly divided: DividedOperand[]
  readonly makers: Linear[]
  readonly readers: Linear[]
}

class Search {
  found: Found = { values: new Map(), carriers: new Map(), divided: [], makers: [], readers: [] }
  readonly #editor: GraphEditor

  constructor(editor: GraphEditor) {
    this.#editor = editor
  }

  /** Makes the channels of a value divisible: what makes it is changed. Null when that works, else why not. */
  divide(name: string, axes: readonly number[]): string | null {
    const known = this.found.values.get(name)
    if (known) return same(known, axes) ? null : `${name} has its channels on two axes`
    if (this.#editor.isOutput(name)) return `${name} is an output of the graph`
    const node = this.#editor.producer(name)
    if (!node) return `${name} is an input of the graph`
    this.found.values.set(name, axes)
    return this.#divideResult(node, name, axes)
  }

  /** Takes the division back in whatever reads the values, or passes it on. Null when that works, else why not. */
  follow(): string | null {
    const pending = [...this.found.values.keys()]
    for (let name = pending.pop(); name !== undefined; name = pending.pop())
      for (const node of this.#editor.consumers(name)) {
        const before = this.found.values.size
        const obstacle = this.#take(node, name)
        if (obstacle !== null) return obstacle
        if (this.found.values.size > before) pending.push(...[...this.found.values.keys()].slice(before))
      }
    return null
  }

  #divideResult(node: Node, name: string, axes: readonly number[]): string | null {
    const { op } = node
    const { shape } = this.#editor.type(name)
    switch (op.kind) {
      case 'LayerNormalization':
        if (axes.some((axis) => axis < op.axis)) return `${node.name} normalizes other axes`
        return this.#divideConstants(
          node,
          [1, 2],
          shape.slice(op.axis),
          axes.map((axis) => axis - op.axis),
        )
      case 'BatchNormalization': {
        const channelAxis = op.layout === 'channels-first' ? 1 : shape.length - 1
        if (!same(axes, [channelAxis])) return `${node.name} has its channels on another axis`
        return this.#divideConstants(node, [1, 2], [shape[channelAxis]!], [0])
      }
      case 'Binary':
        if (op.fn === 'Add' || op.fn === 'Sub') return this.#carry(node, [0, 1], axes)
        if (op.fn === 'Mul') return this.#divideEither(node, axes)
        return op.fn === 'Div' ? this.#carry(node, [0], axes) : `${node.name} is no product`
      case 'MatMul':
        if (!constantOperand(this.#editor, node, 1)) return this.#divideMixed(node, axes)
        return this.#divideLinear(node, axes)
      case 'Conv':
      case 'ConvTranspose':
      case 'Gemm':
        return this.#divideLinear(node, axes)
      default: {
        const moved = this.#movedBack(node, axes)
        if (!moved) return `${node.name} does not commute with factors`
        this.found.carriers.set(node, [0])
        return this.divide(node.inputs[0]!, moved)
      }
    }
  }

  #divideConstants(
    node: Node,
    indices: readonly number[],
    shape: readonly number[],
    axes: readonly number[],
  ): string | null {
    for (const index of indices) {
      if (!node.inputs[index]) continue
      const constant = constantOperand(this.#editor, node, index)
      if (constant?.dtype !== 'float32') return `${node.name} has a computed scale or bias`
      const offset = shape.length - constant.shape.length
      // one number for all channels would have to become a row of them: an operator more, or a coarser one
      if (axes.some((axis) => constant.shape[axis - offset] !== shape[axis]))
        return `${node.name} has a scale or bias that is not one number a channel`
      this.found.divided.push({ node, index, shape, axes })
    }
    return null
  }

  /** An operand that is broadcast along the channels can only take factors as a constant. */
  #divideOperand(node: Node, index: number, axes: readonly number[]): string | null {
    const name = node.inputs[index]!
    const { shape } = this.#editor.type(node.outputs[0]!)
    if (this.#editor.value(name).constant) return this.#divideConstants(node, [index], shape, axes)
    const own = this.#editor.type(name).shape
    const offset = shape.length - own.length
    const moved = axes.map((axis) => axis - offset)
    if (moved.some((axis, i) => own[axis] !== shape[axes[i]!])) return `${name} has no channels`
    return this.divide(name, moved)
  }

  #divideEither(node: Node, axes: readonly number[]): string | null {
    const constant = node.inputs.findIndex((name) => this.#editor.value(name!).constant)
    if (constant >= 0) return this.#carry(node, [constant], axes)
    const divided = node.inputs.findIndex((name) => this.found.values.has(name!))
    if (divided >= 0) return this.#carry(node, [divided], axes)
    const before = this.found
    for (const index of [0, 1]) {
      this.found = copyOf(before)
      if (this.#carry(node, [index], axes) === null) return null
    }
    this.found = before
    return `neither factor of ${node.name} can be divided`
  }

  #carry(node: Node, indices: readonly number[], axes: readonly number[]): string | null {
    this.found.carriers.set(node, indices)
    for (const index of indices) {
      const obstacle = this.#divideOperand(node, index, axes)
      if (obstacle !== null) return obstacle
    }
    return null
  }

  /** Attention mixes rows: each column of its second operand stays by itself, in each head. */
  #divideMixed(node: Node, axes: readonly number[]): string | null {
    const { shape } = this.#editor.type(node.outputs[0]!)
    const own = this.#editor.type(node.inputs[1]!).shape
    if (own.length !== shape.length || axes.includes(shape.length - 2) || !axes.includes(shape.length - 1))
      return `${node.name} mixes the channels`
    return this.#carry(node, [1], axes)
  }

  #divideLinear(node: Node, axes: readonly number[]): string | null {
    const linear = linearOf(this.#editor, node)
    if (typeof linear === 'string') return `${node.name}: ${linear}`
    if (!same(axes, [linear.outputAxis])) return `${node.name} has its channels on another axis`
    if (!biasOf(this.#editor, linear)) return `${node.name}: its bias is not one number a channel`
    this.found.makers.push(linear)
    return null
  }

  #take(node: Node, name: string): string | null {
    const axes = this.found.values.get(name)!
    const output = node.outputs[0]!
    const carried = this.found.carriers.get(node) ?? []
    const uncarried = node.inputs.some((input, index) => input === name && !carried.includes(index))
    if (carried.length > 0 && !uncarried) return null
    const linear = linearOf(this.#editor, node)
    if (typeof linear !== 'string') {
      if (node.inputs.indexOf(name) !== 0 || !same(axes, [linear.inputAxis]))
        return `${node.name} reads the channels along another axis`
      if (!this.found.readers.some((reader) => reader.node === node)) this.found.readers.push(linear)
      return null
    }
    const moved = this.#moved(node, axes)
    if (!moved || carried.length > 0) return `${node.name} reads it too`
    if (this.#editor.isOutput(output)) return `${output} is an output of the graph`
    this.found.carriers.set(node, [0])
    this.found.values.set(output, moved)
    return null
  }

  /** Where the channels of a moved value were before; null for what is no move or takes only some of them. */
  #movedBack(node: Node, axes: readonly number[]): readonly number[] | null {
    const { op } = node
    const input = this.#editor.type(node.inputs[0]!).shape
    const output = this.#editor.type(node.outputs[0]!).shape
    switch (op.kind) {
      case 'Transpose':
        return axes.map((axis) => op.perm[axis]!)
      case 'Reshape':
        return regrouped(output, axes, input)
      case 'Slice':
        return axes.some((axis) => op.axes.includes(axis)) ? null : axes
      case 'Gather': {
        const grown = output.length - input.length
        const before = axes.map((axis) => (axis > op.axis + grown ? axis - grown : axis))
        return axes.some((axis) => axis >= op.axis && axis <= op.axis + grown) ? null : before
      }
      default:
        return null
    }
  }

  /** Where the channels of a value go; null for what is no move or takes only some of them. */
  #moved(node: Node, axes: readonly number[]): readonly number[] | null {
    const { op } = node
    const input = this.#editor.type(node.inputs[0]!).shape
    const output = this.#editor.type(node.outputs[0]!).shape
    switch (op.kind) {
      case 'Transpose':
        return axes.map((axis) => op.perm.indexOf(axis))
      case 'Reshape':
        return regrouped(input, axes, output)
      case 'Slice':
        return axes.some((axis) => op.axes.includes(axis)) ? null : axes
      case 'Gather': {
        const grown = output.length - input.length
        return axes.includes(op.axis) ? null : axes.map((axis) => (axis > op.axis ? axis + grown : axis))
      }
      default:
        return null
    }
  }
}

function copyOf({ values, carriers, divided, makers, readers }: Found): Found {
  return {
    values: new Map(values),
    carriers: new Map(carriers),
    divided: [...divided],
    makers: [...makers],
    readers: [...readers],
  }
}

/** The axes of `to` that together are what neighbouring axes of `from` are, of the same elements in the same order. */
function regrouped(
  from: readonly number[],
  axes: readonly number[],
  to: readonly number[],
): readonly number[] | null {
  if (axes.some((axis, i) => axis !== axes[0]! + i)) return null
  const inner = product(from.slice(axes.at(-1)! + 1))
  const channels = product(axes.map((axis) => from[axis]!))
  let end = to.length
  while (end > 0 && product(to.slice(end)) < inner) end--
  let start = end
  while (start > 0 && product(to.slice(start, end)) < channels) start--
  const fits = product(to.slice(end)) === inner && product(to.slice(start, end)) === channels
  return fits && start < end ? Array.from({ length: end - start }, (_, i) => start + i) : null
}

/** A constant that is broadcast to `shape`, divided along its axes. */
function divideConstant(
  constant: Constant,
  shape: readonly number[],
  axes: readonly number[],
  factors: ArrayLike<number>,
): Constant {
  const offset = shape.length - constant.shape.length
  const divided = Float32Array.from(numbersOf(constant), (x, element) => {
    const index = axes.map((axis) => {
      const inner = product(constant.shape.slice(axis - offset + 1))
      return Math.floor(element / inner) % shape[axis]!
    })
    return x / factors[index.reduce((at, i, position) => at * shape[axes[position]!]! + i, 0)]!
  })
  return float32Constant(constant.shape, divided)
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1)
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}
