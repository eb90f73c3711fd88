import type { Evaluator } from '../execute/evaluator.ts'
import { openEvaluator } from '../execute/open.ts'
import { writeOnnx } from '../formats/onnx/write.ts'
import { writeTflite } from '../formats/tflite/write.ts'
import type { Graph } from '../graph/types.ts'
import { convertLayout } from '../passes/layout.ts'

/** A graph ready to run on this computer. Values keep their names and, at inputs and outputs, their layout. */
export async function executeGraph(graph: Graph): Promise<Evaluator> {
  return openEvaluator(modelFileOf(graph))
}

/** A graph as a file: ONNX, unless it holds operators that only TensorFlow Lite knows. */
export function modelFileOf(graph: Graph): Uint8Array {
  const tfliteOnly = graph.nodes.some(({ op }) => op.kind === 'Opaque' && op.format === 'tflite')
  return tfliteOnly ? writeTflite(convertLayout(graph, 'channels-last')) : writeOnnx(channelsFirst(graph))
}

function channelsFirst(graph: Graph): Graph {
  const other = graph.nodes.some(({ op }) => 'layout' in op && op.layout === 'channels-last')
  return other ? convertLayout(graph, 'channels-first') : graph
}
