import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Node } from '../../../src/graph/types.ts'
import { elementCount } from '../../../src/tensor.ts'
import { scaleAndShiftOf } from '../../../src/passes/fold-scale-and-shift.ts'
import { float32Constant } from '../../../src/graph/constant.ts'
import { add, binary, put, scalar } from './build.ts'

/** Normalizations as means, products and a square root; what is left of batch normalization as Mul and Add. */
export function lowerNormalization(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  const rank = node.inputs[0] ? editor.type(node.inputs[0]).shape.length : 0
  const axes = (from: number, to = rank) => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i)
  switch (op.kind) {
    case 'BatchNormalization':
      return batchNormalization(editor, node, op.layout === 'channels-last' ? rank - 1 : 1)
    case 'LayerNormalization':
      return normalize(editor, node, axes(op.axis), op.epsilon, (name) => name)
    case 'InstanceNormalization': {
      // scale and bias are one number a channel of axis 1
      const across = (name: string) =>
        add(
          editor,
          node,
          { kind: 'Reshape', shape: [elementCount(editor.type(name).shape), ...axes(2).map(() => 1)] },
          [name],
          'channels',
        )
      return normalize(editor, node, axes(2), op.epsilon, across)
    }
    default:
      return false
  }
}

/** (x − mean) / √(variance + ε) · scale + bias. */
function normalize(
  editor: GraphEditor,
  node: Node,
  axes: readonly number[],
  epsilon: number,
  spread: (name: string) => string,
): boolean {
  const [x, scale, bias] = node.inputs as [string, string | null, (string | null)?]
  const mean = (from: string, suffix: string) =>
    add(editor, node, { kind: 'Reduce', fn: 'Mean', axes, keepDims: true }, [from], suffix)
  const centred = add(editor, node, binary('Sub'), [x, mean(x, 'mean')], 'centred')
  const variance = mean(add(editor, node, binary('Mul'), [centred, centred], 'square'), 'variance')
  const safe = add(editor, node, binary('Add'), [variance, scalar(editor, node, epsilon, 'epsilon')], 'safe')
  const deviation = add(editor, node, { kind: 'Unary', fn: 'Sqrt' }, [safe], 'deviation')
  if (!scale && !bias) return put(editor, node, binary('Div'), [centred, deviation])
  const normal = add(editor, node, binary('Div'), [centred, deviation], 'normal')
  if (!bias) return put(editor, node, binary('Mul'), [normal, spread(scale!)])
  const scaled = scale ? add(editor, node, binary('Mul'), [normal, spread(scale)], 'scaled') : normal
  return put(editor, node, binary('Add'), [scaled, spread(bias)])
}

function batchNormalization(editor: GraphEditor, node: Node, channelAxis: number): boolean {
  const map = scaleAndShiftOf(editor, node, channelAxis)
  if (typeof map === 'string') return false
  const rank = editor.type(node.outputs[0]!).shape.length
  const shape = [map.factor.length, ...new Array<number>(rank - 1 - channelAxis).fill(1)]
  const factor = editor.addConstant(`${node.outputs[0]}_factor`, float32Constant(shape, map.factor))
  const shift = editor.addConstant(`${node.outputs[0]}_shift`, float32Constant(shape, map.shift))
  const scaled = add(editor, node, binary('Mul'), [map.input, factor], 'scaled')
  return put(editor, node, binary('Add'), [scaled, shift])
}
