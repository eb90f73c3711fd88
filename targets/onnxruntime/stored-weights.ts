import { GraphEditor } from '../../src/graph/edit.ts'
import { permuteConstant } from '../../src/graph/rearrange.ts'
import type { Constant, Graph, Node } from '../../src/graph/types.ts'
import {
  isKeptFloat,
  leastStoredElements,
  type StoredScheme,
  storeWeights as store,
} from '../../src/quantize/stored-weights.ts'
import { elementCount } from '../../src/tensor.ts'
import type { Decision, TargetOptions } from '../target.ts'
import { nameOf } from './constraints.ts'
import { dialectOf } from './numerics.ts'
import { weightAxis } from './weight-axis.ts'

const storedKinds: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

/** Behind a conversion to float every stored magnitude is safe. */
const fullLimit = 127

/**
 * Schemes that leave activations real. Under `dynamic` products with a constant matrix run on MatMulInteger, which
 * quantizes its activations as it runs; what else has weights keeps them as int8 and computes in float.
 */
export function storeWeights(
  graph: Graph,
  scheme: StoredScheme,
  options: TargetOptions,
): { graph: Graph; decisions: Decision[] } {
  const isDynamic = scheme === 'dynamic'
  const { graph: stored, notes } = store(isDynamic ? gemmsAsProducts(graph, options) : graph, {
    scheme,
    method: options.weightRange,
    keepFloat: options.keepFloat,
    formOf(node, weights) {
      if (!storedKinds.has(node.op.kind)) return null
      const hybrid = isDynamic && isMatrixProduct(node, weights)
      const limit = hybrid ? dialectOf(options.cpu).weightLimit : fullLimit
      return { axis: weightAxis(node, weights, options), limit, hybrid }
    },
  })
  return { graph: stored, decisions: [...notes, ...schemeDecisions(stored, scheme)] }
}

/** Operators that compute on integers, with activations quantized on the way: real activations beside int8 weights. */
export function isHybrid({ op, inputs }: Node, graph: Graph): boolean {
  if (op.kind !== 'MatMul') return false
  const [a, b] = inputs.map((name) => graph.values.get(name!)!.type)
  return a!.quantization === null && b!.quantization !== null
}

/** MatMulInteger has neither transposition nor bias: both are taken out of a Gemm before its weights are stored. */
function gemmsAsProducts(graph: Graph, options: TargetOptions): Graph {
  const editor = new GraphEditor(graph)
  for (const node of graph.nodes) {
    const { op } = node
    if (op.kind !== 'Gemm' || isKeptFloat(node, options.keepFloat)) continue
    const [x, w, bias] = node.inputs as [string, string, (string | null)?]
    const weights = graph.values.get(w)!.constant
    const isPlain = !op.transA && op.alpha === 1 && (!bias || op.beta === 1)
    if (!isPlain || weights?.dtype !== 'float32' || elementCount(weights.shape) < leastStoredElements)
      continue
    const matrix = op.transB ? editor.addConstant(`${w}_transposed`, permuteConstant(weights, [1, 0])) : w
    const output = node.outputs[0]!
    const product = { name: node.name, op: { kind: 'MatMul' }, inputs: [x, matrix] } as const
    if (!bias) {
      editor.updateNode(node, product)
      continue
    }
    const inner = editor.freshName(`${output}_product`)
    editor.addNode({ ...product, source: node.source, outputs: [{ name: inner, type: editor.type(output) }] })
    editor.updateNode(node, {
      name: `${node.name}_bias`,
      op: { kind: 'Binary', fn: 'Add' },
      inputs: [inner, bias],
    })
  }
  return editor.finish()
}

function isMatrixProduct({ op }: Node, weights: Constant): boolean {
  return op.kind === 'MatMul' && weights.shape.length === 2
}

function schemeDecisions(graph: Graph, scheme: StoredScheme): Decision[] {
  if (scheme !== 'dynamic') {
    const reason =
      'ONNX Runtime turns the stored weights into float32 when it loads the file: a smaller file, the speed and memory of float.'
    return [{ where: graph.name, reason }]
  }
  return graph.nodes
    .filter((node) => readsStored(node, graph))
    .map((node) => ({
      where: node.name,
      reason: `${nameOf(node)}: int8 weights become float32 when the file is loaded. ${remedyFor(node)}`,
    }))
}

const remedyFor = ({ op }: Node) =>
  op.kind === 'Conv'
    ? 'ConvInteger is no faster than the float convolution, and three times slower where it is depthwise.'
    : 'ONNX Runtime has no kernel for it with activations quantized as it runs.'

function readsStored({ inputs }: Node, graph: Graph): boolean {
  const weights = inputs[1]
  const maker = weights && graph.nodes.find(({ outputs }) => outputs.includes(weights))
  return maker ? maker.op.kind === 'Convert' && graph.values.get(maker.inputs[0]!)!.constant !== null : false
}
