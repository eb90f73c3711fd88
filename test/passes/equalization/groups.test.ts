import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openModel } from '../../../src/formats/index.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { convertLayout, floatPasses, runPasses } from '../../../src/passes/index.ts'
import { equalizationGroups } from '../../../src/passes/equalization/groups.ts'
import { scaleChannels } from '../../../src/passes/equalization/scale-channels.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { randomFeeds } from '../../targets/onnxruntime-run.ts'
import { floatType, SmallGraph } from '../../targets/small-graphs.ts'

/** The layer of that name with the groups of its channels. */
function layer(graph: Graph, name: string) {
  return equalizationGroups(graph).layers.find(({ linear }) => linear.node.name === name)!
}

function isFree(groups: Int32Array): boolean {
  return groups.every((group) => group !== 0)
}

/** Scales between 1/4 and 4, other ones for each group, 1 where a clip stands. */
function scalesOf({ count, clips }: ReturnType<typeof equalizationGroups>): number[] {
  const clipped = new Set(clips.flatMap(({ groups }) => [...groups]))
  return Array.from({ length: count }, (_, group) =>
    group === 0 || clipped.has(group) ? 1 : 4 ** Math.sin(group * 7.7),
  )
}

/** Largest difference over the largest output, and how many groups were scaled. */
async function scaledDifference(graph: Graph) {
  const groups = equalizationGroups(graph)
  const scales = scalesOf(groups)
  const scaled = scaleChannels(graph, groups, scales)
  verifyGraph(scaled)
  const [before, after] = [await executeGraph(graph), await executeGraph(scaled)]
  let largest = 0
  let difference = 0
  for (const seed of [3, 4]) {
    const feeds = randomFeeds(graph, seed)
    const [expected, found] = [await before.run(feeds), await after.run(feeds)]
    for (const [name, { data }] of expected)
      (data as Float32Array).forEach((x, i) => {
        largest = Math.max(largest, Math.abs(x))
        difference = Math.max(difference, Math.abs(x - Number(found.get(name)!.data[i])))
      })
  }
  await before.close()
  await after.close()
  return { difference: difference / largest, scaled: scales.filter((scale) => scale !== 1).length }
}

async function keepsFunction(graph: Graph, leastScaled: number): Promise<void> {
  const { difference, scaled } = await scaledDifference(graph)
  assert.ok(scaled >= leastScaled, `only ${scaled} groups are free`)
  assert.ok(difference < 1e-5, `${difference} of the largest output`)
}

const relu: Op = { kind: 'Relu' }
const add: Op = { kind: 'Binary', fn: 'Add' }
const relu6: Op = { kind: 'Clip', min: 0, max: 6 }

/** x → conv `a` → the operators → conv `b` → output. */
function between(ops: readonly Op[]): Graph {
  const small = new SmallGraph()
  let x = small.conv(small.input('x', 1, 3, 8, 8), 4, {}, 'a')
  for (const op of ops) x = small.node(op, [x])
  return small.finish(small.conv(x, 5, {}, 'b'))
}

test('channels of one layer are those that the next reads, through operators that keep scales', async () => {
  const window = { strides: [2, 2], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }
  const pool = { ...window, kernel: [2, 2], ceilMode: false, layout: 'channels-first' } as const
  const pads = { padsBegin: [0, 0, 1, 1], padsEnd: [0, 0, 1, 1] }
  const graph = between([
    relu,
    { kind: 'LeakyRelu', alpha: 0.1 },
    { kind: 'Pad', mode: 'constant', value: 0, ...pads },
    { kind: 'MaxPool', ...pool },
    { kind: 'AveragePool', ...pool, countIncludePad: true },
    { kind: 'Transpose', perm: [0, 2, 3, 1] },
    { kind: 'Transpose', perm: [0, 3, 1, 2] },
    { kind: 'Clip', min: 0, max: Number.POSITIVE_INFINITY },
    { kind: 'Reduce', fn: 'Mean', axes: [2], keepDims: true },
  ])
  assert.ok(isFree(layer(graph, 'a').outputs))
  assert.deepEqual(layer(graph, 'b').inputs, layer(graph, 'a').outputs)
  assert.deepEqual([...layer(graph, 'a').inputs, ...layer(graph, 'b').outputs], new Array(8).fill(0))
  assert.deepEqual(equalizationGroups(graph).clips, [])
  await keepsFunction(graph, 4)
})

test('a picture flattened into a matrix product repeats its channels', async () => {
  const small = new SmallGraph()
  const x = small.node(relu, [small.conv(small.input('x', 1, 3, 2, 2), 3, {}, 'a')])
  const flat = small.node({ kind: 'Reshape', shape: [1, 12] }, [x])
  const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }
  const graph = small.finish(small.node(gemm, [flat, small.weights([2, 12]), small.weights([2])], 'b'))
  const [p, q, r] = layer(graph, 'a').outputs
  assert.deepEqual([...layer(graph, 'b').inputs], [p, p, p, p, q, q, q, q, r, r, r, r])
  await keepsFunction(graph, 3)
  await keepsFunction(convertLayout(graph, 'channels-last'), 3)
})

test('a depthwise layer has groups of its own on either side', async () => {
  const small = new SmallGraph()
  const a = small.node(relu, [small.conv(small.input('x', 1, 3, 8, 8), 4, { kernel: 1 }, 'a')])
  const depthwise = small.node(relu, [small.conv(a, 4, { group: 4 }, 'depthwise')])
  const graph = small.finish(small.conv(depthwise, 5, { kernel: 1 }, 'b'))
  const { inputs, outputs } = layer(graph, 'depthwise')
  assert.equal(new Set([...inputs, ...outputs]).size, 8)
  assert.deepEqual(inputs, layer(graph, 'a').outputs)
  assert.deepEqual(outputs, layer(graph, 'b').inputs)
  await keepsFunction(graph, 8)
})

test('all who write and all who read sums share scales; what lies inside a block has its own', async () => {
  const small = new SmallGraph()
  const stem = small.node(relu, [small.conv(small.input('x', 1, 3, 8, 8), 4, {}, 'stem')])
  const block = (x: string, name: string) => {
    const inner = small.node(relu, [small.conv(x, 6, {}, `${name}1`)])
    return small.node(relu, [small.node(add, [small.conv(inner, 4, {}, `${name}2`), x])])
  }
  const graph = small.finish(small.conv(block(block(stem, 'p'), 'q'), 2, {}, 'head'))
  const { outputs } = layer(graph, 'stem')
  for (const name of ['p2', 'q2']) assert.deepEqual(layer(graph, name).outputs, outputs)
  for (const name of ['p1', 'q1', 'head']) assert.deepEqual(layer(graph, name).inputs, outputs)
  assert.equal(new Set([...layer(graph, 'p1').outputs, ...layer(graph, 'q1').outputs, ...outputs]).size, 16)
  await keepsFunction(graph, 16)
})

test('a concatenation keeps the scales of each branch, a split those of each part', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 3, 8, 8)
  const joined = small.node({ kind: 'Concat', axis: 1 }, [
    small.conv(x, 2, {}, 'a'),
    small.conv(x, 4, {}, 'b'),
  ])
  const [first, second] = small.nodeOutputs({ kind: 'Split', axis: 1, sizes: [3, 3] }, [joined])
  const swapped = small.node({ kind: 'Concat', axis: 1 }, [second!, first!])
  const graph = small.finish(small.conv(swapped, 2, {}, 'c'))
  const [a, b] = [layer(graph, 'a').outputs, layer(graph, 'b').outputs]
  assert.deepEqual([...layer(graph, 'c').inputs], [...b.slice(1), ...a, b[0]])
  await keepsFunction(graph, 6)
})

test('a branch that keeps no scales leaves the others of a concatenation free', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 3, 8, 8)
  const gate = small.node({ kind: 'HardSwish' }, [small.conv(x, 2, {}, 'a')])
  const joined = small.node({ kind: 'Concat', axis: 1 }, [gate, small.conv(x, 2, {}, 'b')])
  const graph = small.finish(small.conv(joined, 2, {}, 'c'))
  assert.deepEqual([...layer(graph, 'a').outputs], [0, 0])
  assert.deepEqual([...layer(graph, 'c').inputs], [0, 0, ...layer(graph, 'b').outputs])
  await keepsFunction(graph, 2)
})

test('scales pass a squeeze-and-excitation gate, whose own layers keep theirs inside', async () => {
  const small = new SmallGraph()
  const x = small.node(relu, [small.conv(small.input('x', 1, 3, 8, 8), 4, {}, 'a')])
  const mean = small.node({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [x])
  const squeezed = small.node(relu, [small.conv(mean, 2, { kernel: 1 }, 'squeeze')])
  const gate = small.node({ kind: 'Sigmoid' }, [small.conv(squeezed, 4, { kernel: 1 }, 'excite')])
  const graph = small.finish(small.conv(small.node({ kind: 'Binary', fn: 'Mul' }, [x, gate]), 2, {}, 'b'))
  assert.deepEqual(layer(graph, 'squeeze').inputs, layer(graph, 'a').outputs)
  assert.deepEqual(layer(graph, 'b').inputs, layer(graph, 'a').outputs)
  assert.deepEqual([...layer(graph, 'excite').outputs], [0, 0, 0, 0])
  await keepsFunction(graph, 6)
})

test('a clip is named with the groups that it bounds', () => {
  const groups = equalizationGroups(between([relu6]))
  assert.deepEqual(
    groups.clips.map(({ op, groups }) => [op.max, [...groups]]),
    [[6, [...groups.layers[0]!.outputs]]],
  )
})

for (const [name, op] of [
  ['hard-swish', { kind: 'HardSwish' }],
  ['sigmoid', { kind: 'Sigmoid' }],
  ['GELU', { kind: 'Gelu', approximate: 'none' }],
  ['a clip that does not hold zero', { kind: 'Clip', min: 1, max: 6 }],
  [
    'padding with ones',
    { kind: 'Pad', mode: 'constant', value: 1, padsBegin: [0, 0, 1, 1], padsEnd: [0, 0, 1, 1] },
  ],
  ['a maximum over channels', { kind: 'Reduce', fn: 'Max', axes: [1], keepDims: true }],
] as const)
  test(`no scale passes ${name}`, () => {
    const small = new SmallGraph()
    const x = small.node(op as Op, [small.conv(small.input('x', 1, 3, 8, 8), 4, {}, 'a')])
    const graph = small.finish(small.conv(x, 5, {}, 'b'))
    assert.deepEqual([...layer(graph, 'a').outputs, ...new Set(layer(graph, 'b').inputs)], [0, 0, 0, 0, 0])
    assert.equal(equalizationGroups(graph).count, 1)
  })

test('a value that leaves the graph, goes to an unknown operator or meets a constant keeps its scale', () => {
  const left = new SmallGraph()
  const seen = left.conv(left.input('x', 1, 3, 8, 8), 4, {}, 'a')
  assert.equal(equalizationGroups(left.finish(left.conv(seen, 2, {}, 'b'), seen)).count, 1)

  const unknown = new SmallGraph()
  const read = unknown.conv(unknown.input('x', 1, 3, 8, 8), 4, {}, 'a')
  unknown.editor.addNode({
    name: 'opaque',
    op: {
      kind: 'Opaque',
      format: 'onnx',
      domain: 'x',
      opType: 'Own',
      opset: 1,
      payload: new Uint8Array(),
      captures: [],
    },
    inputs: [read],
    outputs: [{ name: 'own', type: floatType(1) }],
  })
  assert.equal(equalizationGroups(unknown.finish(unknown.conv(read, 2, {}, 'b'), 'own')).count, 1)

  const shifted = new SmallGraph()
  const y = shifted.conv(shifted.input('x', 1, 3, 8, 8), 4, {}, 'a')
  const sum = shifted.node(add, [y, shifted.constant([1, 4, 1, 1], [1, 2, 3, 4])])
  assert.equal(equalizationGroups(shifted.finish(shifted.conv(sum, 2, {}, 'b'))).count, 1)
})

test('layers that share their weights are left alone', () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 3, 8, 8)
  const w = small.weights([3, 3, 3, 3])
  const op = { kind: 'Conv', group: 1, layout: 'channels-first', strides: [1, 1], dilations: [1, 1] } as const
  const same: Op = { ...op, padsBegin: [1, 1], padsEnd: [1, 1] }
  const graph = small.finish(small.node(same, [small.node(same, [x, w]), w]))
  assert.equal(equalizationGroups(graph).count, 1)
})

for (const [name, path, leastScaled] of [
  ['ResNet8', 'mlperf-tiny/ic_resnet8_float.tflite', 16 + 16 + 32 + 32 + 64 + 64],
  ['VWW', 'mlperf-tiny/vww_float.tflite', 1000],
  ['KWS', 'mlperf-tiny/kws_dscnn_float.onnx', 64 * 9],
  ['AD', 'mlperf-tiny/ad_float.tflite', 128 * 8 + 8],
] as const)
  test(`scaling every group of ${name} keeps its function, in both layouts`, {
    skip: fixturesMissing,
  }, async () => {
    const [original] = (await openModel(fixture(path))).graphs.values()
    const graph = await runPasses(original!, floatPasses(executeGraph))
    for (const layout of ['channels-first', 'channels-last'] as const)
      await keepsFunction(convertLayout(graph, layout), leastScaled)
  })
