import { readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../src/execute/random.ts'
import { decodeModel } from '../../src/formats/onnx/proto.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { sqnrDb } from '../../src/quantize/fidelity.ts'
import type { Tensor } from '../../src/tensor.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import type { Prepared, TargetOptions } from '../../targets/target.ts'

export const x64Options: TargetOptions = {
  cpu: { architecture: 'x86_64', features: ['avx512_vnni'] },
  scheme: 'full-int8',
  io: 'float',
  activationRange: { kind: 'min-max' },
  weightRange: 'min-max',
  perChannel: true,
  keepFloat: [],
  constraints: [],
}

export const arm64Options: TargetOptions = {
  ...x64Options,
  cpu: { architecture: 'aarch64', features: ['asimddp'] },
}

export const evaluatorOf = (graph: Graph) => createOnnxEvaluator(writeOnnx(graph))

export function randomFeeds(graph: Graph, seed: number): Map<string, Tensor> {
  return new Map(
    graph.inputs.map((name, i) => [name, randomTensor(graph.values.get(name)!.type, seed * 100 + i)]),
  )
}

/** Compiles a float graph on random samples, and says which operators ONNX Runtime really executes. */
export async function compileAndRun(graph: Graph, options: TargetOptions, samples = 8) {
  const feeds = Array.from({ length: samples }, (_, i) => randomFeeds(graph, i + 1))
  const ranges = await calibrate(graph, evaluatorOf, feeds, onnxruntime.wantedTensors(graph, options))
  const prepared = onnxruntime.prepare(graph, ranges, options)
  const bytes = onnxruntime.emit(prepared.graph, options).files.get('model.onnx')!
  const executed = await executedOperators(bytes, options)
  return { prepared, bytes, executed, sqnrDb: await outputSqnr(graph, bytes, options), ranges }
}

export type Compiled = Awaited<ReturnType<typeof compileAndRun>> & { prepared: Prepared }

/** How this computer selects the kernels that the board would: signed activations count as integers on ARM only. */
export function sessionOf(options: TargetOptions) {
  return options.cpu.architecture === 'aarch64' ? { config: { 'session.qdqisint8allowed': '1' } } : {}
}

/** Counts of operator types in the model after ONNX Runtime's own optimizations. */
export async function executedOperators(
  bytes: Uint8Array,
  options: TargetOptions,
): Promise<Record<string, number>> {
  const path = join(
    tmpdir(),
    `edgewright-optimized-${process.pid}-${Math.random().toString(36).slice(2)}.onnx`,
  )
  const evaluator = await createOnnxEvaluator(bytes, { optimizedModelPath: path, ...sessionOf(options) })
  try {
    const counts: Record<string, number> = {}
    for (const { opType } of decodeModel(readFileSync(path)).graph!.node)
      counts[opType] = (counts[opType] ?? 0) + 1
    return counts
  } finally {
    await evaluator.close()
    rmSync(path, { force: true })
  }
}

async function outputSqnr(graph: Graph, bytes: Uint8Array, options: TargetOptions): Promise<number> {
  const float = await evaluatorOf(graph)
  const compiled = await createOnnxEvaluator(bytes, sessionOf(options))
  const feeds = randomFeeds(graph, 77)
  const [reference] = (await float.run(feeds)).values()
  const [candidate] = (await compiled.run(feeds)).values()
  await float.close()
  await compiled.close()
  return sqnrDb(reference!.data as Float32Array, candidate!.data as Float32Array)
}
