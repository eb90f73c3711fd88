import assert from 'node:assert/strict'
import type { Graph, Model } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { evaluatorOf } from '../../passes/run-pass.ts'

/** Runs a model that was read, channels first, in ONNX Runtime; inputs and outputs in its order. */
export async function runLayersModel(
  model: Model,
  inputs: readonly ArrayLike<number>[],
): Promise<number[][]> {
  const [graph] = [...model.graphs.values()] as [Graph]
  verifyGraph(graph)
  const converted = convertLayout(graph, 'channels-first')
  verifyGraph(converted)
  assert.equal(graph.inputs.length, inputs.length)
  const feeds = new Map<string, Tensor>(
    graph.inputs.map((name, i) => {
      const { dtype, shape } = graph.values.get(name)!.type
      const data = dtype === 'int32' ? Int32Array.from(inputs[i]!) : Float32Array.from(inputs[i]!)
      return [name, { dtype, shape, data }]
    }),
  )
  const evaluator = await evaluatorOf(converted)
  const results = await evaluator.run(feeds)
  await evaluator.close()
  return graph.outputs.map((name) => Array.from(results.get(name)!.data as Float32Array))
}

/** max|a − b| / max|b| */
export function worstDifference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length)
  const peak = Math.max(...Array.from(expected, Math.abs), 1e-30)
  return Math.max(...Array.from(expected, (number, i) => Math.abs(number - found[i]!))) / peak
}
