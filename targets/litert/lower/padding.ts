import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op, OpOf } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
import { add, put } from './build.ts'

type Windowed = OpOf<'Conv'> | OpOf<'MaxPool'> | OpOf<'AveragePool'>

/**
 * TensorFlow Lite pads as SAME does (the odd cell at the end) or not at all: other padding of convolutions and pools
 * becomes an operator before them. Partial windows of ceil mode become padding at the end.
 */
export function explicitPadding(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  if (op.kind === 'ConvTranspose') return cropTransposed(editor, node, op)
  if (op.kind !== 'Conv' && op.kind !== 'MaxPool' && op.kind !== 'AveragePool') return false
  if (op.layout !== 'channels-last') return false
  const input = editor.type(node.inputs[0]!).shape.slice(1, -1)
  const output = editor.type(node.outputs[0]!).shape.slice(1, -1)
  const kernel = op.kind === 'Conv' ? editor.type(node.inputs[1]!).shape.slice(2) : op.kernel
  const needed = output.map((size, i) =>
    Math.max(0, (size - 1) * op.strides[i]! + (kernel[i]! - 1) * op.dilations[i]! + 1 - input[i]!),
  )
  const ceil = op.kind !== 'Conv' && op.ceilMode
  // a last window that ends early leaves cells of the stated padding unread
  const end = needed.map((total, i) => Math.max(total - op.padsBegin[i]!, 0))
  const isSame =
    output.every((size, i) => size === Math.ceil(input[i]! / op.strides[i]!)) &&
    needed.every((total, i) => op.padsBegin[i] === total >> 1 && end[i] === total - (total >> 1))
  const isValid = needed.every((total) => total === 0) && op.padsBegin.every((pad) => pad === 0)
  // cells of SAME padding do not count in an average
  const counts = op.kind === 'AveragePool' && op.countIncludePad && !isValid
  if ((isSame || isValid) && !counts)
    return !stands(op, end, ceil) && put(editor, node, settled(op, end), node.inputs)
  if (op.kind === 'AveragePool' && !op.countIncludePad) return false
  // ceil mode counts the cells beyond the padding that it adds by itself as absent
  if (op.kind === 'AveragePool' && ceil && end.some((size, i) => size > op.padsEnd[i]!)) return false
  const value = op.kind === 'MaxPool' && !isRectified(editor, node.inputs[0]!) ? Number.NEGATIVE_INFINITY : 0
  const pad: Op = {
    kind: 'Pad',
    mode: 'constant',
    padsBegin: [0, ...op.padsBegin, 0],
    padsEnd: [0, ...end, 0],
    value,
  }
  const padded = add(editor, node, pad, [node.inputs[0]!], 'padded')
  const zeros = op.padsBegin.map(() => 0)
  const plain = {
    ...op,
    padsBegin: zeros,
    padsEnd: zeros,
    ...(op.kind === 'Conv' ? {} : { ceilMode: false }),
  } as Op
  return put(editor, node, plain, [padded, ...node.inputs.slice(1)])
}

function stands(op: Windowed, end: readonly number[], ceil: boolean): boolean {
  return !ceil && op.padsEnd.every((pad, i) => pad === end[i])
}

function settled(op: Windowed, end: readonly number[]): Op {
  return { ...op, padsEnd: end, ...(op.kind === 'Conv' ? {} : { ceilMode: false }) } as Op
}

/** True where nothing below 0 arrives: then padding with 0 does not change a maximum. */
function isRectified(editor: GraphEditor, name: string): boolean {
  const op = editor.producer(name)?.op
  if (!op) return false
  if (op.kind === 'Relu' || op.kind === 'Sigmoid' || op.kind === 'Softmax') return true
  if (op.kind === 'Clip') return op.min >= 0
  const passes = ['MaxPool', 'AveragePool', 'Reshape', 'Transpose', 'Slice', 'Concat']
  const producer = editor.producer(name)!
  return (
    passes.includes(op.kind) && producer.inputs.every((input) => input !== null && isRectified(editor, input))
  )
}

/** TRANSPOSE_CONV gives all that SAME or VALID leaves; what is cropped beyond that is a slice. */
function cropTransposed(editor: GraphEditor, node: Node, op: OpOf<'ConvTranspose'>): boolean {
  if (op.layout !== 'channels-last' || op.strides.length !== 2) return false
  const input = editor.type(node.inputs[0]!).shape.slice(1, -1)
  const output = editor.type(node.outputs[0]!).shape
  const kernel = editor.type(node.inputs[1]!).shape.slice(2)
  const full = input.map((size, i) => (size - 1) * op.strides[i]! + (kernel[i]! - 1) * op.dilations[i]! + 1)
  const isValid = full.every((size, i) => size === output[i + 1] && op.padsBegin[i] === 0)
  const isSame = input.every((size, i) => {
    const total = Math.max(0, full[i]! - size * op.strides[i]!)
    return size * op.strides[i]! === output[i + 1] && op.padsBegin[i] === total >> 1
  })
  if (isValid || isSame || op.outputPadding.some((extra, i) => extra > op.padsEnd[i]!)) return false
  const zeros = op.padsBegin.map(() => 0)
  const whole = add(
    editor,
    node,
    { ...op, padsBegin: zeros, padsEnd: zeros, outputPadding: zeros },
    node.inputs,
    'whole',
  )
  const starts = op.padsBegin
  const ends = starts.map((start, i) => start + output[i + 1]!)
  return put(editor, node, { kind: 'Slice', axes: [1, 2], starts, ends, steps: [1, 1] }, [whole])
}
