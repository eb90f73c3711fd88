import type { Op } from '../../src/graph/ops.ts'
import type { Constant, Graph, Node } from '../../src/graph/types.ts'
import type { Check, Constraint, TargetOptions } from '../target.ts'
import { activationTypeOf, hasInt16Kernel, signatureOf } from './numerics.ts'
import { missingOperator } from './operators.ts'
import { xnnpackConstraints } from './xnnpack.ts'

const ok: Check = { ok: true }
const saw = (what: string): Check => ({ ok: false, saw: what })

/** What an operator needs to exist in a `.tflite` file at all. */
export const fileConstraints: readonly Constraint[] = [
  {
    id: 'tflite-operator',
    sentence: 'TensorFlow Lite has the operator.',
    basis: 'documented',
    remedy: 'Use the target onnxruntime for this network, or export it without the operator.',
    check(node) {
      const missing = missingOperator(node.op)
      return missing === null ? ok : saw(missing)
    },
  },
]

/** What keeps an operator from computing on integers, in the order they are checked. */
export const kernelConstraints: readonly Constraint[] = [
  {
    id: 'int8-kernel',
    sentence: 'The operator has an integer kernel in TensorFlow Lite.',
    basis: 'documented',
    check: ({ op }) => (signatureOf(op).role === 'float' ? saw(nameOf(op)) : ok),
  },
  {
    id: 'int16-kernel',
    sentence: 'Under int16x8 the operator has a kernel for int16 activations.',
    basis: 'documented',
    remedy: 'The scheme full-int8 has kernels for more operators.',
    check: ({ op }, _graph, options) =>
      activationTypeOf(options) === 'int16' && !hasInt16Kernel(op) ? saw(nameOf(op)) : ok,
  },
  {
    id: 'real-activations',
    sentence: 'Activations to be quantized are float32.',
    basis: 'documented',
    check(node, graph) {
      // the first operand of a Where is a condition
      const name = node.inputs[node.op.kind === 'Where' ? 1 : 0]
      const type = name ? graph.values.get(name)?.type : undefined
      return !type || type.dtype === 'float32' || type.quantization ? ok : saw(type.dtype)
    },
  },
  {
    id: 'constant-weights',
    sentence: 'The weights of a convolution or a fully connected layer are constant.',
    basis: 'documented',
    remedy: 'A product of two activations is a MatMul, which has an integer kernel.',
    check: (node, graph) =>
      isWeighted(node.op) && !constantOperand(node, graph, 1) ? saw('computed weights') : ok,
  },
  {
    id: 'constant-bias',
    sentence: 'The bias is constant, one number for each output channel.',
    basis: 'documented',
    check(node, graph) {
      if (!isWeighted(node.op) || !node.inputs[2]) return ok
      const bias = constantOperand(node, graph, 2)
      if (!bias) return saw('a computed bias')
      const channels = outputChannels(node, graph)
      const count = bias.shape.reduce((a, b) => a * b, 1)
      return count === channels && bias.shape.at(-1) === count
        ? ok
        : saw(`a bias of shape [${bias.shape.join(', ')}] for ${channels} channels`)
    },
  },
  {
    id: 'plain-fully-connected',
    sentence: 'A fully connected layer takes its activations as they are, with factors of 1.',
    basis: 'documented',
    remedy: 'Transpose the activations before it.',
    check({ op }) {
      if (op.kind !== 'Gemm') return ok
      if (op.transA) return saw('transA')
      return op.alpha === 1 && op.beta === 1 ? ok : saw(`alpha ${op.alpha}, beta ${op.beta}`)
    },
  },
  {
    id: 'two-spatial-axes',
    sentence: 'Convolutions and pools have one or two spatial axes.',
    basis: 'documented',
    check({ op }) {
      if (!('strides' in op)) return ok
      return op.strides.length <= 2 ? ok : saw(`${op.strides.length} spatial axes`)
    },
  },
  {
    id: 'reflect-pad-int16',
    sentence: 'Padding repeats a number.',
    basis: 'documented',
    remedy: 'Mirrored padding runs on reals.',
    check: ({ op }, _graph, options) =>
      op.kind === 'Pad' && op.mode !== 'constant' && activationTypeOf(options) === 'int16'
        ? saw(op.mode)
        : ok,
  },
]

export const constraints: readonly Constraint[] = [
  ...fileConstraints,
  ...kernelConstraints,
  ...xnnpackConstraints,
]

/** The first constraint of a list that a node breaks, with what was seen. */
export function brokenConstraint(
  list: readonly Constraint[],
  node: Node,
  graph: Graph,
  options: TargetOptions,
): { readonly constraint: Constraint; readonly saw: string } | null {
  for (const constraint of list) {
    const result = constraint.check(node, graph, options)
    if (!result.ok) return { constraint, saw: result.saw }
  }
  return null
}

function isWeighted({ kind }: Op): boolean {
  return kind === 'Conv' || kind === 'ConvTranspose' || kind === 'Gemm'
}

function constantOperand(node: Node, graph: Graph, index: number): Constant | null {
  const name = node.inputs[index]
  return name ? (graph.values.get(name)?.constant ?? null) : null
}

/** Channels of what a convolution or Gemm makes. */
export function outputChannels(node: Node, graph: Graph): number {
  const { shape } = graph.values.get(node.outputs[0]!)!.type
  const first = 'layout' in node.op && node.op.layout === 'channels-first'
  return first ? shape[1]! : shape.at(-1)!
}

/** `Reduce Mean`, `Unary Erf`, `NonMaxSuppression`. */
export function nameOf(op: Op): string {
  if (op.kind === 'Opaque') return op.opType
  return 'fn' in op ? `${op.kind} ${op.fn}` : op.kind
}
