import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import type * as TensorFlow from '@tensorflow/tfjs'
import { randomTensor } from '../../src/execute/random.ts'
import type { Graph } from '../../src/graph/types.ts'
import { floatPasses, runPasses } from '../../src/passes/index.ts'
import { foldScaleAndShift } from '../../src/passes/fold-scale-and-shift.ts'
import { elementCount, type Tensor } from '../../src/tensor.ts'
import { type RunningStatisticsOptions, trainBatchNorm } from '../../src/train/batch-norm.ts'
import { GraphBuilder } from '../../src/train/builder.ts'
import { closeNetwork } from '../../src/train/close-network.ts'
import { gradientsOf } from '../../src/train/differentiate.ts'
import { crossEntropy } from '../../src/train/losses.ts'
import { openNetwork } from '../../src/train/open-network.ts'
import { sgd } from '../../src/train/optimizers.ts'
import { buildProgram } from '../../src/train/program.ts'
import { openSession } from '../../src/train/session.ts'
import { trainingPasses } from '../../src/train/trainable.ts'
import { repositoryRoot } from '../fixtures.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { difference, evaluatorOf, fedValues, readGraph, run } from './float-networks.ts'

const epsilon = 1e-3

/** Output, gradients of Σ y·r by x, scale and bias, and the statistics after a step. Channels are the second axis. */
type Step = Readonly<Record<'y' | 'dx' | 'dscale' | 'dbias' | 'mean' | 'variance', Tensor>>
type Given = Readonly<Record<'x' | 'r' | 'scale' | 'bias' | 'mean' | 'variance', Tensor>>

function given(shape: readonly number[], shift: number): Given {
  const random = (of: readonly number[], seed: number, factor = 1, plus = 0): Tensor => {
    const { data } = randomTensor({ dtype: 'float32', shape: of }, seed)
    return { dtype: 'float32', shape: of, data: (data as Float32Array).map((x) => x * factor + plus) }
  }
  const channels = [shape[1]!]
  return {
    x: random(shape, 1, 2, shift),
    r: random(shape, 2),
    scale: random(channels, 3, 0.5, 1),
    bias: random(channels, 4),
    mean: random(channels, 5, 1, shift),
    variance: random(channels, 6, 0.4, 1),
  }
}

async function ours(values: Given, options: RunningStatisticsOptions): Promise<Step> {
  const b = GraphBuilder.empty('step')
  for (const [name, { shape }] of Object.entries(values)) b.input(name, shape)
  const op = { kind: 'BatchNormalization', epsilon, layout: 'channels-first' } as const
  const y = b.op(op, ['x', 'scale', 'bias', 'mean', 'variance'], 'y')
  const running = { mean: 'mean', variance: 'variance' }
  const next = trainBatchNorm(b, b.editor.producer(y)!, running, options)
  const gradients = gradientsOf(b, b.reduceAll('Sum', b.mul(y, 'r')), ['x', 'scale', 'bias'])
  const [dx, dscale, dbias] = ['x', 'scale', 'bias'].map((name) => gradients.get(name)!)
  const names = { y, dx: dx!, dscale: dscale!, dbias: dbias!, ...next }
  const results = await run(b.finish(Object.values(names)), new Map(Object.entries(values)))
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, results.get(name)!])) as Step
}

let tf: typeof TensorFlow

before(async () => {
  // it suggests a native package on every start
  const { warn, log } = console
  Object.assign(console, { warn: () => {}, log: () => {} })
  const loaded = (await import('@tensorflow/tfjs')) as unknown as { default?: typeof TensorFlow }
  tf = loaded.default ?? (loaded as unknown as typeof TensorFlow)
  await tf.setBackend('cpu')
  tf.scalar(0).dispose()
  Object.assign(console, { warn, log })
})

/** The same by TensorFlow.js, whose channels are the last axis. */
function theirs(values: Given, momentum: number | undefined): Step {
  const rank = values.x.shape.length
  const toLast = [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]
  const toFirst = [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)]
  const tensor = ({ data, shape }: Tensor) => tf.tensor(data as Float32Array, [...shape])
  const tensorOf = (t: TensorFlow.Tensor): Tensor => ({
    dtype: 'float32',
    shape: t.shape,
    data: t.dataSync() as Float32Array,
  })
  const x = tf.variable(tf.transpose(tensor(values.x), toLast))
  const r = tf.transpose(tensor(values.r), toLast)
  const layer = tf.layers.batchNormalization({ epsilon, ...(momentum !== undefined && { momentum }) })
  layer.build(x.shape)
  layer.setWeights([values.scale, values.bias, values.mean, values.variance].map(tensor))
  const apply = () => layer.apply(x, { training: true }) as TensorFlow.Tensor
  const [scale, bias] = layer.trainableWeights.map((weight) => weight.read() as TensorFlow.Variable)
  const { grads } = tf.variableGrads(
    () => tf.sum(tf.mul(apply(), r)) as TensorFlow.Scalar,
    [x, scale!, bias!],
  )
  const [, , mean, variance] = layer.getWeights().map(tensorOf)
  return {
    // a second time: statistics are read already
    y: tensorOf(tf.transpose(apply(), toFirst)),
    dx: tensorOf(tf.transpose(grads[x.name]!, toFirst)),
    dscale: tensorOf(grads[scale!.name]!),
    dbias: tensorOf(grads[bias!.name]!),
    mean: mean!,
    variance: variance!,
  }
}

describe('batch normalization in training is that of TensorFlow.js', () => {
  const shapes = {
    images: [4, 3, 5, 6],
    vectors: [6, 8],
    signals: [3, 4, 7],
    'two samples of one value': [2, 5],
  }
  for (const [name, shape] of Object.entries(shapes))
    for (const [shift, momentum] of [
      [0, undefined],
      [3, 0.9],
    ] as const)
      test(`${name}, ${shift === 0 ? 'momentum as it is by default' : `mean ${shift}, momentum ${momentum}`}`, async () => {
        const values = given(shape, shift)
        const found = await ours(values, momentum === undefined ? {} : { momentum })
        for (const [key, expected] of Object.entries(theirs(values, momentum))) {
          const worst = difference(expected, found[key as keyof Step])
          assert.ok(worst <= 1e-4, `${key} differs by ${worst}`)
        }
      })
})

test('gradients are those of central differences', async () => {
  const values = given([3, 2, 2, 3], 0.5)
  const found = await ours(values, {})
  const loss = async (changed: Given) => {
    const { y } = await ours(changed, {})
    const r = changed.r.data as Float32Array
    return (y.data as Float32Array).reduce((sum, x, i) => sum + x * r[i]!, 0)
  }
  const h = 0.02
  for (const [name, gradient] of [
    ['x', found.dx],
    ['scale', found.dscale],
    ['bias', found.dbias],
  ] as const) {
    const data = gradient.data as Float32Array
    const peak = Math.max(...data.map(Math.abs))
    for (let i = 0; i < data.length; i += 3) {
      const nudged = (by: number): Given => {
        const copy = (values[name].data as Float32Array).slice()
        copy[i]! += by
        return { ...values, [name]: { ...values[name], data: copy } }
      }
      const numeric = ((await loss(nudged(h))) - (await loss(nudged(-h)))) / (2 * h)
      assert.ok(Math.abs(numeric - data[i]!) <= 1e-3 * peak, `${name}[${i}]: ${numeric} and ${data[i]}`)
    }
  }
})

test('the running variance follows the unbiased estimate where that is asked for', async () => {
  const values = given([2, 3, 1, 2], 1)
  const { variance } = await ours(values, { momentum: 0.75, runningVariance: 'unbiased' })
  const x = values.x.data as Float32Array
  const expected = [0, 1, 2].map((channel) => {
    const all = [0, 1].flatMap((sample) =>
      [0, 1].map((position) => x[(sample * 3 + channel) * 2 + position]!),
    )
    const mean = all.reduce((a, b) => a + b) / 4
    const unbiased = all.reduce((sum, one) => sum + (one - mean) ** 2, 0) / 3
    return 0.75 * Number(values.variance.data[channel]) + 0.25 * unbiased
  })
  const wanted: Tensor = { dtype: 'float32', shape: [3], data: Float32Array.from(expected) }
  assert.ok(difference(wanted, variance) < 1e-6)
})

test('a channel with one value a batch has no variance to train with', () => {
  const g = new SmallGraph()
  const dense = g.node({ kind: 'MatMul' }, [g.input('x', 1, 4), g.weights([4, 3])])
  const each = (shift: number) => g.weights([3], 0.1, shift)
  const op = { kind: 'BatchNormalization', epsilon, layout: 'channels-first' } as const
  const graph = g.finish(g.node(op, [dense, each(1), each(0), each(0), each(1)], 'norm'))
  assert.throws(() => openNetwork(graph, { batchSize: 1, batchNorm: 'train' }), {
    code: 'OPERATOR_UNSUPPORTED',
    where: 'norm',
  })
  assert.equal(openNetwork(graph, { batchSize: 2, batchNorm: 'train' }).statistics.length, 2)
})

describe('a network trained with batch normalization', () => {
  const batchSize = 8
  const image = randomTensor({ dtype: 'float32', shape: [batchSize, 1, 28, 28] }, 9)
  const label: Tensor = {
    dtype: 'int64',
    shape: [batchSize],
    data: BigInt64Array.from({ length: batchSize }, (_, i) => BigInt(i)),
  }

  /** Some steps on one batch; the running statistics are those of the batch of the last step. */
  async function learned(): Promise<{ graph: Graph; closed: Graph; losses: number[] }> {
    const read = await readGraph(join(repositoryRoot, 'examples/mnist/mnist.onnx'))
    const graph = await runPasses(read, trainingPasses(evaluatorOf))
    const network = openNetwork(graph, { batchSize, batchNorm: 'train', momentum: 0 })
    const program = buildProgram(network, { loss: crossEntropy(), optimizer: sgd({ momentum: 0.9 }) })
    const session = await openSession(program)
    const losses: number[] = []
    // the last step with learning rate 0 leaves the weights and moves the statistics to them
    for (const rate of [0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0]) {
      const { loss } = await session.step(
        new Map([
          ['image', image],
          ['label', label],
        ]),
        rate,
        losses.length,
      )
      losses.push(loss!)
    }
    const values = session.state()
    await session.close()
    const trained = await run(
      network.graph,
      new Map([['image', image], ...fedValues(network, values)]),
      network.outputs,
    )
    const closed = closeNetwork(graph, network, values)
    const frozen = openNetwork(closed, { batchSize, batchNorm: 'frozen' })
    const inferred = await run(
      frozen.graph,
      new Map([
        ['image', image],
        ...fedValues(frozen, new Map(frozen.parameters.map((p) => [p.name, p.initial]))),
      ]),
    )
    const worst = difference(trained.get('logits'), inferred.get('logits'))
    assert.ok(worst < 1e-4, `training and inference differ by ${worst}`)
    return { graph, closed, losses }
  }

  test('learns, and infers by its running statistics what it did in training', async () => {
    const { graph, closed, losses } = await learned()
    assert.ok(losses.at(-1)! < 0.2 * losses[0]!, `${losses}`)
    for (const name of [
      'norm1.running_mean',
      'norm2.running_var',
      'conv1.weight',
      'norm1.weight',
      'dense2.bias',
    ])
      assert.notEqual(
        closed.values.get(name)!.constant!.digest,
        graph.values.get(name)!.constant!.digest,
        name,
      )
  })

  test('folds as any other', async () => {
    const { closed } = await learned()
    for (const passes of [[foldScaleAndShift], floatPasses(evaluatorOf)]) {
      const folded = await runPasses(closed, passes)
      assert.ok(folded.nodes.every(({ op }) => op.kind !== 'BatchNormalization'))
      const one: Tensor = {
        dtype: 'float32',
        shape: [1, 1, 28, 28],
        data: (image.data as Float32Array).subarray(0, elementCount([28, 28])),
      }
      const [before, after] = [
        await run(closed, new Map([['image', one]])),
        await run(folded, new Map([['image', one]])),
      ]
      const worst = difference(before.get('logits'), after.get('logits'))
      assert.ok(worst <= 1e-5, `it differs by ${worst}`)
    }
  })
})
