import { writeOnnx } from '../../src/formats/onnx/write.ts'
import { isStoredScheme } from '../../src/quantize/stored-weights.ts'
import type { Graph } from '../../src/graph/types.ts'
import type { Emitted, EmittedTensor, TargetOptions } from '../target.ts'
import { spellWeights } from './spell-weights.ts'

const model = 'model.onnx'

/**
 * One ONNX file; quantized types are spelled as QuantizeLinear and DequantizeLinear around float operators, stored
 * weights as what ONNX Runtime computes once, when it loads the file.
 */
export function emit(typed: Graph, { scheme }: TargetOptions): Emitted {
  const spelled = isStoredScheme(scheme) ? spellWeights(typed) : typed
  return {
    files: new Map([[model, writeOnnx(spelled, { hybridProducts: scheme === 'dynamic' })]]),
    model,
    inputs: typed.inputs.map((name) => emittedTensor(typed, name)),
    outputs: typed.outputs.map((name) => emittedTensor(typed, name)),
  }
}

function emittedTensor(graph: Graph, name: string): EmittedTensor {
  const { dtype, shape, quantization } = graph.values.get(name)!.type
  return { name, dtype, shape, quantization }
}
