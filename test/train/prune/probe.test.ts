import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededGenerator } from '../../../src/data/generator.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../../src/execute/random.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { float32Constant } from '../../../src/graph/constant.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { openGradients } from '../../../src/train/gradient-session.ts'
import { openNetwork } from '../../../src/train/open-network.ts'
import { gatedGraph } from '../../../src/train/prune/channels/gates.ts'
import { channelGroups } from '../../../src/train/prune/channels/groups.ts'
import { TaylorSums } from '../../../src/train/prune/importance.ts'
import { outputProbe, probeFeeds, probeInput } from '../../../src/train/prune/probe.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'

const tanh: Op = { kind: 'Tanh' }

/** A classifier of three classes; `scores` leaves its Softmax away. */
function classifier(scores = false): Graph {
  const small = new SmallGraph()
  const x = small.node(tanh, [small.conv(small.input('x', 1, 2, 4, 4), 4, {}, 'a')])
  const y = small.node({ kind: 'Sigmoid' }, [small.conv(x, 5, { stride: 2 }, 'b')])
  const pooled = small.node({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [y])
  const flat = small.node({ kind: 'Reshape', shape: [1, 5] }, [pooled])
  const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }
  const logits = small.node(gemm, [flat, small.weights([3, 5], 2), small.weights([3])], 'classes')
  return small.finish(scores ? logits : small.node({ kind: 'Softmax', axis: 1 }, [logits]))
}

/** By group, how the squared logits change with its gates: central differences on ONNX Runtime. */
async function squaredChanges(step: number): Promise<number[]> {
  const { graph, gates } = gatedGraph(classifier(true))
  const logitsAt = async (id: number, gate: number) => {
    const values = new Map(graph.values)
    for (const { name, groups } of gates) {
      const numbers = Array.from(groups, (group) => (group === id ? gate : 1))
      const value = values.get(name)!
      values.set(name, { ...value, constant: float32Constant(value.type.shape, numbers) })
    }
    const evaluator = await createOnnxEvaluator(writeOnnx({ ...graph, values }))
    const results = await evaluator.run(new Map([['x', randomTensor(graph.values.get('x')!.type, 1)]]))
    await evaluator.close()
    return results.get(graph.outputs[0]!)!.data as Float32Array
  }
  const changes: number[] = []
  for (const { id } of channelGroups(classifier(true))) {
    const [more, less] = [await logitsAt(id, 1 + step), await logitsAt(id, 1 - step)]
    changes.push(more.reduce((sum, logit, i) => sum + ((logit - less[i]!) / (2 * step)) ** 2, 0))
  }
  return changes
}

test('over all signs, squared gradients by gates are the squared change of the logits', async () => {
  const { graph, gates } = gatedGraph(classifier())
  const names = new Set(gates.map(({ name }) => name))
  const network = openNetwork(graph, {
    batchSize: 1,
    batchNorm: 'frozen',
    trainable: (name) => names.has(name),
  })
  const session = await openGradients(network, outputProbe)
  const sums = new TaylorSums(gates)
  for (let bits = 0; bits < 8; bits++) {
    const signs = Float32Array.from({ length: 3 }, (_, i) => ((bits >> i) & 1 ? 1 : -1))
    const feeds = new Map([['x', randomTensor(graph.values.get('x')!.type, 1)]])
    feeds.set(probeInput(graph.outputs[0]!), { dtype: 'float32', shape: [1, 3], data: signs })
    sums.add(await session.run(feeds))
  }
  await session.close()
  const found = [...sums.importance(channelGroups(classifier())).values()]
  const wanted = await squaredChanges(1e-2)
  assert.equal(found.length, 9)
  found.forEach((one, i) => {
    assert.ok(Math.abs(one - wanted[i]!) < 1e-2 * wanted[i]! + 1e-6, `${one} beside ${wanted[i]}`)
  })
})

test('signs are plus and minus one, others for each batch, the same for the same seed', () => {
  const network = openNetwork(classifier(), { batchSize: 16, batchNorm: 'frozen' })
  const draw = (seed: number) => {
    const random = seededGenerator(seed)
    return [0, 1].map(() => [
      ...(probeFeeds(network, random).get(probeInput(network.outputs[0]!))!.data as Float32Array),
    ])
  }
  const [first, second] = draw(3)
  assert.equal(first!.length, 48)
  assert.deepEqual(new Set(first), new Set([-1, 1]))
  assert.notDeepEqual(first, second)
  assert.deepEqual(draw(3), [first, second])
})
