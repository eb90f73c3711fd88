import type { Constant, Graph, Node } from '../../src/graph/types.ts'
import { elementCount } from '../../src/tensor.ts'
import type { Check, Constraint } from '../target.ts'
import { nameOf, unparsed } from './operators.ts'
import { roleOf } from './numerics.ts'
import type { Limit } from './sources.ts'

const ok: Check = { ok: true }
const saw = (what: string): Check => ({ ok: false, saw: what })

/** What keeps the ONNX parser of TensorRT from taking an operator at all. */
export const fileConstraints: readonly Limit[] = [
  {
    id: 'parsed',
    sentence: 'The ONNX parser of TensorRT knows the operator.',
    basis: 'documented',
    source: 'parser',
    remedy:
      'Cut it off the network, or give TensorRT a plugin for it and use --target onnxruntime meanwhile.',
    check({ op }) {
      const unknown = unparsed(op)
      return unknown === null ? ok : saw(unknown)
    },
  },
  {
    id: 'no-float64',
    sentence: 'No tensor is float64 or text: TensorRT has no such type.',
    basis: 'documented',
    source: 'parser',
    remedy: 'Export the network in float32.',
    check({ inputs, outputs }, graph) {
      const dtypes = [...inputs, ...outputs].map((name) => name && graph.values.get(name)!.type.dtype)
      const refused = dtypes.find((dtype) => dtype === 'float64' || dtype === 'string')
      return refused ? saw(refused) : ok
    },
  },
]

/** What keeps an operator out of int8, in the order in which they are checked. */
export const constraints: readonly Limit[] = [
  {
    id: 'int8-kernel',
    sentence: 'The operator has an integer kernel in TensorRT.',
    basis: 'documented',
    source: 'guide',
    check: ({ op }) => (roleOf(op) === 'float' ? saw(nameOf(op)) : ok),
  },
  {
    id: 'float32-activations',
    sentence: 'Activations to be quantized are float32.',
    basis: 'documented',
    source: 'guide',
    check({ inputs }, graph) {
      const dtype = inputs[0] ? graph.values.get(inputs[0])!.type.dtype : 'float32'
      return dtype === 'float32' ? ok : saw(dtype)
    },
  },
  {
    id: 'constant-weights',
    sentence:
      'Weights are constant; the products of attention, of two activations, run in float16, where TensorRT fuses them with the softmax between.',
    basis: 'assumed',
    source: 'ours',
    check(node, graph) {
      if (roleOf(node.op) !== 'weighted') return ok
      if (!weightsOf(node, graph)) return saw('computed weights')
      return graph.values.get(node.inputs[0]!)!.constant ? saw('constant activations') : ok
    },
  },
  {
    id: 'float32-weights',
    sentence: 'Weights are float32.',
    basis: 'documented',
    source: 'guide',
    check(node, graph) {
      const weights = roleOf(node.op) === 'weighted' ? weightsOf(node, graph) : null
      return !weights || weights.dtype === 'float32' ? ok : saw(weights.dtype)
    },
  },
  {
    id: 'matrix-weights',
    sentence: 'The weights of a matrix product are one matrix, not a batch of them.',
    basis: 'assumed',
    source: 'ours',
    check(node, graph) {
      const weights = node.op.kind === 'MatMul' ? weightsOf(node, graph) : null
      return !weights || weights.shape.length === 2
        ? ok
        : saw(`weights of shape [${weights.shape.join(', ')}]`)
    },
  },
  {
    id: 'gemm-not-transposed-a',
    sentence: 'A Gemm does not transpose its activations.',
    basis: 'assumed',
    source: 'ours',
    check: ({ op }) => (op.kind === 'Gemm' && op.transA ? saw('transA') : ok),
  },
  {
    id: 'no-vector-product',
    sentence:
      'A matrix product has more than one row and more than one column: a vector is bound by memory, and tensor cores do not take it.',
    basis: 'documented',
    source: 'modelopt',
    remedy: 'Nothing is lost: such a layer is as fast in float16. A larger batch makes it a matrix.',
    check(node, graph) {
      if (node.op.kind !== 'Gemm' && node.op.kind !== 'MatMul') return ok
      const { shape } = graph.values.get(node.outputs[0]!)!.type
      const columns = shape.at(-1) ?? 1
      const rows = elementCount(shape.slice(0, -1))
      return rows > 1 && columns > 1 ? ok : saw(`${rows} × ${columns}`)
    },
  },
  {
    id: 'convolution-channels',
    sentence:
      'An int8 convolution has 16 channels or more on both sides; 8 suit it as a multiple, on one side beside 16 or at the input of the network, with a square kernel.',
    basis: 'documented',
    source: 'modelopt',
    remedy: 'Widen the layer to a multiple of 16 channels, or leave it in float16.',
    check(node, graph) {
      if (node.op.kind !== 'Conv' || node.op.group !== 1) return ok
      const [outputs, inputs, ...kernel] = weightsOf(node, graph)!.shape as [number, number, ...number[]]
      if (outputs >= 16 && inputs >= 16) return ok
      const isFirst = readsInput(node, graph)
      const suits =
        (outputs % 8 === 0 || inputs % 8 === 0) &&
        (isFirst || outputs >= 16 || inputs >= 16) &&
        new Set(kernel).size <= 1
      return suits ? ok : saw(`${inputs} → ${outputs} channels, kernel ${kernel.join('×')}`)
    },
  },
  {
    id: 'grouped-convolution',
    sentence:
      'A grouped int8 convolution gives a multiple of 8 channels with a kernel of at least 3, or has 16 channels in each group.',
    basis: 'documented',
    source: 'modelopt',
    remedy: 'Widen the layer to a multiple of 8 channels, or leave it in float16.',
    check(node, graph) {
      if (node.op.kind !== 'Conv' || node.op.group === 1) return ok
      const [outputs, inputs, ...kernel] = weightsOf(node, graph)!.shape as [number, number, ...number[]]
      const suits =
        (outputs % 8 === 0 && kernel.every((size) => size >= 3)) || (outputs >= 16 && inputs >= 16)
      return suits ? ok : saw(`${outputs} channels in ${node.op.group} groups, kernel ${kernel.join('×')}`)
    },
  },
  {
    id: 'plain-transposed-convolution',
    sentence: 'A transposed convolution in int8 has one group.',
    basis: 'assumed',
    source: 'ours',
    check: ({ op }) => (op.kind === 'ConvTranspose' && op.group !== 1 ? saw(`${op.group} groups`) : ok),
  },
]

/** The first constraint of a list that a node breaks, with what was seen. */
export function brokenConstraint(
  list: readonly Constraint[],
  node: Node,
  graph: Graph,
  options: Parameters<Constraint['check']>[2],
): { constraint: Constraint; saw: string } | null {
  for (const constraint of list) {
    const result = constraint.check(node, graph, options)
    if (!result.ok) return { constraint, saw: result.saw }
  }
  return null
}

/** True where nothing but a change of layout stands between an input of the network and a node. */
function readsInput({ inputs }: Node, graph: Graph): boolean {
  const name = inputs[0]!
  if (graph.inputs.includes(name)) return true
  const maker = graph.nodes.find(({ outputs }) => outputs.includes(name))
  return maker !== undefined && changesLayout.has(maker.op.kind) && readsInput(maker, graph)
}

const changesLayout: ReadonlySet<string> = new Set(['Transpose', 'Reshape', 'Pad'])

/** The constant second operand; null where it is computed. */
export function weightsOf({ inputs }: Node, graph: Graph): Constant | null {
  return inputs[1] ? graph.values.get(inputs[1])!.constant : null
}
