import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openSource } from '../../../../src/compile/source.ts'
import { seededGenerator } from '../../../../src/data/generator.ts'
import { float32Constant } from '../../../../src/graph/constant.ts'
import { macsOf } from '../../../../src/graph/macs.ts'
import type { Graph } from '../../../../src/graph/types.ts'
import { silentProgress } from '../../../../src/progress.ts'
import { elementCount } from '../../../../src/tensor.ts'
import { RunningCost } from '../../../../src/train/prune/channels/cost.ts'
import { channelGroups } from '../../../../src/train/prune/channels/groups.ts'
import { fixture, fixturesMissing } from '../../../fixtures.ts'
import { assertClose, assertSameWithout, outputsOf, silenced, someGroups } from './same-function.ts'

/** Counted from the graph itself. */
function costOf(graph: Graph) {
  const kernels = new Set<string>()
  let macs = 0
  for (const node of graph.nodes) {
    macs += macsOf(node, graph)
    if (macsOf(node, graph) > 0)
      for (const name of node.inputs.slice(0, 2)) if (graph.values.get(name!)!.constant) kernels.add(name!)
  }
  const weights = [...kernels].reduce(
    (sum, name) => sum + elementCount(graph.values.get(name)!.type.shape),
    0,
  )
  return { macs, weights }
}

/** File, how many groups of channels it has, and of how many layers. */
const networks: readonly (readonly [string, number, number])[] = [
  ['mlperf-tiny/ic_resnet8_float.tflite', 224, 6],
  ['mlperf-tiny/ic_resnet8.h5', 224, 6],
  ['mlperf-tiny/vww_float.tflite', 1496, 14],
  ['mlperf-tiny/vww_mobilenetv1_025_96.h5', 1496, 14],
  ['mlperf-tiny/kws_dscnn_float.onnx', 320, 5],
  ['imagenet/mobilenet_v1_0.25_224_float.tflite', 1496, 14],
  ['mlperf-tiny/ad_float.tflite', 1032, 9],
  ['mlperf-tiny/ad_autoencoder.h5', 1032, 9],
  ['mnist/conv_fc_mnist_float.tflite', 40, 2],
  ['mnist/mnist_cntk.onnx', 24, 2],
  ['onnx/light/light_shufflenet.onnx', 247, 13],
  ['onnx/light/light_squeezenet.onnx', 2944, 25],
]

/** Those files are light because all their weights are the same. */
function withRandomKernels(graph: Graph): Graph {
  const random = seededGenerator(3)
  const values = new Map(graph.values)
  for (const { constant, ...value } of graph.values.values()) {
    const { shape } = value.type
    if (constant?.dtype !== 'float32' || shape.length < 2) continue
    const scale = Math.sqrt(2 / elementCount(shape.slice(1)))
    const numbers = Float32Array.from({ length: elementCount(shape) }, () => scale * random.normal())
    values.set(value.name, { ...value, constant: float32Constant(shape, numbers) })
  }
  return { ...graph, values }
}

for (const [path, count, layers] of networks)
  for (const form of ['original', 'graph'] as const)
    test(`${path}, ${form === 'graph' ? 'folded' : 'as read'}: without channels it computes what it did with those at zero`, {
      skip: fixturesMissing,
    }, async () => {
      const source = await openSource({ model: fixture(path), shapes: {} }, silentProgress())
      const graph = path.startsWith('onnx/light') ? withRandomKernels(source[form]) : source[form]
      const groups = channelGroups(graph)
      assert.equal(groups.length, count)
      assert.equal(new Set(groups.map(({ layer }) => layer)).size, layers)
      // gates of ones change nothing
      assertClose(await outputsOf(silenced(graph, new Set())), await outputsOf(graph))
      const removed = someGroups(graph, 0.4, 5)
      const pruned = await assertSameWithout(graph, removed)
      const cost = new RunningCost(graph)
      assert.deepEqual(cost.total, costOf(graph))
      const predicted = cost.savedBy([...removed])
      cost.remove([...removed])
      assert.deepEqual(cost.now, costOf(pruned))
      assert.equal(cost.total.macs - predicted.macs, cost.now.macs)
      assert.ok(cost.now.macs < 0.8 * cost.total.macs)
    })
