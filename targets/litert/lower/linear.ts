import { constantOf, float32Constant, numbersOf } from '../../../src/graph/constant.ts'
import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op, OpOf } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
import { constantOperand } from '../../../src/passes/match.ts'
import { elementCount } from '../../../src/tensor.ts'
import { add, put } from './build.ts'

/** Convolutions with a bias and two spatial axes; products with a constant matrix as fully connected layers. */
export function lowerLinear(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  switch (op.kind) {
    case 'Gemm':
      return canonicalGemm(editor, node, op)
    case 'MatMul':
      return asFullyConnected(editor, node)
    case 'Conv':
    case 'ConvTranspose':
      return withTwoAxes(editor, node) || withBias(editor, node)
    case 'MaxPool':
    case 'AveragePool':
      return withTwoAxes(editor, node)
    default:
      return false
  }
}

/** alpha and beta go into the constants, weights become [out, in], a bias is one number a column. */
function canonicalGemm(editor: GraphEditor, node: Node, op: OpOf<'Gemm'>): boolean {
  const weights = constantOperand(editor, node, 1)
  const bias = node.inputs[2] ? constantOperand(editor, node, 2) : null
  if (op.transA || weights?.dtype !== 'float32' || (node.inputs[2] && bias?.dtype !== 'float32')) return false
  const columns = editor.type(node.outputs[0]!).shape[1]!
  const plainBias = bias?.shape.length === 1 && bias.shape[0] === columns
  if (op.transB && op.alpha === 1 && plainBias && op.beta === 1) return false
  const offsets = bias ? numbersOf(bias) : [0]
  if (offsets.length !== 1 && offsets.length !== columns) return false
  const filled = Array.from(
    { length: columns },
    (_, i) => (offsets.length === 1 ? offsets[0]! : offsets[i]!) * op.beta,
  )
  const numbers = numbersOf(weights)
  const [rows, width] = weights.shape as [number, number]
  const turned = new Float32Array(numbers.length)
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < width; c++)
      turned[op.transB ? r * width + c : c * rows + r] = numbers[r * width + c]! * op.alpha
  const shape = op.transB ? [rows, width] : [width, rows]
  const w = editor.addConstant(node.inputs[1]!, constantOf('float32', shape, turned))
  const c = editor.addConstant(
    node.inputs[2] ?? `${node.outputs[0]}_bias`,
    float32Constant([columns], filled),
  )
  return put(editor, node, { ...op, alpha: 1, beta: 1, transB: true }, [node.inputs[0]!, w, c])
}

/** Rows of any number of leading axes times a constant matrix. */
function asFullyConnected(editor: GraphEditor, node: Node): boolean {
  const [a, b] = node.inputs as [string, string]
  const weights = constantOperand(editor, node, 1)
  if (weights?.dtype !== 'float32' || weights.shape.length !== 2 || editor.value(a).constant) return false
  const { shape } = editor.type(a)
  const op: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
  if (shape.length === 2) return put(editor, node, op, [a, b])
  const [depth] = weights.shape as [number, number]
  const rows = add(
    editor,
    node,
    { kind: 'Reshape', shape: [elementCount(shape) / depth, depth] },
    [a],
    'rows',
  )
  const product = add(editor, node, op, [rows, b], 'product')
  return put(editor, node, { kind: 'Reshape', shape: editor.type(node.outputs[0]!).shape }, [product])
}

/** XNNPACK wants a bias on every convolution. */
function withBias(editor: GraphEditor, node: Node): boolean {
  if (node.inputs[2]) return false
  const channels = editor.type(node.outputs[0]!).shape.at(-1)!
  const bias = editor.addConstant(
    `${node.outputs[0]}_bias`,
    float32Constant([channels], new Float32Array(channels)),
  )
  editor.updateNode(node, { inputs: [node.inputs[0]!, node.inputs[1]!, bias] })
  return true
}

/** [N, W, C] as [N, 1, W, C]: there are no 1-D operators. */
function withTwoAxes(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  if (!('strides' in op) || op.strides.length !== 1 || op.layout !== 'channels-last') return false
  const { shape } = editor.type(node.inputs[0]!)
  const flat = [shape[0]!, 1, shape[1]!, shape[2]!]
  const inputs: (string | null)[] = [
    add(editor, node, { kind: 'Reshape', shape: flat }, [node.inputs[0]!], 'rows'),
  ]
  if (op.kind === 'Conv' || op.kind === 'ConvTranspose') {
    const weights = constantOperand(editor, node, 1)
    if (!weights) return false
    const [o, i, k] = weights.shape as [number, number, number]
    inputs.push(
      editor.addConstant(node.inputs[1]!, { ...reshaped(weights, [o, i, 1, k]) }),
      node.inputs[2] ?? null,
    )
  }
  const wide = {
    ...op,
    strides: [1, ...op.strides],
    dilations: [1, ...op.dilations],
    padsBegin: [0, ...op.padsBegin],
    padsEnd: [0, ...op.padsEnd],
    ...('kernel' in op ? { kernel: [1, ...op.kernel] } : {}),
    ...('outputPadding' in op ? { outputPadding: [0, ...op.outputPadding] } : {}),
  } as Op
  const result = add(editor, node, wide, inputs, 'plane')
  return put(editor, node, { kind: 'Reshape', shape: editor.type(node.outputs[0]!).shape }, [result])
}

function reshaped(constant: Parameters<typeof numbersOf>[0], shape: readonly number[]) {
  return float32Constant(shape, numbersOf(constant))
}
