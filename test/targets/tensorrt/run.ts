import { hostSession } from '../../../src/compile/runnable.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { openModel } from '../../../src/formats/index.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { floatPasses, runPasses } from '../../../src/passes/index.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import { SqnrMeter } from '../../../src/quantize/fidelity.ts'
import type { Tensor } from '../../../src/tensor.ts'
import type { Emitted, Prepared, Target, TargetOptions } from '../../../targets/target.ts'
import { tensorrt } from '../../../targets/tensorrt/index.ts'

/** A Jetson Orin. */
export const options: TargetOptions = {
  cpu: { architecture: 'aarch64', features: ['asimddp'] },
  accelerator: { computeCapability: '8.7', dlaCores: 2, newestTensorRt: null },
  plainQdq: true,
  scheme: 'full-int8',
  io: 'float',
  activationRange: { kind: 'min-max' },
  weightRange: 'min-max',
  perChannel: true,
  keepFloat: [],
  constraints: [],
}

/** Executes a float graph of either layout. */
export const evaluatorOf = (graph: Graph) =>
  createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')))

export type Feeds = ReadonlyMap<string, Tensor>

export interface Compiled {
  readonly tailored: Graph
  readonly prepared: Prepared
  /** With the file that states its types. */
  readonly emitted: Emitted
  readonly bytes: Uint8Array
  /** The file of a builder that takes types as they are; undefined where there is none. */
  readonly typed: Uint8Array | undefined
}

/** From a float graph to the files, every graph on the way verified. */
export async function compile(
  graph: Graph,
  feeds: Iterable<Feeds>,
  given: TargetOptions = options,
): Promise<Compiled> {
  const { tailored, prepared } = await prepareFor(tensorrt, graph, feeds, given)
  const { emitted } = tensorrt.complete!(tensorrt.emit(prepared.graph, given), prepared, given)
  return {
    tailored,
    prepared,
    emitted,
    bytes: emitted.files.get('model.onnx')!,
    typed: emitted.files.get('model-typed.onnx'),
  }
}

export async function prepareFor(target: Target, graph: Graph, feeds: Iterable<Feeds>, given: TargetOptions) {
  const tailored = target.tailor!(graph, given)
  verifyGraph(tailored)
  const wanted = target.wantedTensors(tailored, given)
  const ranges = wanted.length > 0 ? await calibrate(tailored, evaluatorOf, feeds, wanted) : new Map()
  const prepared = target.prepare(tailored, ranges, given)
  verifyGraph(prepared.graph)
  return { tailored, prepared }
}

/** Output SQNR of a file of the target beside the float graph. */
export async function fidelity(
  graph: Graph,
  bytes: Uint8Array,
  feeds: Iterable<Feeds>,
  given: TargetOptions = options,
) {
  const float = await evaluatorOf(graph)
  const compiled = await createOnnxEvaluator(bytes, hostSession(given))
  const meter = new SqnrMeter()
  for (const feed of feeds) {
    const [reference, candidate] = [await float.run(feed), await compiled.run(feed)]
    for (const name of graph.outputs)
      meter.add(reference.get(name)!.data as Float32Array, candidate.get(name)!.data as Float32Array)
  }
  await float.close()
  await compiled.close()
  return meter.db
}

/** A network of the fixtures after the float rewrites. */
export async function openGraph(path: string): Promise<Graph> {
  const [original] = (await openModel(path)).graphs.values()
  return runPasses(original!, floatPasses(evaluatorOf))
}

export function feedOf(graph: Graph, data: Float32Array): Feeds {
  const [name] = graph.inputs
  return new Map([[name!, { dtype: 'float32', shape: graph.values.get(name!)!.type.shape, data }]])
}
