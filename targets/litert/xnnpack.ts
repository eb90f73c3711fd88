import type { Graph, Node, Quantization } from '../../src/graph/types.ts'
import type { Check, Constraint } from '../target.ts'
import { activationTypeOf } from './numerics.ts'

const ok: Check = { ok: true }
const saw = (what: string): Check => ({ ok: false, saw: what })

/**
 * Conditions under which XNNPACK takes an operator on integers. One that it leaves runs on LiteRT's own kernels, with
 * the same result. Those about scales hold for typed graphs; a float graph passes them.
 */
export const xnnpackConstraints: readonly Constraint[] = [
  {
    id: 'xnnpack-8-bit',
    sentence: 'XNNPACK computes on 8-bit activations.',
    basis: 'documented',
    remedy: 'The scheme full-int8 runs there.',
    check: (_node, _graph, options) =>
      activationTypeOf(options) === 'int16' ? saw('int16 activations') : ok,
  },
  {
    id: 'xnnpack-operator',
    sentence: 'XNNPACK has a quantized form of the operator.',
    basis: 'documented',
    check(node) {
      const name = outsideQuantizedList(node)
      return name === null ? ok : saw(name)
    },
  },
  {
    id: 'xnnpack-concat-inputs',
    sentence: 'A concatenation has two to four inputs.',
    basis: 'documented',
    remedy: 'Split it into a tree of concatenations.',
    check: ({ op, inputs }) =>
      op.kind === 'Concat' && (inputs.length < 2 || inputs.length > 4) ? saw(`${inputs.length} inputs`) : ok,
  },
  {
    id: 'xnnpack-split-outputs',
    sentence: 'A split has two to four equal parts.',
    basis: 'documented',
    check({ op }) {
      if (op.kind !== 'Split') return ok
      const { length } = op.sizes
      if (length < 2 || length > 4) return saw(`${length} parts`)
      return new Set(op.sizes).size === 1 ? ok : saw(`parts of ${op.sizes.join(', ')}`)
    },
  },
  {
    id: 'xnnpack-mean-axes',
    sentence: 'A mean is over the spatial axes of a 4-D tensor.',
    basis: 'documented',
    check({ op, inputs }, graph) {
      if (op.kind !== 'Reduce' || op.fn !== 'Mean') return ok
      const rank = graph.values.get(inputs[0]!)!.type.shape.length
      const axes = op.axes.join()
      return rank === 4 && (axes === '1,2' || axes === '2') ? ok : saw(`axes ${axes} of ${rank}`)
    },
  },
  {
    id: 'xnnpack-pad',
    sentence: 'Padding adds zeros and takes nothing away.',
    basis: 'documented',
    check({ op }) {
      if (op.kind !== 'Pad') return ok
      if (op.value !== 0) return saw(`padding with ${op.value}`)
      return [...op.padsBegin, ...op.padsEnd].every((pad) => pad >= 0) ? ok : saw('negative pads')
    },
  },
  {
    id: 'xnnpack-max-pool',
    sentence: 'A 1×1 max pool has stride 1.',
    basis: 'documented',
    check({ op }) {
      if (op.kind !== 'MaxPool') return ok
      const single = op.kernel.every((size) => size === 1)
      return single && op.strides.some((stride) => stride > 1) ? saw(`strides ${op.strides.join('×')}`) : ok
    },
  },
  ratio('xnnpack-add-scales', ['Add', 'Sub'], (a, b, out) => [a / out, b / out], 2 ** -10, 2 ** 8),
  ratio('xnnpack-mul-scales', ['Mul'], (a, b, out) => [(a * b) / out], 2 ** -16, 2 ** 8),
  {
    id: 'xnnpack-leaky-relu-scales',
    sentence:
      'A LeakyRelu keeps input to output scale between 1/256 and 128, and its slope times that below 128.',
    basis: 'documented',
    check({ op, inputs, outputs }, graph) {
      if (op.kind !== 'LeakyRelu') return ok
      const share = scaleRatio(graph, inputs[0]!, outputs[0]!)
      if (share === null) return ok
      const steep = Math.abs(op.alpha) * share
      const fits = share >= 2 ** -8 && share <= 2 ** 7 && steep >= 2 ** -8 && steep < 2 ** 7
      return fits ? ok : saw(`a ratio of ${share.toPrecision(3)}, slope ${op.alpha}`)
    },
  },
  {
    id: 'xnnpack-requantize',
    sentence: 'A requantization keeps the element type and a ratio of scales between 1/256 and 128.',
    basis: 'documented',
    check({ op, inputs, outputs }, graph) {
      if (op.kind !== 'Convert') return ok
      const from = graph.values.get(inputs[0]!)!.type
      const to = graph.values.get(outputs[0]!)!.type
      if (!from.quantization || !to.quantization) return ok
      if (from.dtype !== to.dtype) return saw(`${from.dtype} to ${to.dtype}`)
      const share = from.quantization.scales[0]! / to.quantization.scales[0]!
      return share >= 2 ** -8 && share <= 2 ** 7 ? ok : saw(`a ratio of ${share.toPrecision(3)}`)
    },
  },
  {
    id: 'xnnpack-weights-zero-point',
    sentence: 'Quantized weights have zero point 0.',
    basis: 'documented',
    check({ op, inputs }, graph) {
      if (op.kind !== 'Conv' && op.kind !== 'ConvTranspose' && op.kind !== 'Gemm') return ok
      const type = graph.values.get(inputs[1]!)!.type
      if (type.dtype !== 'int8' || !type.quantization) return ok
      return type.quantization.zeroPoints.every((zero) => zero === 0) ? ok : saw('another zero point')
    },
  },
]

/** What is not in the list of quantized operators of XNNPACK's TensorFlow Lite delegate; null for what is. */
function outsideQuantizedList({ op }: Node): string | null {
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
    case 'Gemm':
    case 'Convert':
    case 'Elu':
    case 'LeakyRelu':
    case 'Sigmoid':
    case 'Tanh':
    case 'MaxPool':
    case 'GlobalMaxPool':
    case 'Pad':
    case 'Reshape':
    case 'Slice':
    case 'DepthToSpace':
    case 'SpaceToDepth':
    case 'Split':
    case 'Concat':
    case 'Transpose':
    case 'Identity':
    // done by the operator before it, or by a requantization
    case 'Relu':
    case 'Clip':
    // a mean over the spatial axes
    case 'GlobalAveragePool':
      return null
    case 'Resize':
      return op.mode === 'linear' ? null : 'RESIZE_NEAREST_NEIGHBOR'
    case 'Binary':
      return ['Add', 'Sub', 'Mul'].includes(op.fn) ? null : op.fn
    case 'Reduce':
      return op.fn === 'Mean' ? null : op.fn
    case 'AveragePool':
      return 'AVERAGE_POOL_2D'
    default:
      return 'fn' in op ? `${op.kind} ${op.fn}` : op.kind
  }
}

function ratio(
  id: string,
  functions: readonly string[],
  ratiosOf: (a: number, b: number, out: number) => number[],
  least: number,
  below: number,
): Constraint {
  const product = functions[0] === 'Mul' ? 'The product of the input scales' : 'Each input scale'
  return {
    id,
    sentence: `${product} of ${functions.join(' and ')} is between 1/${1 / least} and ${below} of the output scale.`,
    basis: 'documented',
    remedy: 'The finer scale is widened until it fits.',
    check({ op, inputs, outputs }, graph) {
      if (op.kind !== 'Binary' || !functions.includes(op.fn)) return ok
      const [a, b, out] = [inputs[0]!, inputs[1]!, outputs[0]!].map((name) => scaleOf(graph, name))
      if (!a || !b || !out) return ok
      const outside = ratiosOf(a, b, out).find((share) => share < least || share >= below)
      return outside === undefined ? ok : saw(`a ratio of ${outside.toPrecision(3)}`)
    },
  }
}

function scaleOf(graph: Graph, name: string): number | null {
  const quantization: Quantization | null = graph.values.get(name)!.type.quantization
  return quantization?.scales[0] ?? null
}

function scaleRatio(graph: Graph, from: string, to: string): number | null {
  const a = scaleOf(graph, from)
  const b = scaleOf(graph, to)
  return a === null || b === null ? null : a / b
}
