import { GraphEditor } from '../graph/edit.ts'
import type { Node } from '../graph/types.ts'
import {
  bypass,
  constantSide,
  floatOperand,
  onlyReader,
  perChannelNumbers,
  requiresFloat,
  rewriteAll,
} from './match.ts'
import type { Pass, PassNote } from './pass.ts'
import { biasOf, type Linear, linearOf, padsWithZeros, replaceWeights, takesBias } from './weights.ts'

/** y = factor · x + shift, one of each a channel. */
interface ScaleAndShift {
  readonly factor: readonly number[]
  readonly shift: readonly number[]
  readonly input: string
}

/**
 * Puts what only scales and shifts channels into the linear operator before it, or else into the one after it:
 * BatchNormalization, and Mul, Div, Add or Sub with a constant. Shifting before a zero-padded convolution is left
 * alone, because the padding would have to shift too.
 */
export const foldScaleAndShift: Pass = {
  name: 'fold-scale-and-shift',
  requires: requiresFloat,
  run(graph) {
    const editor = new GraphEditor(graph)
    const notes = new Map<string, Omit<PassNote, 'pass'>>()
    const changed = rewriteAll(editor, (node) => {
      if (!mayScaleAndShift(editor, node)) return false
      const before = foldBackward(editor, node)
      if (before === null) return true
      const after = foldForward(editor, node)
      if (after === null) return true
      notes.set(node.name, { where: node.name, reason: `kept: before it, ${before}; after it, ${after}` })
      return false
    })
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [...notes.values()] }
  },
}

function mayScaleAndShift(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  if (op.kind === 'BatchNormalization') return true
  return (
    op.kind === 'Binary' &&
    ['Add', 'Sub', 'Mul', 'Div'].includes(op.fn) &&
    constantSide(editor, node) !== null
  )
}

/** Into the operator that makes its operand. Null when done, else why not. */
function foldBackward(editor: GraphEditor, node: Node): string | null {
  const input = activationOf(editor, node)
  if (input === null) return 'neither operand is constant'
  const producer = editor.producer(input)
  if (!producer) return 'nothing computes its operand'
  const linear = linearOf(editor, producer)
  if (typeof linear === 'string') return `${producer.name}: ${linear}`
  const reader = onlyReader(editor, input)
  if (typeof reader === 'string') return `${producer.name}: ${reader}`
  const map = scaleAndShiftOf(editor, node, linear.outputAxis)
  if (typeof map === 'string') return map
  const bias = biasOf(editor, linear)
  if (!bias) return `${producer.name}: its bias is not one number a channel`
  const shifted = bias.map((b, channel) => b * map.factor[channel]! + map.shift[channel]!)
  if (!takesBias(producer) && shifted.some((b) => b !== 0)) return `${producer.name}: it has no bias`
  const refusal = bypass(editor, node, input)
  if (refusal !== null) return refusal
  // bypass may have renamed the producer's output
  const current = editor.has(producer) ? producer : editor.producer(node.outputs[0]!)!
  const numbers = linear.numbers.map((w, element) => w * map.factor[linear.outputChannelOf(element)]!)
  replaceWeights(editor, { ...linear, node: current }, numbers, takesBias(producer) ? shifted : null)
  return null
}

/** Into the operator that reads its result. Null when done, else why not. */
function foldForward(editor: GraphEditor, node: Node): string | null {
  const output = node.outputs[0]!
  const reader = onlyReader(editor, output)
  if (typeof reader === 'string') return reader
  const linear = linearOf(editor, reader)
  if (typeof linear === 'string') return `${reader.name}: ${linear}`
  if (reader.inputs[0] !== output) return `${reader.name}: it is not the activation there`
  const map = scaleAndShiftOf(editor, node, linear.inputAxis)
  if (typeof map === 'string') return map
  const shifts = map.shift.some((s) => s !== 0)
  if (shifts && padsWithZeros(reader))
    return `${reader.name}: it pads with zeros, which would have to be shifted`
  if (shifts && !takesBias(reader)) return `${reader.name}: it has no bias`
  const bias = biasOf(editor, linear)
  if (!bias) return `${reader.name}: its bias is not one number a channel`
  const moved = [...bias]
  const numbers = linear.numbers.map((w, element) => {
    const channel = linear.inputChannelOf(element)
    moved[linear.outputChannelOf(element)]! += w * map.shift[channel]!
    return w * map.factor[channel]!
  })
  replaceWeights(editor, withInput(editor, linear, map.input), numbers, takesBias(reader) ? moved : null)
  editor.removeNode(node)
  return null
}

function withInput(editor: GraphEditor, linear: Linear, input: string): Linear {
  const inputs = [input, ...linear.node.inputs.slice(1)]
  return { ...linear, node: editor.updateNode(linear.node, { inputs }) }
}

function activationOf(editor: GraphEditor, node: Node): string | null {
  if (node.op.kind === 'BatchNormalization') return node.inputs[0]!
  return constantSide(editor, node)?.other ?? null
}

/** The node as factor and shift along `axis`, or why it is not that. */
export function scaleAndShiftOf(editor: GraphEditor, node: Node, axis: number): ScaleAndShift | string {
  const { op } = node
  if (op.kind === 'BatchNormalization') {
    const input = node.inputs[0]!
    const rank = editor.type(input).shape.length
    if ((op.layout === 'channels-first' ? 1 : rank - 1) !== axis) return 'its channels are on another axis'
    const operands = [1, 2, 3, 4].map((index) => floatOperand(editor, node, index))
    if (operands.some((operand) => operand === null)) return 'its statistics are not constant'
    const [scale, bias, mean, variance] = operands as [number[], number[], number[], number[]]
    const factor = scale.map((s, channel) => s / Math.sqrt(variance[channel]! + op.epsilon))
    return { input, factor, shift: bias.map((b, channel) => b - factor[channel]! * mean[channel]!) }
  }
  if (op.kind !== 'Binary') return 'it is neither'
  const side = constantSide(editor, node)
  if (!side) return 'neither operand is constant'
  const { shape } = editor.type(node.outputs[0]!)
  const operandShape = editor.type(side.other).shape
  if (operandShape.length !== shape.length || operandShape.some((dimension, i) => dimension !== shape[i]))
    return 'it broadcasts its operand'
  const numbers = perChannelNumbers(side.constant, shape, axis)
  if (!numbers) return 'its constant is not one number a channel'
  const ones = () => numbers.map(() => 1)
  const zeros = () => numbers.map(() => 0)
  const input = side.other
  switch (op.fn) {
    case 'Add':
      return { input, factor: ones(), shift: numbers }
    case 'Sub':
      return side.index === 1
        ? { input, factor: ones(), shift: numbers.map((x) => -x) }
        : { input, factor: numbers.map(() => -1), shift: numbers }
    case 'Mul':
      return { input, factor: numbers, shift: zeros() }
    case 'Div':
      if (side.index === 0) return 'it divides a constant'
      return numbers.includes(0)
        ? 'it divides by 0'
        : { input, factor: numbers.map((x) => 1 / x), shift: zeros() }
    default:
      return 'it is neither'
  }
}
