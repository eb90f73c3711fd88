import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import type { Emitted, EmittedTensor, TargetOptions } from '../target.ts'

const model = 'model.onnx'

/** One ONNX file; quantized types are spelled as QuantizeLinear and DequantizeLinear around float operators. */
export function emit(typed: Graph, _options: TargetOptions): Emitted {
  return {
    files: new Map([[model, writeOnnx(typed)]]),
    model,
    inputs: typed.inputs.map((name) => emittedTensor(typed, name)),
    outputs: typed.outputs.map((name) => emittedTensor(typed, name)),
  }
}

function emittedTensor(graph: Graph, name: string): EmittedTensor {
  const { dtype, shape, quantization } = graph.values.get(name)!.type
  return { name, dtype, shape, quantization }
}
