import assert from 'node:assert/strict'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../src/execute/random.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import type { Pass } from '../../src/passes/pass.ts'
import { sqnrDb } from '../../src/quantize/fidelity.ts'

export const evaluatorOf = (graph: Graph) => createOnnxEvaluator(writeOnnx(graph), { optimize: 'disabled' })

/** Runs a pass, checks that the result computes the same as before (ONNX Runtime, without its own rewrites). */
export async function runPass(pass: Pass, graph: Graph) {
  const result = await pass.run(graph)
  verifyGraph(result.graph)
  await assertSameFunction(graph, result.graph)
  return { ...result, kinds: result.graph.nodes.map((node) => node.op.kind) }
}

export async function assertSameFunction(before: Graph, after: Graph): Promise<void> {
  const feeds = new Map(
    before.inputs.map((name, i) => [name, randomTensor(before.values.get(name)!.type, i + 5)]),
  )
  const a = await evaluatorOf(before)
  const b = await evaluatorOf(after)
  const expected = await a.run(feeds)
  const found = await b.run(feeds)
  await a.close()
  await b.close()
  for (const [name, tensor] of expected) {
    assert.deepEqual(found.get(name)!.shape, tensor.shape)
    const db = sqnrDb(tensor.data as Float32Array, found.get(name)!.data as Float32Array)
    assert.ok(db > 100, `${name} differs: ${db} dB`)
  }
}
