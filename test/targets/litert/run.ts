import { createLitertEvaluator } from '../../../src/execute/litert.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import type { Evaluator } from '../../../src/execute/evaluator.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import type { Graph, Quantization } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import { sqnrDb } from '../../../src/quantize/fidelity.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { litert } from '../../../targets/litert/index.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import { randomFeeds } from '../onnxruntime-run.ts'

export const options: TargetOptions = {
  cpu: { architecture: 'aarch64', features: ['asimddp'] },
  scheme: 'full-int8',
  io: 'float',
  activationRange: { kind: 'mse' },
  weightRange: 'mse',
  perChannel: true,
  keepFloat: [],
  constraints: [],
}

/** Executes a float graph of either layout. */
export const evaluatorOf = (graph: Graph) =>
  createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')))

export type Feeds = ReadonlyMap<string, Tensor>

/** From a float graph to the file, every graph on the way verified. */
export async function compile(graph: Graph, feeds: readonly Feeds[], given: TargetOptions = options) {
  const tailored = litert.tailor!(graph, given)
  verifyGraph(tailored)
  const wanted = litert.wantedTensors(tailored, given)
  const ranges = wanted.length > 0 ? await calibrate(tailored, evaluatorOf, feeds, wanted) : new Map()
  const prepared = litert.prepare(tailored, ranges, given)
  verifyGraph(prepared.graph)
  const emitted = litert.emit(prepared.graph, given)
  return { tailored, prepared, emitted, bytes: emitted.files.get(emitted.model)! }
}

/** Compiles on seeded random samples and compares LiteRT's outputs with the float graph's on another. */
export async function compileAndRun(graph: Graph, given: TargetOptions = options) {
  const feeds = Array.from({ length: 8 }, (_, i) => randomFeeds(graph, i + 1))
  const compiled = await compile(graph, feeds, given)
  const float = await evaluatorOf(graph)
  const file = await createLitertEvaluator(compiled.bytes)
  const feed = randomFeeds(graph, 77)
  const reference = await float.run(feed)
  const candidate = await file.run(feed)
  await float.close()
  await file.close()
  const db = graph.outputs.map((name) =>
    sqnrDb(reference.get(name)!.data as Float32Array, candidate.get(name)!.data as Float32Array),
  )
  return { ...compiled, sqnrDb: Math.min(...db), operators: await operatorsOf(compiled.bytes) }
}

/** The operators of a file, as the file names them. */
export async function operatorsOf(bytes: Uint8Array): Promise<string[]> {
  const [graph] = (await readTflite({ bytes })).graphs.values()
  const operators = new Map<number, string>()
  for (const { source } of graph!.nodes) if (source) operators.set(source.index, source.opType)
  return [...operators].sort(([a], [b]) => a - b).map(([, name]) => name)
}

/** A `.tflite` file as a function of reals, whatever its inputs and outputs store. */
export async function openReals(
  bytes: Uint8Array,
): Promise<{ run(x: Float32Array): Promise<Float32Array>; close(): Promise<void> }> {
  const [graph] = (await readTflite({ bytes })).graphs.values()
  const evaluator: Evaluator = await createLitertEvaluator(bytes)
  const [input] = evaluator.inputs
  const typeOf = (name: string) => graph!.values.get(name)!.type
  const stored = typeOf(graph!.inputs[0]!).quantization
  const made = typeOf(graph!.outputs[0]!).quantization
  return {
    async run(x) {
      const tensor: Tensor = {
        dtype: input!.dtype,
        shape: input!.shape,
        data: stored ? quantized(x, stored, input!.dtype) : x,
      }
      const [result] = (await evaluator.run(new Map([[input!.name, tensor]]))).values()
      return made ? dequantized(result!.data as Int8Array, made) : (result!.data as Float32Array)
    },
    close: () => evaluator.close(),
  }
}

function quantized(x: Float32Array, { scales, zeroPoints }: Quantization, dtype: string) {
  const [low, high] = dtype === 'int8' ? [-128, 127] : [0, 255]
  const stored = x.map((value) =>
    Math.min(high!, Math.max(low!, Math.round(value / scales[0]!) + zeroPoints[0]!)),
  )
  return dtype === 'int8' ? Int8Array.from(stored) : Uint8Array.from(stored)
}

function dequantized(stored: Int8Array | Uint8Array, { scales, zeroPoints }: Quantization): Float32Array {
  return Float32Array.from(stored, (q) => (q - zeroPoints[0]!) * scales[0]!)
}
