import type { Evaluator } from '../execute/evaluator.ts'
import type { Op } from '../graph/ops.ts'
import type { Graph, Node } from '../graph/types.ts'
import { canonicalActivations } from '../passes/canonical-activations.ts'
import { eliminateDead } from '../passes/eliminate-dead.ts'
import { foldConstants } from '../passes/fold-constants.ts'
import type { Pass } from '../passes/pass.ts'
import { removeNoOps } from '../passes/remove-no-ops.ts'
import { channelAxes } from './channel-axis.ts'

/** A constant of a network that was learned, and may be learned on. */
export interface LearnedConstant {
  readonly name: string
  /** Kernels and matrices; not biases, normalizations and slopes. */
  readonly decay: boolean
}

/**
 * The rewrites that a network goes through before it is trained: those of `floatPasses` that leave every learned
 * constant what it is. Batch normalization stays, because training needs it unfolded.
 */
export function trainingPasses(makeEvaluator: (graph: Graph) => Promise<Evaluator>): Pass[] {
  return [foldConstants(makeEvaluator), removeNoOps, canonicalActivations, eliminateDead]
}

/**
 * The float32 constants of a graph that were learned, by name: kernels and biases of layers, scales and shifts of
 * normalizations, slopes, and what is added to or multiplied with the channels behind a layer. Not: normalization of
 * the input, numbers that all channels share, running statistics.
 */
export function learnedConstants(graph: Graph): ReadonlyMap<string, LearnedConstant> {
  const found = new Map<string, LearnedConstant>()
  const axes = channelAxes(graph)
  for (const node of graph.nodes)
    for (const [input, role] of learnedOperands(graph, node, axes)) {
      const name = node.inputs[input]
      if (name === null || name === undefined) continue
      const { constant } = graph.values.get(name)!
      if (constant?.dtype !== 'float32') continue
      found.set(name, { name, decay: role === 'kernel' || (found.get(name)?.decay ?? false) })
    }
  return found
}

/** The constants that hold means and variances of batch normalizations, whose next values training computes. */
export function runningStatistics(graph: Graph): string[] {
  const names = graph.nodes.flatMap(({ op, inputs }) =>
    op.kind === 'BatchNormalization' ? [inputs[3]!, inputs[4]!] : [],
  )
  return [...new Set(names)].filter((name) => graph.values.get(name)!.constant?.dtype === 'float32')
}

type Role = 'kernel' | 'other'

function learnedOperands(
  graph: Graph,
  node: Node,
  axes: ReadonlyMap<string, number>,
): readonly (readonly [input: number, role: Role])[] {
  const { op, inputs } = node
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
      return [
        [1, 'kernel'],
        [2, 'other'],
      ]
    case 'Gemm':
      return [
        [0, 'kernel'],
        [1, 'kernel'],
        [2, 'other'],
      ]
    case 'MatMul':
      return [
        [0, 'kernel'],
        [1, 'kernel'],
      ]
    case 'BatchNormalization':
    case 'LayerNormalization':
    case 'InstanceNormalization':
      return [
        [1, 'other'],
        [2, 'other'],
      ]
    case 'PRelu':
      return [[1, 'other']]
    case 'Binary':
      return inputs.flatMap((_, input) =>
        isChannelOperand(graph, node, op, input as 0 | 1, axes) ? [[input, 'other'] as const] : [],
      )
    default:
      return []
  }
}

/** A bias or scale that stands behind its layer: one number a channel of what the layer gave. */
function isChannelOperand(
  graph: Graph,
  { inputs }: Node,
  { fn }: Extract<Op, { kind: 'Binary' }>,
  input: 0 | 1,
  axes: ReadonlyMap<string, number>,
): boolean {
  if (fn !== 'Add' && fn !== 'Mul') return false
  const other = inputs[1 - input]!
  const axis = axes.get(other)
  const shape = graph.values.get(inputs[input]!)!.type.shape
  const activation = graph.values.get(other)!.type.shape
  if (axis === undefined || shape.length > activation.length) return false
  // the same number for all channels is part of a formula
  const at = axis - (activation.length - shape.length)
  return (
    activation[axis]! > 1 && shape.every((size, i) => size === (i === at ? activation[axis] : 1)) && at >= 0
  )
}
