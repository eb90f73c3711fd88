import assert from 'node:assert/strict'
import { test } from 'node:test'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { openSource } from '../../../src/compile/source.ts'
import { randomTensor } from '../../../src/execute/random.ts'
import { constantOf, tensorOf } from '../../../src/graph/constant.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import { elementCount } from '../../../src/tensor.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'
import { type ChannelMap, channelMap } from '../../../src/train/prune/channel-map.ts'
import { removeChannels } from '../../../src/train/prune/remove-channels.ts'
import { seededGenerator } from '../../../src/data/generator.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'

const networks = {
  'mlperf-tiny/ic_resnet8_float.tflite': 'residual additions',
  'mlperf-tiny/ic_resnet8.h5': 'batch norm that is not folded',
  'mlperf-tiny/vww_mobilenetv1_025_96.h5': 'depthwise, batch norm',
  'imagenet/mobilenet_v1_0.25_224_float.tflite': 'depthwise, folded',
  'mlperf-tiny/kws_dscnn_float.onnx': 'channels first',
  'mlperf-tiny/ad_float.tflite': 'dense layers',
  'mnist/conv_fc_mnist_float.tflite': 'a flattened picture',
}

for (const [path, what] of Object.entries(networks))
  test(`a pruned network gives what the whole one gives with those channels at zero: ${path} (${what})`, {
    skip: fixturesMissing,
  }, async () => {
    const { original } = await openSource({ model: fixture(path), shapes: {} }, silentProgress())
    const map = channelMap(original)
    assert.ok(map.groups.length > 0)
    await sameAsZeroed(map, someOf(map, 0.4))
  })

test('both sides of an addition lose the same channels', { skip: fixturesMissing }, async () => {
  const { original } = await openSource(
    { model: fixture('mlperf-tiny/ic_resnet8_float.tflite'), shapes: {} },
    silentProgress(),
  )
  const sizes = channelMap(original).groups.map(({ layers, channels }) => [layers.length, channels.length])
  // three stages, each with a residual stream of two layers and a layer of its own inside
  assert.deepEqual(
    sizes.toSorted(),
    [
      [1, 16],
      [1, 32],
      [1, 64],
      [2, 16],
      [2, 32],
      [2, 64],
    ].toSorted(),
  )
})

test('a gate, a concatenation and a grouped convolution keep their channels in step', async () => {
  const map = channelMap(gatedNetwork())
  // the gate goes with the branches that it scales, of which each loses channels of its own
  assert.deepEqual(
    map.groups.map(({ layers, channels }) => [layers.join('+'), channels.length]),
    [
      ['left+excite', 8],
      ['right', 3],
      ['grouped+excite', 2],
      ['squeeze', 6],
    ],
  )
  for (const seed of [1, 2, 3]) await sameAsZeroed(map, someOf(map, 0.5, seed))
})

test('channels of inputs and outputs stay', () => {
  const map = channelMap(gatedNetwork())
  const removable = new Set(map.groups.flatMap(({ channels }) => channels))
  assert.ok(removable.size > 0)
  for (const name of [...map.graph.inputs, ...map.graph.outputs])
    assert.equal(map.structure.values.get(name), undefined)
})

test('a layer does not lose all its channels', () => {
  const map = channelMap(gatedNetwork())
  assert.throws(() => removeChannels(map, new Set(map.groups[0]!.channels)), { code: 'USAGE' })
})

function someOf({ groups }: ChannelMap, share: number, seed = 7): Set<number> {
  const random = seededGenerator(seed)
  const removed = new Set<number>()
  for (const { channels } of groups)
    for (const id of channels.slice(1)) if (random.next() < share) removed.add(id)
  return removed
}

async function sameAsZeroed(map: ChannelMap, removed: ReadonlySet<number>): Promise<void> {
  const pruned = removeChannels(map, removed)
  assert.ok(weights(pruned) < weights(map.graph))
  const [expected, given] = await Promise.all([zeroed(map, removed), pruned].map(outputs))
  expected!.forEach((value, i) => {
    const scale = Math.max(1, Math.abs(value))
    assert.ok(Math.abs(value - given![i]!) <= 1e-4 * scale, `${given![i]} instead of ${value}`)
  })
}

function weights(graph: Graph): number {
  let count = 0
  for (const { constant } of graph.values.values()) if (constant) count += elementCount(constant.shape)
  return count
}

/** Every constant that knows of a removed channel has zeros there. */
function zeroed({ graph, structure }: ChannelMap, removed: ReadonlySet<number>): Graph {
  const editor = new GraphEditor(graph)
  for (const {
    node: { name },
    input,
    axes,
  } of structure.cuts) {
    const node = editor.nodes.find((one) => one.name === name)!
    // a variance of zero would be divided by
    if (node.op.kind === 'BatchNormalization' && input > 2) continue
    const constant = graph.values.get(node.inputs[input]!)!.constant!
    const { data, shape } = tensorOf(constant)
    const copy = Float32Array.from(data as Float32Array)
    axes.forEach((groups, axis) => {
      const inner = elementCount(shape.slice(axis + 1))
      for (let i = 0; i < copy.length; i++)
        if (groups && removed.has(groups[Math.floor(i / inner) % shape[axis]!]!)) copy[i] = 0
    })
    const made = editor.addConstant(
      editor.freshName(`${node.inputs[input]}_zeroed`),
      constantOf('float32', shape, copy),
    )
    editor.updateNode(node, { inputs: node.inputs.map((old, i) => (i === input ? made : old)) })
  }
  return editor.finish()
}

async function outputs(graph: Graph): Promise<Float32Array> {
  const evaluator = await executeGraph(graph)
  try {
    const feeds = new Map(evaluator.inputs.map((info) => [info.name, randomTensor(info)]))
    const results = await evaluator.run(feeds)
    return results.get(evaluator.outputs[0]!.name)!.data as Float32Array
  } finally {
    await evaluator.close()
  }
}

/** Two branches that are concatenated, one through a grouped convolution, then a squeeze-and-excitation gate. */
function gatedNetwork(): Graph {
  const random = seededGenerator(3)
  const b = GraphBuilder.empty('gated')
  const floats = (...shape: number[]) =>
    b.constant(
      constantOf(
        'float32',
        shape,
        Float32Array.from({ length: elementCount(shape) }, () => random.normal() * 0.3),
      ),
      'w',
    )
  const conv = (x: string, w: string, bias: string, name: string, group = 1, pad = 0) =>
    b.op(
      {
        kind: 'Conv',
        group,
        strides: [1, 1],
        dilations: [1, 1],
        padsBegin: [pad, pad],
        padsEnd: [pad, pad],
        layout: 'channels-first',
      },
      [x, w, bias],
      name,
    )
  const relu = (x: string) => b.op({ kind: 'Relu' }, [x])
  const x = b.input('x', [1, 3, 8, 8])
  const left = relu(conv(x, floats(8, 3, 3, 3), floats(8), 'left', 1, 1))
  const right = relu(conv(x, floats(12, 3, 1, 1), floats(12), 'right'))
  const grouped = relu(conv(right, floats(8, 3, 3, 3), floats(8), 'grouped', 4, 1))
  const both = b.op({ kind: 'Concat', axis: 1 }, [left, grouped])
  const squeezed = b.op({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [both])
  const narrow = relu(conv(squeezed, floats(6, 16, 1, 1), floats(6), 'squeeze'))
  const gate = b.op({ kind: 'Sigmoid' }, [conv(narrow, floats(16, 6, 1, 1), floats(16), 'excite')])
  const gated = b.mul(both, gate)
  const flat = b.reshape(gated, [1, 16 * 64])
  const y = b.op(
    { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true },
    [flat, floats(5, 1024), floats(5)],
    'classes',
  )
  return b.finish([y])
}
