import { float32Constant } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph } from '../../src/graph/types.ts'
import { dequantizedNumbers } from '../../src/quantize/weighted-layer.ts'

/**
 * Weights as the reals that their integers mean, behind a conversion to these integers. TensorRT 8 has no constants of
 * int8 ("invalid weights type of Int8"), so its networks carry real weights with a Q/DQ pair; rounding q·s by s gives q
 * again, and the engine keeps the integers. From TensorRT 10 on both forms parse.
 */
export function spellWeights(typed: Graph): Graph {
  const editor = new GraphEditor(typed)
  for (const { name, type, constant } of typed.values.values()) {
    if (!constant || !type.quantization) continue
    const reals = dequantizedNumbers(constant, type.quantization)
    const real = editor.addConstant(`${name}_real`, float32Constant(constant.shape, reals))
    const made = editor.freshName(`${name}_quantized`)
    editor.addNode({
      name: `quantize_${name}`,
      op: { kind: 'Convert' },
      inputs: [real],
      outputs: [{ name: made, type }],
    })
    editor.redirect(name, made)
  }
  return editor.finish()
}
