import type { Graph, Node } from '../../src/graph/types.ts'
import type { Check, Constraint } from '../target.ts'
import { signatureOf } from './numerics.ts'

const ok: Check = { ok: true }
const saw = (what: string): Check => ({ ok: false, saw: what })

/** What keeps an operator from running in int8 on ONNX Runtime's CPU provider, in the order they are checked. */
export const constraints: readonly Constraint[] = [
  {
    id: 'int8-kernel',
    sentence: 'The operator has an integer kernel in the CPU provider of ONNX Runtime.',
    basis: 'documented',
    remedy: 'It runs in float between a dequantization and a quantization.',
    check: (node) => (signatureOf(node.op).role === 'float' ? saw(nameOf(node)) : ok),
  },
  {
    id: 'float32-activations',
    sentence: 'Activations to be quantized are float32.',
    basis: 'documented',
    check(node, graph) {
      const name = node.inputs[0]
      const dtype = name ? graph.values.get(name)?.type.dtype : undefined
      return dtype === undefined || dtype === 'float32' ? ok : saw(dtype)
    },
  },
  {
    id: 'constant-weights',
    sentence: 'The weights of a convolution or Gemm are constant.',
    basis: 'documented',
    check(node, graph) {
      if (node.op.kind !== 'Conv' && node.op.kind !== 'Gemm') return ok
      return constantOperand(node, graph, 1) ? ok : saw('computed weights')
    },
  },
  {
    id: 'constant-bias',
    sentence: 'The bias is constant, one number for each output channel.',
    basis: 'documented',
    check(node, graph) {
      const { op } = node
      if (op.kind !== 'Conv' && op.kind !== 'Gemm') return ok
      const name = node.inputs[2]
      if (!name) return ok
      const bias = constantOperand(node, graph, 2)
      if (!bias) return saw('a computed bias')
      const channels = graph.values.get(node.outputs[0]!)!.type.shape[1]!
      const count = bias.shape.reduce((a, b) => a * b, 1)
      const perChannel = bias.shape.length > 0 && bias.shape.at(-1) === count
      return (count === channels && perChannel) || count === 1
        ? ok
        : saw(`bias of shape [${bias.shape.join(', ')}]`)
    },
  },
  {
    id: 'gemm-scale-1',
    sentence: 'A Gemm has beta 1 (alpha is folded into its weights).',
    basis: 'documented',
    check: (node) =>
      node.op.kind === 'Gemm' && node.inputs[2] && node.op.beta !== 1 ? saw(`beta ${node.op.beta}`) : ok,
  },
  {
    id: 'gemm-not-transposed-a',
    sentence: 'A Gemm does not transpose its activations.',
    basis: 'assumed',
    check: (node) => (node.op.kind === 'Gemm' && node.op.transA ? saw('transA') : ok),
  },
  {
    id: 'clip-holds-zero',
    sentence: 'The bounds of a Clip hold 0, which every integer type represents exactly.',
    basis: 'documented',
    check({ op }) {
      if (op.kind !== 'Clip') return ok
      return op.min <= 0 && op.max >= 0 && op.min < op.max ? ok : saw(`${op.min} to ${op.max}`)
    },
  },
  {
    id: 'resize-nearest',
    sentence: 'A Resize is nearest and stays inside its input.',
    basis: 'observed',
    remedy: 'A linear Resize runs in float between a dequantization and a quantization.',
    check({ op }) {
      if (op.kind !== 'Resize') return ok
      if (op.mode !== 'nearest') return saw(op.mode)
      return op.coordinateTransformation === 'tf_crop_and_resize' ? saw('tf_crop_and_resize') : ok
    },
  },
  {
    id: 'batch-1-matrix',
    sentence: 'A constant matrix product has a matrix of weights, not a batch of them.',
    basis: 'assumed',
    check(node, graph) {
      if (node.op.kind !== 'MatMul') return ok
      const weights = constantOperand(node, graph, 1)
      return !weights || weights.shape.length === 2
        ? ok
        : saw(`weights of shape [${weights.shape.join(', ')}]`)
    },
  },
]

/** The first constraint that a node breaks, with what was seen. */
export function brokenConstraint(
  node: Node,
  graph: Graph,
  options: Parameters<Constraint['check']>[2],
): { constraint: Constraint; saw: string } | null {
  for (const constraint of constraints) {
    const result = constraint.check(node, graph, options)
    if (!result.ok) return { constraint, saw: result.saw }
  }
  return null
}

function constantOperand(node: Node, graph: Graph, index: number) {
  const name = node.inputs[index]
  return name ? (graph.values.get(name)?.constant ?? null) : null
}

/** `Reduce Mean`, `Unary Erf`, `NonMaxSuppression`. */
export function nameOf(node: Node): string {
  const { op } = node
  if (op.kind === 'Opaque') return op.opType
  return 'fn' in op ? `${op.kind} ${op.fn}` : op.kind
}
