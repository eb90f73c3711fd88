import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { pixelsOf, testDigits } from '../../examples/mnist/digits.ts'
import { numbersOf } from '../../src/graph/constant.ts'
import type { Graph } from '../../src/graph/types.ts'
import { openModel, tune } from '../../src/index.ts'
import { temporaryFolder } from '../data/temporary.ts'
import { repositoryRoot } from '../fixtures.ts'

const { images, labels } = testDigits()
const samples = {
  x: {
    data: pixelsOf({ count: 120, images: images.subarray(0, 120 * 784), labels }),
    shape: [120, 1, 28, 28],
  },
  labels: labels.subarray(0, 120),
}

/** Share of zeros in each kernel and matrix of a graph, by node. */
function zerosOf(graph: Graph): Map<string, number> {
  return new Map(
    graph.nodes.flatMap(({ name, op, inputs }) => {
      if (op.kind !== 'Conv' && op.kind !== 'Gemm' && op.kind !== 'MatMul') return []
      const constant = graph.values.get(inputs[1]!)?.constant
      if (!constant) return []
      const numbers = numbersOf(constant)
      return [[name, numbers.filter((value) => value === 0).length / numbers.length] as const]
    }),
  )
}

for (const [kind, preset, choices] of [
  ['magnitude', 'balanced', { sparsity: 0.7 }],
  ['2:4', 'fast', {}],
] as const)
  test(`zeros of ${kind} pruning outlast distillation, quantization-aware training and the compile`, async (t) => {
    const out = join(await temporaryFolder(t), 'sparse')
    const tuned = await tune(await openModel(join(repositoryRoot, 'examples/mnist/mnist.onnx')), {
      method: ['prune', 'distill', 'qat'],
      prune: { kind, rounds: 2, ...choices },
      target: 'onnxruntime',
      recipe: { preset },
      data: samples,
      device: null,
      out,
      training: { epochs: 1, learningRate: 1e-3 },
    })
    const graphs = new Map(tuned.stages.map(({ name, graph }) => [name, zerosOf(graph)]))
    const pruned = graphs.get('prune')!
    assert.ok(
      [...pruned.values()].some((share) => share >= 0.49),
      'pruning left zeros',
    )
    for (const stage of ['distill', 'qat'])
      for (const [layer, share] of graphs.get(stage)!)
        assert.ok(share >= (pruned.get(layer) ?? 0) - 1e-9, `${stage}, ${layer}: ${share}`)
    assert.notDeepEqual(
      [...tuned.stages.map(({ graph }) => graph)].at(-1)!.values,
      tuned.stages.find(({ name }) => name === 'prune')!.graph.values,
      'the weights that stay were trained',
    )
    const { graphs: files } = await openModel(tuned.quantized!)
    const stored = [...[...files.values()][0]!.values.values()].flatMap(({ constant }) => {
      if (constant?.dtype !== 'int8' || constant.shape.length < 2) return []
      const integers = numbersOf(constant)
      return [integers.filter((value) => value === 0).length / integers.length]
    })
    const wanted = [...pruned.values()].toSorted((a, b) => a - b)
    assert.equal(stored.length, wanted.length)
    for (const [at, share] of stored.toSorted((a, b) => a - b).entries())
      assert.ok(share >= wanted[at]! - 1e-9, `${stored} beside ${wanted}`)
  })
