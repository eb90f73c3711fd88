import { numbersOf } from '../../graph/constant.ts'
import type { Graph, Node, Value } from '../../graph/types.ts'
import { isFloat16 } from '../../quantize/float16-grid.ts'
import type { TypedEdges } from './typed-edges.ts'

/** How a target stores the weights and the bias of one operator. */
export interface LayerNumerics {
  /** Name of the node, in the float graph and in all that is made of it. */
  readonly node: string
  /** Axis of the float graph's weights with a scale for each index; null for one scale. */
  readonly axis: number | null
  /** Largest stored magnitude of a weight. */
  readonly limit: number
  /** `integer`: at s_in · s_w; `real`: as it is; null where there is none. */
  readonly bias: 'integer' | 'real' | null
  /** Integers of 32 bits: a weight's scale is wide enough that the bias fits. */
  readonly biasFits32: boolean
  /** Value of the typed graph that the layer reads, whose scale enters the bias's; null where it reads reals. */
  readonly input: string | null
  /** Scales of weights are numbers of float16, rounded up. */
  readonly scaleGrid: 'float16' | null
  /** The target stores the two axes of a matrix the other way round. */
  readonly transposed: boolean
}

/** Operators of the float graph whose constant weights the typed graph holds in integers. */
export function quantizedLayers(graph: Graph, typed: Graph, edges: TypedEdges): LayerNumerics[] {
  const weightsOf = storedWeights(typed)
  const found = graph.nodes.flatMap((node) => {
    const stored = edges.node(node.name)
    const weights = stored && weightsOf(stored)
    return stored && weights ? [{ node, stored, weights }] : []
  })
  const limits = found.map(({ weights }) => largestStored(weights))
  // a layer of zeros, or one whose scale its bias widens, does not show it
  const limit = Math.max(1, ...limits)
  const scales = found.flatMap(({ weights }) => weights.type.quantization!.scales)
  const scaleGrid: LayerNumerics['scaleGrid'] = scales.every(isFloat16) ? 'float16' : null
  return found.map(({ node, stored, weights }): LayerNumerics => {
    const transposed = node.op.kind === 'Gemm' && node.op.transB && stored.op.kind === 'MatMul'
    const { axis } = weights.type.quantization!
    const common = { node: node.name, axis: axis !== null && transposed ? 1 - axis : axis, limit, scaleGrid }
    if (typed.values.get(stored.inputs[0]!)!.type.quantization === null) {
      const bias = node.inputs[2] ? 'real' : null
      return { ...common, bias, biasFits32: false, input: null, transposed }
    }
    const bias = stored.inputs[2] ? typed.values.get(stored.inputs[2])! : null
    return {
      ...common,
      bias: bias && (bias.type.quantization ? 'integer' : 'real'),
      biasFits32: bias?.type.dtype === 'int32',
      input: stored.inputs[0]!,
      transposed,
    }
  })
}

const products: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

/** Finds the integers that a product of a typed graph takes as they are, or that are converted to reals for it. */
export function storedWeights(typed: Graph): (node: Node) => Value | null {
  const conversions = new Map(
    typed.nodes.flatMap(({ op, inputs, outputs }) =>
      op.kind === 'Convert' ? [[outputs[0]!, inputs[0]!] as const] : [],
    ),
  )
  return ({ op, inputs: [x, w] }) => {
    if (!products.has(op.kind) || !x || !w) return null
    const direct = typed.values.get(w)!
    const stored = direct.constant ? direct : typed.values.get(conversions.get(w) ?? '')
    return stored?.constant && stored.type.quantization ? stored : null
  }
}

function largestStored({ constant }: Value): number {
  return numbersOf(constant!).reduce((most, q) => Math.max(most, Math.abs(q)), 0)
}
