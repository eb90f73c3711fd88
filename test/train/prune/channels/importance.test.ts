import assert from 'node:assert/strict'
import { test } from 'node:test'
import { executeGraph } from '../../../../src/compile/execute-graph.ts'
import { openSource } from '../../../../src/compile/source.ts'
import { createOnnxEvaluator } from '../../../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../../../src/execute/random.ts'
import { writeOnnx } from '../../../../src/formats/onnx/write.ts'
import { float32Constant } from '../../../../src/graph/constant.ts'
import type { Op } from '../../../../src/graph/ops.ts'
import type { Graph } from '../../../../src/graph/types.ts'
import { runPasses } from '../../../../src/passes/index.ts'
import { silentProgress } from '../../../../src/progress.ts'
import type { Tensor } from '../../../../src/tensor.ts'
import { GraphBuilder } from '../../../../src/train/builder.ts'
import { gradientsOf } from '../../../../src/train/differentiate.ts'
import { initialValues } from '../../../../src/train/network.ts'
import { openNetwork } from '../../../../src/train/open-network.ts'
import { gatedGraph } from '../../../../src/train/prune/channels/gates.ts'
import { channelGroups } from '../../../../src/train/prune/channels/groups.ts'
import {
  randomImportance,
  TaylorSums,
  weightImportance,
} from '../../../../src/train/prune/channels/importance.ts'
import { trainingPasses } from '../../../../src/train/trainable.ts'
import { fixture, fixturesMissing } from '../../../fixtures.ts'
import { SmallGraph } from '../../../targets/small-graphs.ts'

const relu: Op = { kind: 'Relu' }

/** Half the sum of the squared outputs of a gated network, and its gradients by the gates. */
async function gateGradients(graph: Graph) {
  const { graph: gated, gates } = gatedGraph(graph)
  const network = openNetwork(gated, { batchSize: 2, batchNorm: 'frozen' })
  const b = new GraphBuilder(network.graph, network.customGradients)
  const [output] = network.outputs as [string]
  const loss = b.mul(b.scalar(0.5), b.reduceAll('Sum', b.mul(output, output)))
  const gradients = gradientsOf(
    b,
    loss,
    gates.map(({ name }) => name),
  )
  const program = b.finish([loss, ...gates.map(({ name }) => gradients.get(name)!)])
  const evaluator = await createOnnxEvaluator(writeOnnx(program))
  const shapes = new Map(network.parameters.map(({ name, shape }) => [name, shape]))
  const feeds = new Map<string, Tensor>([
    ...network.inputs.map(
      (name, seed) => [name, randomTensor(network.graph.values.get(name)!.type, seed + 1)] as const,
    ),
    ...[...initialValues(network)].map(
      ([name, data]) => [name, { dtype: 'float32', shape: shapes.get(name)!, data } as const] as const,
    ),
  ])
  const run = async (change: ReadonlyMap<string, Float32Array> = new Map()) => {
    const changed = new Map(feeds)
    for (const [name, data] of change) changed.set(name, { dtype: 'float32', shape: shapes.get(name)!, data })
    const results = await evaluator.run(changed)
    const numbers = (name: string) => results.get(name)!.data as Float32Array
    return {
      loss: numbers(loss)[0]!,
      gradients: new Map(gates.map(({ name }) => [name, numbers(gradients.get(name)!)])),
    }
  }
  return { gates, run, close: () => evaluator.close() }
}

for (const path of [
  'mlperf-tiny/ic_resnet8.h5',
  'mlperf-tiny/vww_mobilenetv1_025_96.h5',
  'mlperf-tiny/kws_dscnn_float.onnx',
  'mnist/conv_fc_mnist_float.tflite',
  'mlperf-tiny/ad_float.tflite',
])
  test(`gates are parameters of the open network, their gradients what the loss does as channels fade: ${path}`, {
    skip: fixturesMissing,
  }, async () => {
    const { original } = await openSource({ model: fixture(path), shapes: {} }, silentProgress())
    const graph = await runPasses(original, trainingPasses(executeGraph))
    const { gates, run, close } = await gateGradients(graph)
    const { gradients, loss } = await run()
    const ofGroup = (id: number) =>
      gates.reduce(
        (sum, { name, groups }) =>
          sum + groups.reduce((s, group, i) => s + (group === id ? gradients.get(name)![i]! : 0), 0),
        0,
      )
    // the largest, where rounding of the loss counts least
    const largest = channelGroups(graph)
      .map(({ id }) => ({ id, size: Math.abs(ofGroup(id)) }))
      .reduce((a, b) => (b.size > a.size ? b : a))
    const fadedLoss = async (by: number) => {
      const fade = (groups: Int32Array) => Float32Array.from(groups, (g) => (g === largest.id ? 1 + by : 1))
      return (await run(new Map(gates.map(({ name, groups }) => [name, fade(groups)])))).loss
    }
    const step = 5e-4
    const difference = ((await fadedLoss(step)) - (await fadedLoss(-step))) / (2 * step)
    const found = ofGroup(largest.id)
    assert.ok(Math.abs(difference - found) < 1e-2 * Math.abs(found), `${found} beside ${difference}`)
    await close()
  })

test('Taylor importance is the mean over batches of the squared sum over all gates of a group', () => {
  const gates = [
    { name: 'first', groups: Int32Array.of(1, 2, 0) },
    { name: 'second', groups: Int32Array.of(2, 2, 3) },
  ]
  const sums = new TaylorSums(gates)
  const batch = (first: number[], second: number[]) =>
    sums.add(
      new Map([
        ['first', Float32Array.from(first)],
        ['second', Float32Array.from(second)],
      ]),
    )
  batch([1, 2, 9], [3, -4, 5])
  batch([-3, 0, 9], [1, 1, -1])
  const groups = [1, 2, 3, 4].map((id) => ({ id, layer: 'a', channels: 1, layerChannels: 4, slices: [] }))
  assert.deepEqual(
    [...sums.importance(groups)],
    [
      [1, (1 + 9) / 2],
      [2, (1 + 4) / 2],
      [3, (25 + 1) / 2],
      [4, 0],
    ],
  )
})

test('a gate without a gradient is an error, not a channel that is worth nothing', () => {
  const sums = new TaylorSums([{ name: 'gate', groups: Int32Array.of(1, 2) }])
  assert.throws(() => sums.add(new Map()), { code: 'INTERNAL' })
})

test('weight importance is the relative norm over what makes a channel and what reads it', () => {
  const small = new SmallGraph()
  const window = { strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }
  const conv: Op = { kind: 'Conv', group: 1, layout: 'channels-first', ...window }
  const made = small.constant([2, 1, 1, 2], [3, -4, 6, 8])
  const read = small.constant([2, 2, 1, 1], [1, 5, -1, 5])
  const x = small.node(relu, [small.node(conv, [small.input('x', 1, 1, 2, 2), made, null], 'a')])
  const graph = small.finish(small.node(conv, [x, read, null], 'b'))
  const groups = channelGroups(graph)
  // makers 5 and 10 (mean 7.5), readers √2 and √50 (mean 3√2)
  const close = (found: number | undefined, wanted: number) =>
    assert.ok(Math.abs(found! - wanted) < 1e-9, `${found}`)
  const l2 = weightImportance(graph, groups)
  close(l2.get(1), (5 / 7.5 + 1 / 3) / 2)
  close(l2.get(2), (10 / 7.5 + 5 / 3) / 2)
  const l1 = weightImportance(graph, groups, 'l1')
  close(l1.get(1), (7 / 10.5 + 2 / 6) / 2)
  close(l1.get(2), (14 / 10.5 + 10 / 6) / 2)
})

test('a batch normalization that fades a channel out makes it unimportant', () => {
  const small = new SmallGraph()
  const x = small.conv(small.input('x', 1, 3, 4, 4), 4, {}, 'a')
  const norm: Op = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }
  const vectors = [
    [1, 1, 1e-3, 1],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [1, 1, 1, 1],
  ].map((numbers) => small.editor.addConstant('v', float32Constant([4], numbers)))
  const graph = small.finish(small.conv(small.node(norm, [x, ...vectors]), 4, {}, 'b'))
  const importance = weightImportance(graph, channelGroups(graph))
  const least = [...importance].sort((a, b) => a[1] - b[1])[0]!
  assert.equal(least[0], 3)
})

test('chance is the same for the same seed', () => {
  const small = new SmallGraph()
  const x = small.conv(small.input('x', 1, 3, 4, 4), 4, {}, 'a')
  const groups = channelGroups(small.finish(small.conv(x, 4, {}, 'b')))
  assert.deepEqual(randomImportance(groups, 3), randomImportance(groups, 3))
  assert.notDeepEqual(randomImportance(groups, 3), randomImportance(groups, 4))
})
