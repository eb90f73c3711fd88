import { float32Constant, numbersOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Op } from '../graph/ops.ts'
import type { Node } from '../graph/types.ts'
import { constantSide, requiresFloat, rewriteAll } from './match.ts'
import type { Pass } from './pass.ts'
import { scaleAndShiftOf } from './fold-scale-and-shift.ts'

/**
 * What is left over after folding, in the form that has integer kernels: x − c is Add, x / c is Mul, a
 * BatchNormalization is a depthwise 1×1 convolution (or Mul and Add), a mean over the spatial axes is a global pool,
 * a global max pool is a MaxPool over the whole extent.
 */
export const canonicalArithmetic: Pass = {
  name: 'canonical-arithmetic',
  requires: requiresFloat,
  run(graph) {
    const editor = new GraphEditor(graph)
    const changed = rewriteAll(editor, (node) => {
      switch (node.op.kind) {
        case 'Binary':
          return asAddOrMul(editor, node, node.op.fn)
        case 'BatchNormalization':
          return asConvolution(editor, node)
        case 'Reduce':
          return asGlobalPool(editor, node, node.op)
        case 'GlobalMaxPool':
          return asMaxPool(editor, node, node.op)
        default:
          return false
      }
    })
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [] }
  },
}

function asAddOrMul(editor: GraphEditor, node: Node, fn: string): boolean {
  if (fn !== 'Sub' && fn !== 'Div') return false
  const side = constantSide(editor, node)
  if (side?.index !== 1 || side.constant.dtype !== 'float32') return false
  const numbers = numbersOf(side.constant)
  if (fn === 'Div' && numbers.includes(0)) return false
  const mapped = numbers.map((x) => (fn === 'Sub' ? -x : 1 / x))
  const constant = editor.addConstant(
    `${node.inputs[1]}_${fn === 'Sub' ? 'negated' : 'inverted'}`,
    float32Constant(side.constant.shape, mapped),
  )
  editor.updateNode(node, {
    op: { kind: 'Binary', fn: fn === 'Sub' ? 'Add' : 'Mul' },
    inputs: [side.other, constant],
  })
  return true
}

function asConvolution(editor: GraphEditor, node: Node): boolean {
  const input = node.inputs[0]!
  const { shape } = editor.type(input)
  if (
    node.op.kind !== 'BatchNormalization' ||
    node.op.layout !== 'channels-first' ||
    (shape.length !== 3 && shape.length !== 4)
  )
    return false
  const map = scaleAndShiftOf(editor, node, 1)
  if (typeof map === 'string') return false
  const channels = shape[1]!
  const spatial = shape.length - 2
  const each = (value: number) => new Array<number>(spatial).fill(value)
  const w = editor.addConstant(
    `${node.outputs[0]}_scale`,
    float32Constant([channels, 1, ...each(1)], map.factor),
  )
  const b = editor.addConstant(`${node.outputs[0]}_shift`, float32Constant([channels], map.shift))
  const op: Op = {
    kind: 'Conv',
    group: channels,
    layout: 'channels-first',
    strides: each(1),
    dilations: each(1),
    padsBegin: each(0),
    padsEnd: each(0),
  }
  editor.updateNode(node, { op, inputs: [input, w, b] })
  return true
}

function asGlobalPool(editor: GraphEditor, node: Node, op: Extract<Op, { kind: 'Reduce' }>): boolean {
  const input = node.inputs[0]!
  const { shape, dtype } = editor.type(input)
  if (op.fn !== 'Mean' || dtype !== 'float32' || shape.length !== 4 || op.axes.join() !== '2,3') return false
  if (op.keepDims) {
    editor.updateNode(node, { op: { kind: 'GlobalAveragePool', layout: 'channels-first' } })
    return true
  }
  const output = node.outputs[0]!
  const pooled = editor.freshName(`${output}_pooled`)
  const kept = [shape[0]!, shape[1]!, 1, 1]
  editor.addNode({
    name: `${node.name}_pool`,
    op: { kind: 'GlobalAveragePool', layout: 'channels-first' },
    inputs: [input],
    outputs: [{ name: pooled, type: { dtype, shape: kept, quantization: null } }],
    source: node.source,
  })
  editor.updateNode(node, { op: { kind: 'Reshape', shape: editor.type(output).shape }, inputs: [pooled] })
  return true
}

function asMaxPool(
  editor: GraphEditor,
  node: Node,
  { layout }: Extract<Op, { kind: 'GlobalMaxPool' }>,
): boolean {
  const { shape } = editor.type(node.inputs[0]!)
  if (layout !== 'channels-first' || (shape.length !== 3 && shape.length !== 4)) return false
  const kernel = shape.slice(2)
  const each = (value: number) => kernel.map(() => value)
  const window = { strides: each(1), dilations: each(1), padsBegin: each(0), padsEnd: each(0) }
  editor.updateNode(node, { op: { kind: 'MaxPool', kernel, ceilMode: false, layout, ...window } })
  return true
}
