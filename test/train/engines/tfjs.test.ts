import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { seededGenerator } from '../../../src/data/generator.ts'
import { EdgewrightError } from '../../../src/error.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { runPasses } from '../../../src/passes/index.ts'
import { elementCount, type Tensor } from '../../../src/tensor.ts'
import { loadTfjs } from '../../../src/train/engines/load-tfjs.ts'
import { openTfjsSession } from '../../../src/train/engines/tfjs.ts'
import { requireOperators } from '../../../src/train/engines/tfjs-operators.ts'
import { matchValue, teacherInput } from '../../../src/train/losses.ts'
import type { Network } from '../../../src/train/network.ts'
import { openNetwork } from '../../../src/train/open-network.ts'
import { adam, sgd } from '../../../src/train/optimizers.ts'
import { buildProgram, type Program } from '../../../src/train/program.ts'
import { simulateQuantization } from '../../../src/train/quantized/simulate.ts'
import { openSession } from '../../../src/train/session.ts'
import { trainingPasses } from '../../../src/train/trainable.ts'
import { fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { convOp, SmallGraph } from '../../targets/small-graphs.ts'
import { floatNetworks, readGraph } from '../float-networks.ts'
import { optionsOf, subjectOf, tailoredFor, targetNamed } from '../quantized/deployment.ts'

before(async () => {
  await tf.setBackend('cpu')
})

/** Adam would make as large a step of a gradient that is 0 but for rounding: that of a bias before batch norm. */
function programOf(network: Network, optimizer = sgd({ momentum: 0.9 })): Program {
  const [output] = network.outputs
  return buildProgram(network, { loss: matchValue({ value: output! }), optimizer, clipNorm: 10 })
}

/** Random data inputs of a program: the same for the same step. */
function feedsOf({ graph, feeds }: Program, step: number): Map<string, Tensor> {
  const random = seededGenerator(17 + step)
  return new Map(
    feeds.map((name) => {
      const { shape } = graph.values.get(name)!.type
      const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal())
      return [name, { dtype: 'float32', shape, data }]
    }),
  )
}

/** The same steps in both engines: metrics and all state tensors must agree, relative to the largest of each. */
async function assertSameTraining(program: Program, steps = 4): Promise<void> {
  const [theirs, ours] = [await openTfjsSession(tf, program), await openSession(program)]
  try {
    let tensors: number | undefined
    for (let step = 0; step < steps; step++) {
      const feeds = feedsOf(program, step)
      const [got, wanted] = [await theirs.step(feeds, 1e-3, step), await ours.step(feeds, 1e-3, step)]
      for (const [name, value] of Object.entries(wanted))
        assert.ok(
          Math.abs(got[name]! - value) <= 1e-3 * Math.max(1e-3, Math.abs(value)),
          `${name}: ${got[name]} beside ${value}`,
        )
      tensors ??= tf.memory().numTensors
      assert.equal(tf.memory().numTensors, tensors, 'no tensor is left behind by a step')
    }
    const [found, expected] = [theirs.state(), ours.state()]
    assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort())
    for (const [name, values] of expected) {
      const got = found.get(name)!
      const initial = program.state.find((one) => one.name === name)!.initial
      let [worst, moved] = [0, 0]
      values.forEach((value, index) => {
        worst = Math.max(worst, Math.abs(value - got[index]!))
        moved = Math.max(moved, Math.abs(value - initial[index]!), 1e-3 * Math.abs(value))
      })
      // of how far the training took it
      assert.ok(worst <= 5e-3 * moved + 1e-7, `${name}: ${worst} of ${moved}`)
    }
  } finally {
    await theirs.close()
    await ours.close()
  }
}

/** Padding, strides, dilations, groups, depthwise kernels, pools that overlap, a residual sum, batch norm. */
function convolutional(): Graph {
  const g = new SmallGraph('convolutional')
  const x = g.input('x', 1, 3, 12, 12)
  const channels = [8]
  const statistics = [
    g.weights(channels, 0.2, 1),
    g.weights(channels),
    g.weights(channels, 0.2),
    g.weights(channels, 0.2, 1),
  ]
  const batchNorm = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' } as const
  const first = g.node({ kind: 'Relu' }, [g.node(batchNorm, [g.conv(x, 8), ...statistics])])
  const window = {
    strides: [2, 2],
    dilations: [1, 1],
    padsBegin: [1, 1],
    padsEnd: [0, 0],
    layout: 'channels-first',
  } as const
  const pooled = g.node({ kind: 'MaxPool', kernel: [3, 3], ceilMode: false, ...window }, [first])
  const depthwise = g.conv(pooled, 8, { group: 8 })
  const grouped = g.conv(g.node({ kind: 'LeakyRelu', alpha: 0.1 }, [depthwise]), 8, { group: 2 })
  const sum = g.node({ kind: 'Binary', fn: 'Add' }, [grouped, pooled])
  const dilated = { ...convOp({ pad: 2 }), dilations: [2, 2] } as ReturnType<typeof convOp>
  const wide = g.node({ kind: 'HardSwish' }, [g.node(dilated, [sum, g.weights([8, 8, 3, 3], 0.1), null])])
  const average = {
    kind: 'AveragePool',
    kernel: [2, 2],
    ceilMode: false,
    countIncludePad: false,
    ...window,
  } as const
  const strided = g.conv(g.node(average, [wide]), 6, { stride: 2 })
  const flat = g.node({ kind: 'Reshape', shape: [1, 24] }, [strided])
  const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false } as const
  return g.finish(
    g.node({ kind: 'Softmax', axis: 1 }, [g.node(gemm, [flat, g.weights([24, 5]), g.weights([5])])]),
  )
}

test('convolutions of all kinds, pools, residual sums and batch norm train as in ONNX Runtime, and leave nothing behind', async () => {
  await assertSameTraining(programOf(openNetwork(convolutional(), { batchSize: 4, batchNorm: 'train' })))
})

test('so do plain and transposed convolutions of signals, with Adam', async () => {
  const g = new SmallGraph('signal')
  const x = g.input('x', 1, 4, 16)
  const window = {
    strides: [2],
    dilations: [1],
    padsBegin: [1],
    padsEnd: [1],
    layout: 'channels-first',
  } as const
  const down = g.node({ kind: 'Conv', group: 1, ...window }, [x, g.weights([6, 4, 3], 0.3), g.weights([6])])
  const up = g.node({ kind: 'ConvTranspose', group: 2, outputPadding: [1], ...window }, [
    g.node({ kind: 'Tanh' }, [down]),
    g.weights([6, 2, 3], 0.3),
    g.weights([4]),
  ])
  const network = openNetwork(g.finish(up), { batchSize: 3, batchNorm: 'train' })
  await assertSameTraining(programOf(network, adam({ weightDecay: 0.01 })))
})

test('weights that are held at zero stay zero', async () => {
  const g = new SmallGraph('masked')
  const x = g.input('x', 1, 6)
  const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false } as const
  const network = openNetwork(g.finish(g.node(gemm, [x, g.weights([6, 3]), g.weights([3])])), {
    batchSize: 4,
    batchNorm: 'train',
  })
  const [kernel] = network.parameters
  const program = buildProgram(network, {
    loss: matchValue({ value: network.outputs[0]! }),
    optimizer: adam(),
    masked: [kernel!.name],
  })
  const mask = Float32Array.from({ length: 18 }, (_, index) => index % 2)
  const session = await openTfjsSession(tf, program, { masks: new Map([[kernel!.name, mask]]) })
  await session.step(feedsOf(program, 0), 1e-2, 0)
  const trained = session.state().get(kernel!.name)!
  assert.ok(trained.every((weight, index) => (weight === 0) === (mask[index] === 0)))
  await session.close()
})

for (const name of ['DS-CNN (ONNX)', 'MNIST (CNTK)', 'vision transformer'])
  test(`a public network trains alike: ${name}`, {
    skip: name === 'vision transformer' ? false : fixturesMissing,
  }, async () => {
    const graph = await runPasses(
      await readGraph(floatNetworks[name]!),
      trainingPasses(executeGraph),
      () => {},
    )
    await assertSameTraining(programOf(openNetwork(graph, { batchSize: 2, batchNorm: 'train' })), 2)
  })

test('quantization-aware training rounds where ONNX Runtime does, learned scales and all', async () => {
  const example = join(repositoryRoot, 'examples', 'mnist')
  const subject = await subjectOf(join(example, 'mnist.onnx'), join(example, 'data.yaml'), 12)
  const tailored = await tailoredFor(subject, targetNamed('litert'), optionsOf('aarch64', 'int8'))
  const { network } = simulateQuantization(tailored.graph, tailored.ranges, tailored.quantization, {
    batchSize: 2,
    weightScales: 'learned',
  })
  await assertSameTraining(programOf(network), 2)
})

test('what it cannot compute is refused by name before the first step', async () => {
  const g = new SmallGraph('resized')
  const x = g.conv(g.input('x', 1, 2, 4, 4), 2)
  const resize = {
    kind: 'Resize',
    mode: 'nearest',
    sizes: [1, 2, 8, 8],
    scales: null,
    roi: null,
    antialias: false,
    coordinateTransformation: 'asymmetric',
    nearestMode: 'floor',
    cubicCoefficient: -0.75,
    excludeOutside: false,
    extrapolationValue: 0,
    layout: 'channels-first',
  } as const
  const network = openNetwork(g.finish(g.node(resize, [x], 'grow')), { batchSize: 2, batchNorm: 'train' })
  await assert.rejects(
    openTfjsSession(tf, programOf(network)),
    (error: unknown) =>
      error instanceof EdgewrightError &&
      error.code === 'OPERATOR_UNSUPPORTED' &&
      error.saw === 'Resize' &&
      /--engine onnxruntime/.test(error.hint ?? ''),
  )
})

test('numbers that TensorFlow.js has not are refused, not rounded to integers', async () => {
  const g = new SmallGraph('doubles')
  const made = g.conv(g.input('x', 1, 2, 4, 4), 2)
  const wide = { dtype: 'float64', shape: [1, 2, 4, 4], quantization: null } as const
  g.editor.addNode({
    name: 'widen',
    op: { kind: 'Cast' },
    inputs: [made],
    outputs: [{ name: 'wide', type: wide }],
  })
  const narrow = { dtype: 'float32', shape: [1, 2, 4, 4], quantization: null } as const
  g.editor.addNode({
    name: 'back',
    op: { kind: 'Cast' },
    inputs: ['wide'],
    outputs: [{ name: 'y', type: narrow }],
  })
  assert.throws(
    () => requireOperators(g.finish('y')),
    (error: unknown) => error instanceof EdgewrightError && error.saw === 'Cast of float64',
  )
})

test('an engine that there is not is refused by name', async () => {
  await assert.rejects(loadTfjs('torch' as 'tfjs', repositoryRoot), { code: 'CONFIG_INVALID', saw: 'torch' })
})

test('the engine is the user’s own; where it is missing one sentence says what to install', async (t) => {
  assert.equal((await loadTfjs('tfjs', repositoryRoot)).version.tfjs, tf.version.tfjs)
  const empty = mkdtempSync(join(tmpdir(), 'edgewright-engine-'))
  t.after(() => rmSync(empty, { recursive: true }))
  for (const [engine, name] of [
    ['tfjs', '@tensorflow/tfjs'],
    ['tfjs-node', '@tensorflow/tfjs-node'],
  ] as const)
    await assert.rejects(
      loadTfjs(engine, empty),
      (error: unknown) =>
        error instanceof EdgewrightError &&
        error.code === 'CONFIG_INVALID' &&
        error.hint!.startsWith(`npm install ${name} in your project`),
    )
})

test('the program of a distillation names its feeds, and the teacher’s are among them', () => {
  const network = openNetwork(convolutional(), { batchSize: 2, batchNorm: 'train' })
  assert.ok(programOf(network).feeds.includes(teacherInput(network.outputs[0]!)))
})
