import { numbersOf } from '../../graph/constant.ts'
import { macsOf } from '../../graph/macs.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { elementCount } from '../../tensor.ts'

/** A layer with constant weights that factors may stand for. */
export interface FactorLayer {
  readonly node: Node
  readonly outputs: number
  readonly inputs: number
  /** Of the kernel; empty for matrices. */
  readonly kernel: readonly number[]
  /** outputs × (inputs · kernel), row by row. */
  readonly matrix: ArrayLike<number>
  readonly weights: number
  readonly macs: number
  /** Positions of its output: multiply-adds are so many times the weights. */
  readonly positions: number
  /** For convolutions: spatial sizes of what it reads and makes. */
  readonly extent: { readonly read: readonly number[]; readonly made: readonly number[] } | null
  /** Axis of the output with its channels. */
  readonly axis: number
  /** A value for each output is added at the end, or can be. */
  readonly takesBias: boolean
}

/** A layer with weights that stays as it is. */
export interface WholeLayer {
  readonly node: Node
  /** Completes "… stay whole: ". */
  readonly reason: string
}

/** Convolutions with one group, and matrix products with a constant matrix; with the reason for each other layer. */
export function factorLayers(graph: Graph): FactorLayer[] {
  return sortLayers(graph).layers
}

export function sortLayers(graph: Graph): { readonly layers: FactorLayer[]; readonly whole: WholeLayer[] } {
  const readers = new Map<string, number>()
  for (const node of graph.nodes)
    for (const name of node.inputs) if (name !== null) readers.set(name, (readers.get(name) ?? 0) + 1)
  const layers: FactorLayer[] = []
  const whole: WholeLayer[] = []
  for (const node of graph.nodes) {
    if (macsOf(node, graph) === 0) continue
    const weights = node.inputs[1] ?? ''
    const found =
      (readers.get(weights) ?? 0) > 1 && graph.values.get(weights)?.constant
        ? 'weights that several layers share'
        : layerOf(node, graph)
    if (typeof found === 'string') whole.push({ node, reason: found })
    else layers.push(found)
  }
  return { layers, whole }
}

/** @returns why not, where factors cannot stand for it */
function layerOf(node: Node, graph: Graph): FactorLayer | string {
  const { op } = node
  if (op.kind === 'ConvTranspose') return 'transposed convolutions'
  const constant = graph.values.get(node.inputs[1] ?? '')?.constant
  if (!constant) return 'products of two values'
  if (constant.dtype !== 'float32') return 'weights that are not float32'
  const made = graph.values.get(node.outputs[0]!)!.type.shape
  const read = graph.values.get(node.inputs[0]!)!.type.shape
  const macs = macsOf(node, graph)
  const numbers = numbersOf(constant)
  const common = { node, macs, weights: numbers.length, positions: macs / numbers.length }
  if (!numbers.every(Number.isFinite)) return 'weights that are not numbers'
  const added = graph.values.get(node.inputs[2] ?? '')
  if (added && !added.constant) return 'a bias that is computed'
  if (op.kind === 'Conv') {
    if (op.group !== 1) return 'convolutions in groups'
    const [outputs, inputs, ...kernel] = constant.shape as [number, number, ...number[]]
    if (outputs === 1 || numbers.length === outputs) return 'one input or output'
    const first = op.layout === 'channels-first'
    const spatial = (shape: readonly number[]) => (first ? shape.slice(2) : shape.slice(1, -1))
    return {
      ...common,
      outputs,
      inputs,
      kernel,
      matrix: numbers,
      extent: { read: spatial(read), made: spatial(made) },
      axis: first ? 1 : made.length - 1,
      takesBias: true,
    }
  }
  if ((op.kind !== 'Gemm' && op.kind !== 'MatMul') || constant.shape.length !== 2)
    return 'batches of matrices'
  if (op.kind === 'Gemm' && op.transA) return 'products with a transposed input'
  const turned = op.kind === 'Gemm' && op.transB
  const [first, second] = constant.shape as [number, number]
  const [outputs, inputs] = turned ? [first, second] : [second, first]
  if (outputs === 1 || inputs === 1) return 'one input or output'
  if (added && !isRow(added.type.shape, outputs)) return 'a bias that is a matrix'
  return {
    ...common,
    outputs,
    inputs,
    kernel: [],
    matrix: turned ? numbers : transposed(numbers, inputs, outputs),
    extent: null,
    axis: made.length - 1,
    takesBias: op.kind === 'Gemm',
  }
}

/** One number, or one for each output: not one for each row. */
function isRow(shape: readonly number[], outputs: number): boolean {
  const count = elementCount(shape)
  return count === 1 || (count === outputs && shape.at(-1) === outputs)
}

export function transposed(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const made = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) made[j * rows + i] = matrix[i * columns + j]!
  return made
}
