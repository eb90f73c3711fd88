import { numbersOf } from '../../graph/constant.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { isFloat16 } from '../../quantize/float16-grid.ts'
import type { TypedEdges } from './typed-edges.ts'

/** How a target stores the weights and the bias of one operator. */
export interface LayerNumerics {
  /** Name of the node, in the float graph and in all that is made of it. */
  readonly node: string
  /** Axis of the weights with a scale for each index; null for one scale. */
  readonly axis: number | null
  /** Largest stored magnitude of a weight. */
  readonly limit: number
  /** `integer`: at s_in · s_w; `real`: as it is; null where there is none. */
  readonly bias: 'integer' | 'real' | null
  /** Integers of 32 bits: a weight's scale is wide enough that the bias fits. */
  readonly biasFits32: boolean
  /** Value of the typed graph that the layer reads, whose scale enters the bias's. */
  readonly input: string
  /** Scales of weights are numbers of float16, rounded up. */
  readonly scaleGrid: 'float16' | null
}

/** Operators of the float graph whose constant weights the typed graph holds in integers. */
export function quantizedLayers(graph: Graph, typed: Graph, edges: TypedEdges): LayerNumerics[] {
  const found = graph.nodes.flatMap((node) => {
    const stored = edges.node(node.name)
    return stored && isWeighted(stored, typed) ? [{ node, stored }] : []
  })
  const limits = found.map(({ stored }) => largestStored(typed, stored.inputs[1]!))
  // a layer of zeros, or one whose scale its bias widens, does not show it
  const limit = Math.max(1, ...limits)
  const scales = found.flatMap(({ stored }) => typed.values.get(stored.inputs[1]!)!.type.quantization!.scales)
  const scaleGrid = scales.every(isFloat16) ? 'float16' : null
  return found.map(({ node, stored }) => {
    const bias = stored.inputs[2] ? typed.values.get(stored.inputs[2])! : null
    return {
      node: node.name,
      axis: typed.values.get(stored.inputs[1]!)!.type.quantization!.axis,
      limit,
      bias: bias && (bias.type.quantization ? 'integer' : 'real'),
      biasFits32: bias?.type.dtype === 'int32',
      input: stored.inputs[0]!,
      scaleGrid,
    }
  })
}

const products: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

function isWeighted({ op, inputs }: Node, typed: Graph): boolean {
  if (!products.has(op.kind) || !inputs[0] || !inputs[1]) return false
  const weights = typed.values.get(inputs[1])!
  const reads = typed.values.get(inputs[0])!
  return weights.constant !== null && weights.type.quantization !== null && reads.type.quantization !== null
}

function largestStored(typed: Graph, weights: string): number {
  return numbersOf(typed.values.get(weights)!.constant!).reduce((most, q) => Math.max(most, Math.abs(q)), 0)
}
