import { constantOfNumbers } from '../../src/graph/encode.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Constant, Graph, Node, Quantization } from '../../src/graph/types.ts'

/**
 * Conversions of constant weights to float as Cast and Mul. ONNX Runtime (1.30) leaves DequantizeLinear of a constant
 * in place, to be computed with every inference before a convolution; before a matrix product it makes of it a
 * MatMulNBits, which quantizes the activations. Cast and Mul of constants it computes once, when it loads the file.
 */
export function spellWeights(typed: Graph): Graph {
  const editor = new GraphEditor(typed)
  for (const node of typed.nodes) {
    if (node.op.kind !== 'Convert') continue
    const { constant, type } = typed.values.get(node.inputs[0]!)!
    const { quantization } = type
    if (!constant || !quantization || editor.type(node.outputs[0]!).quantization) continue
    if (quantization.zeroPoints.every((zero) => zero === 0))
      multiply(editor, node, node.inputs[0]!, constant, quantization)
  }
  return editor.finish()
}

function multiply(
  editor: GraphEditor,
  node: Node,
  name: string,
  constant: Constant,
  { scales, axis }: Quantization,
): void {
  const shape =
    axis === null ? [] : constant.shape.map((extent, at) => (at === axis ? extent : 1)).slice(axis)
  const integers = editor.addConstant(`${name}_integers`, constant)
  const scale = editor.addConstant(`${name}_scale`, constantOfNumbers('float32', shape, scales))
  const unscaled = editor.freshName(`${name}_unscaled`)
  editor.addNode({
    name: `cast_${name}`,
    op: { kind: 'Cast' },
    inputs: [integers],
    outputs: [{ name: unscaled, type: { dtype: 'float32', shape: constant.shape, quantization: null } }],
  })
  editor.updateNode(node, { op: { kind: 'Binary', fn: 'Mul' }, inputs: [unscaled, scale] })
}
