import { float32Constant } from '../graph/constant.ts'
import type { GraphEditor } from '../graph/edit.ts'
import type { Constant, Node } from '../graph/types.ts'
import { constantOperand, floatOperand } from './match.ts'

/** A linear operator with constant weights, seen as a map from input to output channels. */
export interface Linear {
  readonly node: Node
  readonly weights: Constant
  readonly numbers: number[]
  readonly inputChannels: number
  readonly outputChannels: number
  /** Channel axis of its result. */
  readonly outputAxis: number
  /** Channel axis of its activations. */
  readonly inputAxis: number
  outputChannelOf(element: number): number
  inputChannelOf(element: number): number
}

/** Sees a Conv, ConvTranspose, Gemm or 2-D MatMul as linear, or says why it cannot. */
export function linearOf(editor: GraphEditor, node: Node): Linear | string {
  const { op } = node
  if (op.kind !== 'Conv' && op.kind !== 'ConvTranspose' && op.kind !== 'Gemm' && op.kind !== 'MatMul')
    return 'it is not linear'
  const weights = constantOperand(editor, node, 1)
  if (weights?.dtype !== 'float32') return 'its weights are not constant float32'
  const numbers = floatOperand(editor, node, 1)!
  if (node.inputs[2] && !floatOperand(editor, node, 2)) return 'its bias is not constant'
  const { shape } = weights
  const rank = editor.type(node.outputs[0]!).shape.length
  if (op.kind === 'Conv' || op.kind === 'ConvTranspose') {
    const inner = shape.slice(2).reduce((a, b) => a * b, 1)
    const [first, second] = shape as [number, number]
    const axis = op.layout === 'channels-first' ? 1 : rank - 1
    const perGroup = first / op.group
    const across = (element: number) => Math.floor(element / inner) % second
    const along = (element: number) => Math.floor(element / (inner * second))
    const grouped = (element: number) => Math.floor(along(element) / perGroup) * second + across(element)
    const sides = { node, weights, numbers, outputAxis: axis, inputAxis: axis }
    return op.kind === 'Conv'
      ? {
          ...sides,
          outputChannels: first,
          inputChannels: second * op.group,
          outputChannelOf: along,
          inputChannelOf: grouped,
        }
      : {
          ...sides,
          outputChannels: second * op.group,
          inputChannels: first,
          outputChannelOf: grouped,
          inputChannelOf: along,
        }
  }
  if (shape.length !== 2) return 'its weights are not a matrix'
  if (op.kind === 'Gemm' && (op.alpha !== 1 || op.transA || (node.inputs[2] && op.beta !== 1)))
    return 'it scales or transposes'
  const transposed = op.kind === 'Gemm' && op.transB
  const [rows, columns] = shape as [number, number]
  const row = (element: number) => Math.floor(element / columns)
  const column = (element: number) => element % columns
  const sides = {
    node,
    weights,
    numbers,
    outputAxis: rank - 1,
    inputAxis: editor.type(node.inputs[0]!).shape.length - 1,
  }
  return transposed
    ? { ...sides, outputChannels: rows, inputChannels: columns, outputChannelOf: row, inputChannelOf: column }
    : { ...sides, outputChannels: columns, inputChannels: rows, outputChannelOf: column, inputChannelOf: row }
}

/** The bias as one number for each output channel; zeros where there is none, null where its shape is another. */
export function biasOf(editor: GraphEditor, linear: Linear): number[] | null {
  if (!linear.node.inputs[2]) return new Array<number>(linear.outputChannels).fill(0)
  const numbers = floatOperand(editor, linear.node, 2)!
  if (numbers.length === linear.outputChannels) {
    const { shape } = editor.type(linear.node.inputs[2])
    return shape.at(-1) === numbers.length ? numbers : null
  }
  return numbers.length === 1 ? new Array<number>(linear.outputChannels).fill(numbers[0]!) : null
}

/** True where a bias can be added: a MatMul has no operand for it. */
export function takesBias(node: Node): boolean {
  return node.op.kind !== 'MatMul'
}

/** Gives a linear node other weights and another bias. All-zero biases that were not there are left out. */
export function replaceWeights(
  editor: GraphEditor,
  { node, weights }: Linear,
  numbers: ArrayLike<number>,
  bias: readonly number[] | null,
): Node {
  const inputs = [
    node.inputs[0]!,
    editor.addConstant(`${node.inputs[1]}_folded`, float32Constant(weights.shape, numbers)),
  ]
  if (bias && (node.inputs[2] || bias.some((b) => b !== 0)))
    inputs.push(
      editor.addConstant(
        `${node.inputs[2] ?? `${node.outputs[0]}_bias`}_folded`,
        float32Constant([bias.length], bias),
      ),
    )
  else if (node.inputs[2]) inputs.push(node.inputs[2])
  return editor.updateNode(node, { inputs })
}

/** True where zeros stand around the activations, so that adding a constant before is not adding one after. */
export function padsWithZeros(node: Node): boolean {
  const { op } = node
  if (op.kind === 'ConvTranspose') return true
  return op.kind === 'Conv' && [...op.padsBegin, ...op.padsEnd].some((pad) => pad > 0)
}
