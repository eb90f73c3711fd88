import { writeTflite } from '../../src/formats/tflite/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import type { Emitted, EmittedTensor, TargetOptions } from '../target.ts'

export const modelFile = 'model.tflite'

/** One `.tflite` file with a signature of the graph's own input and output names. */
export function emit(typed: Graph, _options: TargetOptions): Emitted {
  return {
    files: new Map([[modelFile, writeTflite(typed)]]),
    model: modelFile,
    inputs: typed.inputs.map((name) => emittedTensor(typed, name)),
    outputs: typed.outputs.map((name) => emittedTensor(typed, name)),
  }
}

function emittedTensor(graph: Graph, name: string): EmittedTensor {
  const { dtype, shape, quantization } = graph.values.get(name)!.type
  return { name, dtype, shape, quantization }
}
