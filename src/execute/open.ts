import type { Evaluator } from './evaluator.ts'
import { createOnnxEvaluator, type OnnxEvaluatorOptions } from './onnxruntime.ts'

/** Which runtime executes a model file. */
export type Engine = 'onnxruntime' | 'litert'

/** By content: a TensorFlow Lite file says so at byte 4. */
export function engineOf(modelBytes: Uint8Array): Engine {
  return Buffer.from(modelBytes.buffer, modelBytes.byteOffset + 4, Math.min(4, Math.max(0, modelBytes.byteLength - 4))).toString('latin1') === 'TFL3' ? 'litert' : 'onnxruntime'
}

/** Opens a model file on this computer with the runtime it is made for. */
export async function openEvaluator(modelBytes: Uint8Array, options: OnnxEvaluatorOptions = {}): Promise<Evaluator> {
  if (engineOf(modelBytes) === 'onnxruntime') return createOnnxEvaluator(modelBytes, options)
  // the WebAssembly runtime takes 0.1 s to load: only where it is needed
  const { createLitertEvaluator } = await import('./litert.ts')
  return createLitertEvaluator(modelBytes)
}
