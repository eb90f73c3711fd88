import { numbersOf } from '../../graph/constant.ts'
import { macsOf } from '../../graph/macs.ts'
import type { Graph, Node } from '../../graph/types.ts'

/** A layer with constant weights that factors may stand for. */
export interface FactorLayer {
  readonly node: Node
  readonly outputs: number
  readonly inputs: number
  /** Of the kernel; empty for matrices. */
  readonly kernel: readonly number[]
  /** outputs × (inputs · kernel), row by row. */
  readonly matrix: readonly number[]
  readonly weights: number
  readonly macs: number
  /** Positions of its output: multiply-adds are so many times the weights. */
  readonly positions: number
  /** Axis of the output with its channels. */
  readonly axis: number
  /** A value for each output is added at the end, or can be. */
  readonly takesBias: boolean
}

/** Convolutions with one group, and matrix products with a constant matrix; depthwise ones have nothing to factor. */
export function factorLayers(graph: Graph): FactorLayer[] {
  return graph.nodes.flatMap((node) => {
    const layer = layerOf(node, graph)
    return layer && layer.outputs > 1 && layer.inputs > 1 ? [layer] : []
  })
}

function layerOf(node: Node, graph: Graph): FactorLayer | null {
  const { op } = node
  const constant = graph.values.get(node.inputs[1] ?? '')?.constant
  if (!constant || constant.dtype !== 'float32') return null
  const made = graph.values.get(node.outputs[0]!)!.type.shape
  const macs = macsOf(node, graph)
  const numbers = numbersOf(constant)
  const common = { node, macs, weights: numbers.length, positions: macs / numbers.length }
  if (op.kind === 'Conv') {
    if (op.group !== 1 || (node.inputs[2] && !graph.values.get(node.inputs[2])!.constant)) return null
    const [outputs, inputs, ...kernel] = constant.shape as [number, number, ...number[]]
    const axis = op.layout === 'channels-first' ? 1 : made.length - 1
    return { ...common, outputs, inputs, kernel, matrix: numbers, axis, takesBias: true }
  }
  if ((op.kind !== 'Gemm' && op.kind !== 'MatMul') || constant.shape.length !== 2) return null
  if (op.kind === 'Gemm' && op.transA) return null
  const added = graph.values.get(node.inputs[2] ?? '')
  if (added && !added.constant) return null
  const turned = op.kind === 'Gemm' && op.transB
  const [first, second] = constant.shape as [number, number]
  const [outputs, inputs] = turned ? [first, second] : [second, first]
  const matrix = turned ? numbers : transposed(numbers, inputs, outputs)
  return {
    ...common,
    outputs,
    inputs,
    kernel: [],
    matrix,
    axis: made.length - 1,
    takesBias: op.kind === 'Gemm',
  }
}

export function transposed(matrix: ArrayLike<number>, rows: number, columns: number): number[] {
  const made = new Array<number>(rows * columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) made[j * rows + i] = matrix[i * columns + j]!
  return made
}
