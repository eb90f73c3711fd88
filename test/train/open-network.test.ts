import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { randomTensor } from '../../src/execute/random.ts'
import { constantOf, tensorOf } from '../../src/graph/constant.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import { runPasses } from '../../src/passes/index.ts'
import { closeNetwork } from '../../src/train/close-network.ts'
import { initialValues, type Network } from '../../src/train/network.ts'
import { openNetwork } from '../../src/train/open-network.ts'
import { trainingPasses } from '../../src/train/trainable.ts'
import { elementCount } from '../../src/tensor.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'
import {
  assertRowByRow,
  assertSameGraph,
  evaluatorOf,
  fedValues,
  floatNetworks,
  readGraph,
} from './float-networks.ts'

const frozen = { batchSize: 2, batchNorm: 'frozen' } as const

const prepared = async (path: string) => runPasses(await readGraph(path), trainingPasses(evaluatorOf))

/** Values that training could have left: each another number. */
function trained(network: Network): Map<string, Float32Array> {
  return new Map(
    [...initialValues(network)].map(([name, initial], k) => [
      name,
      initial.map((x, i) => x * (1 + 0.05 * Math.sin(i + k)) + 0.001 * Math.cos(3 * i)),
    ]),
  )
}

describe('a network that opens gives what it gave, and closes to the very same', {
  skip: fixturesMissing,
}, () => {
  /** Parameters of each: what its file has, counted by hand from its printed graph. */
  const counts: Record<string, readonly [kernels: number, others: number, statistics: number]> = {
    // 10 dense with bias, 9 normalizations
    'autoencoder (Keras)': [10, 10 + 18, 18],
    'autoencoder (TFLite)': [10, 10, 0],
    // 9 convolutions and a dense with bias, 7 normalizations
    'ResNet8 (Keras)': [10, 10 + 14, 14],
    'ResNet8 (TFLite)': [10, 10, 0],
    'DS-CNN (ONNX)': [10, 10 + 18, 18],
    // 27 convolutions and a dense with bias, 27 normalizations
    'MobileNetV1 96 (Keras)': [28, 28 + 54, 54],
    'MobileNetV1 96 (TFLite)': [28, 28, 0],
    'MobileNetV1 224 (TFLite)': [28, 28, 0],
    'MNIST (TFLite)': [3, 2, 0],
    'MNIST (CNTK)': [3, 3, 0],
    ShuffleNet: [50, 100, 98],
    SqueezeNet: [26, 26, 0],
    'examples/mnist': [4, 2 + 4, 4],
    'examples/mnist-tfjs': [4, 4, 0],
    // patches, 3 blocks of 6 products, head; 7 layer normalizations and the biases
    'vision transformer': [20, 20 + 14, 0],
  }
  for (const [name, path] of Object.entries(floatNetworks))
    test(name, async () => {
      const graph = await prepared(path)
      const network = openNetwork(graph, frozen)
      verifyGraph(network.graph)
      assert.deepEqual(layouts(network.graph), [])
      await assertRowByRow(graph, network.graph, 2, fedValues(network, initialValues(network)))
      assertSameGraph(closeNetwork(graph, network, initialValues(network)), graph)
      // other weights come back to where they belong: the closed network does what the open one did
      const values = trained(network)
      const closed = closeNetwork(graph, network, values)
      verifyGraph(closed)
      await assertRowByRow(closed, network.graph, 2, fedValues(network, values))
      const training = openNetwork(graph, { ...frozen, batchNorm: 'train' })
      verifyGraph(training.graph)
      assertSameGraph(closeNetwork(graph, training, initialValues(training)), graph)
      const kernels = training.parameters.filter(({ decay }) => decay).length
      const found = [kernels, training.parameters.length - kernels, training.statistics.length]
      assert.deepEqual(found, counts[name])
      assert.deepEqual(training.graph.inputs, [
        ...graph.inputs,
        ...[...training.parameters, ...training.statistics].map((tensor) => tensor.name),
      ])
      assert.deepEqual(training.graph.outputs, [
        ...graph.outputs,
        ...training.statistics.map(({ next }) => next),
      ])
    })
})

function layouts(graph: Graph): string[] {
  return graph.nodes.flatMap(({ op }) => ('layout' in op && op.layout !== 'channels-first' ? [op.kind] : []))
}

const relu: Op = { kind: 'Relu' }
const binary = (fn: 'Add' | 'Mul' | 'Sub'): Op => ({ kind: 'Binary', fn })
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
const normalization: Op = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }

/** Opens, closes with other weights, and asserts that both do the same. */
async function assertCloses(graph: Graph): Promise<{ network: Network; closed: Graph }> {
  const network = openNetwork(graph, frozen)
  verifyGraph(network.graph)
  await assertRowByRow(graph, network.graph, 2, fedValues(network, initialValues(network)))
  const values = trained(network)
  const closed = closeNetwork(graph, network, values)
  verifyGraph(closed)
  await assertRowByRow(closed, network.graph, 2, fedValues(network, values))
  return { network, closed }
}

const names = (network: Network) => network.parameters.map(({ name }) => name)

describe('what counts as learned', () => {
  test('a bias or scale behind a layer, and not the same numbers elsewhere', async () => {
    const g = new SmallGraph()
    const x = g.input('x', 1, 3, 4, 4)
    const normal = g.node(binary('Mul'), [x, named(g, 'input-scale', [3, 1, 1])])
    const conv = g.conv(normal, 3, { bias: false })
    const scaled = g.node(binary('Mul'), [named(g, 'scale', [1, 3, 1, 1]), conv])
    const biased = g.node(binary('Add'), [scaled, named(g, 'bias', [3, 1, 1])])
    // positions, a number for all, and a number taken away are no biases
    const placed = g.node(binary('Mul'), [biased, named(g, 'anchors', [4])])
    const half = g.node(binary('Mul'), [placed, named(g, 'half', [])])
    const less = g.node(binary('Sub'), [half, named(g, 'mean', [3, 1, 1])])
    const { network } = await assertCloses(g.finish(less))
    assert.deepEqual(names(network), ['w', 'scale', 'bias'])
    assert.deepEqual(
      network.parameters.map(({ decay }) => decay),
      [true, false, false],
    )
  })

  test('the same behind the layout that TensorFlow has', async () => {
    const g = new SmallGraph()
    const x = g.input('x', 1, 4, 5, 3)
    const op: Op = { ...(convOp() as Extract<Op, { kind: 'Conv' }>), layout: 'channels-last' }
    const conv = g.node(op, [x, g.weights([6, 3, 3, 3])])
    const biased = g.node(binary('Add'), [conv, named(g, 'bias', [6])])
    const slope = g.node({ kind: 'PRelu' }, [biased, named(g, 'slope', [1, 1, 6])])
    const flat = g.node({ kind: 'Reshape', shape: [1, 120] }, [slope])
    const dense = g.node({ kind: 'MatMul' }, [flat, named(g, 'dense', [120, 4])])
    const { network } = await assertCloses(g.finish(dense))
    assert.deepEqual(names(network), ['w', 'bias', 'slope', 'dense'])
    // the matrix is in another order inside, where channels are first
    const outside = network.parameters.find(({ name }) => name === 'dense')!
    const file = tensorOf(g.editor.value('dense').constant!).data as Float32Array
    assert.notDeepEqual(outside.initial, file)
    assert.deepEqual(outside.initial.toSorted(), file.toSorted())
  })

  test('scales and shifts of every normalization', async () => {
    const g = new SmallGraph()
    const conv = g.conv(g.input('x', 1, 2, 3, 3), 4)
    const four = (name: string) => named(g, name, [4])
    const instance = g.node({ kind: 'InstanceNormalization', epsilon: 1e-3 }, [conv, four('is'), four('ib')])
    const rows = g.node({ kind: 'Transpose', perm: [0, 2, 3, 1] }, [instance])
    const layer = g.node({ kind: 'LayerNormalization', axis: 3, epsilon: 1e-3 }, [
      rows,
      four('ls'),
      four('lb'),
    ])
    const { network } = await assertCloses(g.finish(layer))
    assert.deepEqual(names(network).slice(2), ['is', 'ib', 'ls', 'lb'])
    assert.ok(network.parameters.slice(2).every(({ decay }) => !decay))
  })
})

/** Weights under a name of their own. */
function named(g: SmallGraph, name: string, shape: number[]): string {
  const { data } = randomTensor({ dtype: 'float32', shape }, name.length)
  return g.editor.addConstant(name, constantOf('float32', shape, data))
}

describe('shared constants', () => {
  test('a kernel of two layers is one parameter', async () => {
    const g = new SmallGraph()
    const x = g.input('x', 1, 3, 4, 4)
    const kernel = g.weights([3, 3, 3, 3])
    const twice = g.node(convOp(), [g.node(relu, [g.node(convOp(), [x, kernel])]), kernel])
    const { network, closed } = await assertCloses(g.finish(twice))
    assert.deepEqual(names(network), ['w'])
    assert.deepEqual(
      closed.nodes.filter(({ op }) => op.kind === 'Conv').map(({ inputs }) => inputs[1]),
      ['w', 'w'],
    )
  })

  test('a matrix that meets its operands in two orders is one parameter', async () => {
    const g = new SmallGraph()
    const op: Op = { ...(convOp() as Extract<Op, { kind: 'Conv' }>), layout: 'channels-last' }
    const conv = g.node(op, [g.input('x', 1, 2, 2, 3), g.weights([3, 3, 3, 3])])
    const matrix = named(g, 'matrix', [12, 5])
    const flat = g.node(gemm, [g.node({ kind: 'Reshape', shape: [1, 12] }, [conv]), matrix])
    const plain = g.node(gemm, [g.input('y', 1, 12), matrix])
    const { network } = await assertCloses(g.finish(g.node(binary('Add'), [flat, plain])))
    assert.deepEqual(names(network), ['w', 'matrix'])
    assert.equal(network.graph.nodes.filter(({ op }) => op.kind === 'Gather').length, 1)
  })

  test('equal constants that a writer kept once part: biases of several layers, a scale that is a variance', async () => {
    const g = new SmallGraph()
    const [ones, zeros] = [g.constant([3], [1, 1, 1]), g.constant([3], [0, 0, 0])]
    let x = g.input('x', 1, 3, 4, 4)
    for (const name of ['first', 'second']) {
      x = g.node(convOp(), [x, g.weights([3, 3, 3, 3]), zeros], `${name}-conv`)
      x = g.node(normalization, [x, ones, zeros, zeros, ones], name)
    }
    const graph = g.finish(x)
    const { network, closed } = await assertCloses(graph)
    assert.equal(network.parameters.length, 8)
    const used = closed.nodes.flatMap(({ inputs }) => inputs.slice(1))
    assert.equal(new Set(used).size, 12)
    const training = openNetwork(graph, { ...frozen, batchNorm: 'train' })
    assert.equal(training.statistics.length, 4)
  })

  test('running means that a writer kept once part though nothing else does', () => {
    const g = new SmallGraph()
    const zeros = g.constant([3], [0, 0, 0])
    let x = g.input('x', 1, 3, 4, 4)
    for (let i = 0; i < 2; i++)
      x = g.node(normalization, [g.conv(x, 3), g.weights([3]), g.weights([3]), zeros, g.weights([3], 0.1, 1)])
    const { statistics } = openNetwork(g.finish(x), { ...frozen, batchNorm: 'train' })
    assert.equal(statistics.length, 4)
    assert.equal(new Set(statistics.map(({ next }) => next)).size, 4)
  })

  test('a number of a formula stays what it is where a bias like it is learned', async () => {
    const g = new SmallGraph()
    const zero = g.constant([3, 1, 1], [0, 0, 0])
    const x = g.input('x', 1, 3, 4, 4)
    const clipped = g.node({ kind: 'Binary', fn: 'Max' }, [x, zero])
    const biased = g.node(binary('Add'), [g.conv(clipped, 3, { bias: false }), zero])
    const { network, closed } = await assertCloses(g.finish(biased))
    assert.equal(network.parameters.length, 2)
    const maximum = closed.nodes.find(({ op }) => op.kind === 'Binary' && op.fn === 'Max')!
    assert.deepEqual([...tensorOf(closed.values.get(maximum.inputs[1]!)!.constant!).data], [0, 0, 0])
  })

  test('a normalized layer that is applied twice keeps all in common, and moves its statistics twice', () => {
    const g = new SmallGraph()
    const weights = g.weights([3, 3, 3, 3])
    const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map((name) =>
      named(g, name, [3]),
    )
    let x = g.input('x', 1, 3, 4, 4)
    for (let i = 0; i < 2; i++)
      x = g.node(normalization, [g.node(convOp(), [x, weights]), scale!, shift!, mean!, variance!])
    const network = openNetwork(g.finish(x), { ...frozen, batchNorm: 'train' })
    assert.deepEqual(names(network), ['w', 'scale', 'shift'])
    assert.deepEqual(
      network.statistics.map(({ name }) => name),
      ['mean', 'variance'],
    )
    const chained = network.graph.nodes.filter(({ inputs }) => inputs.includes('mean'))
    assert.equal(chained.length, 1)
  })
})

test('a batch normalization that is held fixed infers', () => {
  const g = new SmallGraph()
  let x = g.input('x', 1, 3, 4, 4)
  for (const part of ['first', 'second']) {
    const each = ['scale', 'shift', 'mean', 'variance'].map((name) => named(g, `${part} ${name}`, [3]))
    x = g.node(normalization, [g.conv(x, 3), ...each])
  }
  const held = {
    ...frozen,
    batchNorm: 'train',
    trainable: (name: string) => !name.startsWith('first'),
  } as const
  const network = openNetwork(g.finish(x), held)
  assert.deepEqual(
    network.statistics.map(({ name }) => name),
    ['second mean', 'second variance'],
  )
  assert.equal(network.graph.nodes.filter(({ op }) => op.kind === 'BatchNormalization').length, 1)
})

describe('what cannot be trained is refused', () => {
  test('a quantized file', { skip: fixturesMissing }, async () => {
    for (const path of ['mlperf-tiny/ic_resnet8_int8.tflite', 'mlperf-tiny/kws_dscnn_int8.tflite'])
      await assert.rejects(async () => openNetwork(await readGraph(fixture(path)), frozen), {
        code: 'MODEL_FORMAT_UNSUPPORTED',
        message: 'The network is quantized already; training needs its float form.',
      })
  })

  test('a network without weights, or with all of them held fixed', () => {
    const g = new SmallGraph()
    const graph = g.finish(g.conv(g.node(relu, [g.input('x', 1, 2, 3, 3)]), 2))
    assert.throws(() => openNetwork(graph, { ...frozen, trainable: () => false }), {
      code: 'GRAPH_INVALID',
      saw: 'all 2 parameters are held fixed',
    })
    const bare = new SmallGraph()
    const nothing = bare.finish(bare.node(relu, [bare.input('x', 1, 2)]))
    assert.throws(() => openNetwork(nothing, frozen), {
      code: 'GRAPH_INVALID',
      message: 'Nothing in the network can be trained.',
    })
    const network = openNetwork(graph, { ...frozen, trainable: (name) => name === 'w' })
    assert.deepEqual(
      network.parameters.map(({ trainable }) => trainable),
      [true, false],
    )
  })

  test('values of another size', () => {
    const g = new SmallGraph()
    const graph = g.finish(g.conv(g.input('x', 1, 2, 3, 3), 2))
    const network = openNetwork(graph, frozen)
    assert.throws(() => closeNetwork(graph, network, new Map([['w', new Float32Array(3)]])), {
      code: 'INTERNAL',
    })
  })
})

test('closing leaves out what training added, and keeps what has no value', () => {
  const g = new SmallGraph()
  const graph = g.finish(g.conv(g.input('x', 1, 2, 3, 3), 2))
  const network = openNetwork(graph, frozen)
  const learnedScale = { ...network.parameters[0]!, name: 'scale of x' }
  const more = { ...network, parameters: [...network.parameters, learnedScale] }
  const values = new Map([['scale of x', new Float32Array(elementCount(learnedScale.shape))]])
  assertSameGraph(closeNetwork(graph, more, values), graph)
})
