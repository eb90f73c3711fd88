import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { openDataset } from '../../../src/data/open.ts'
import type { Dataset } from '../../../src/data/types.ts'
import { datasetBatches } from '../../../src/train/dataset-batches.ts'
import { crossEntropy } from '../../../src/train/losses.ts'
import { constantOf } from '../../../src/graph/constant.ts'
import { initialValues, type Network, type NetworkValues } from '../../../src/train/network.ts'
import { adam } from '../../../src/train/optimizers.ts'
import { buildProgram } from '../../../src/train/program.ts'
import {
  closeSimulation,
  rangesOf,
  reprepared,
  withFrozenScales,
  withValues,
} from '../../../src/train/quantized/close.ts'
import { simulateQuantization, type SimulateOptions } from '../../../src/train/quantized/simulate.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { openSession } from '../../../src/train/session.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { silentProgress } from '../../../src/progress.ts'
import { repositoryRoot } from '../../fixtures.ts'
import {
  deployed,
  differenceOf,
  forward,
  optionsOf,
  randomSubject,
  subjectOf,
  type Subject,
  tailoredFor,
  targetNamed,
} from './deployment.ts'
import { branchingNetwork } from './branches.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
const options = optionsOf('aarch64', 'int8')
let subject: Subject
let digits: Dataset
before(async () => {
  subject = await subjectOf(join(example, 'mnist.onnx'), join(example, 'data.yaml'), 24)
  const inputs = subject.graph.inputs.map((name) => {
    const { dtype, shape } = subject.graph.values.get(name)!.type
    return { name, dtype, shape }
  })
  digits = await openDataset(join(example, 'data.yaml'), inputs, { seed: 0, warn: silentProgress().warn })
})

async function simulationFor(target: string, more: Partial<SimulateOptions> = {}) {
  const { graph, ranges, quantization } = await tailoredFor(subject, targetNamed(target), options)
  return simulateQuantization(graph, ranges, quantization, { batchSize: 16, ...more })
}

/** @returns the mean losses of the first and the last steps, and the values after them */
async function trained(network: Network, steps: number, rate: number) {
  const program = buildProgram(network, { loss: crossEntropy(), optimizer: adam() })
  const session = await openSession(program)
  const indices = Array.from({ length: 16 * steps }, (_, i) => i % digits.length)
  const batches = datasetBatches(digits, indices, { batchSize: 16, seed: 1, shuffle: true })
  const losses: number[] = []
  for await (const { feeds } of batches.epoch(0))
    losses.push((await session.step(feeds, rate, losses.length)).loss!)
  const values: NetworkValues = session.state()
  await session.close()
  const mean = (some: readonly number[]) => some.reduce((sum, loss) => sum + loss, 0) / some.length
  return { first: mean(losses.slice(0, 5)), last: mean(losses.slice(-5)), values }
}

for (const weightScales of ['min-max', 'learned'] as const)
  test(`weights of 2 bits learn to do without the other six, ${weightScales} scales`, async () => {
    const simulation = await simulationFor('litert', { weightBits: 2, weightScales })
    assert.equal(simulation.deployable, false)
    const { first, last, values } = await trained(simulation.network, 25, 5e-4)
    assert.ok(last < 0.6 * first, `${first} to ${last}`)
    const { layers } = closeSimulation(simulation, values)
    for (const { integers } of layers.values()) assert.ok(integers.every((q) => Math.abs(q) <= 1))
  })

test('after real steps of training the artifact computes what training saw, and scales have moved', async () => {
  const simulation = await simulationFor('onnxruntime', { weightScales: 'learned' })
  const { values } = await trained(simulation.network, 8, 1e-3)
  assert.equal(simulation.scales.length, 4)
  for (const { parameter } of simulation.scales) assert.notEqual(values.get(parameter)![0], 1)
  const closed = closeSimulation(simulation, values)
  assert.deepEqual(reprepared(simulation, closed).deviations, [])
  const one = await simulationFor('onnxruntime', { weightScales: 'learned', batchSize: 1 })
  const seen = await forward(one.network, subject.samples, values)
  const runnable = await deployed(targetNamed('onnxruntime'), closed.graph, closed.ranges, options)
  const { within } = await differenceOf(runnable, subject.samples, seen, [1])
  assert.equal(within, 1)
  await runnable.evaluator.close()
})

test('a width that no artifact has is a float file of its own, which computes what training sees', async () => {
  const width = { weightBits: 4, activationBits: 6, batchSize: 1 }
  const simulation = await simulationFor('onnxruntime', width)
  const values = initialValues(simulation.network)
  const seen = await forward(simulation.network, subject.samples, values)
  const portable = await simulationFor('onnxruntime', { ...width, portable: true })
  const plain = await executeGraph(withValues(portable.network, values))
  const [output] = simulation.network.outputs
  for (const [index, { inputs }] of subject.samples.entries())
    assert.deepEqual(unsigned((await plain.run(inputs)).get(output!)!), unsigned(seen[index]![0]!))
  assert.equal(portable.deployable, false)
  await plain.close()
})

/** Without the sign of zeros. */
function unsigned({ data }: Tensor): Float32Array {
  return (data as Float32Array).map((x) => x + 0)
}

test('frozen scales stay where training left them while weights go on', async () => {
  const simulation = await simulationFor('litert', { weightScales: 'learned' })
  const { values } = await trained(simulation.network, 3, 1e-3)
  const frozen = withFrozenScales(simulation, values)
  const after = (await trained(frozen, 3, 1e-3)).values
  const parameters = frozen.parameters.filter(({ trainable }) => trainable)
  assert.ok(parameters.length > 0 && parameters.length < simulation.network.parameters.length)
  assert.deepEqual(rangesOf(simulation, after), rangesOf(simulation, values))
  for (const { parameter } of simulation.weightScales.values())
    assert.deepEqual(after.get(parameter!), values.get(parameter!))
  for (const { name } of parameters) assert.notDeepEqual(after.get(name), values.get(name))
})

test('what an operator fixes is not learned, and what a clip ends is not learned beyond it', async () => {
  const branches = randomSubject(branchingNetwork())
  // inputs of up to 1 would not reach 6
  for (const { inputs } of [...branches.calibration, ...branches.samples])
    for (const { data } of inputs.values())
      for (let i = 0; i < data.length; i++) (data as Float32Array)[i]! *= 8
  const target = targetNamed('onnxruntime')
  const { graph, ranges, quantization } = await tailoredFor(branches, target, options)
  const { classes, scales, network, ...simulation } = simulateQuantization(graph, ranges, quantization, {
    batchSize: 1,
  })
  const classOf = (name: string) => classes.of.get(classes.typed.stored!.get(name)!)!
  assert.equal(classOf('sigmoid').grid.scale, Math.fround(1 / 256))
  assert.equal(classOf('sigmoid').movable, false)
  assert.equal(classOf('relu6').largestScale, Math.fround(6 / 255))
  assert.equal(classOf('maxpool'), classOf('relu_2'))
  const wide = new Map(
    network.parameters.map(({ name, initial }) => [
      name,
      name.startsWith('scale/') ? initial.map(() => 3) : initial,
    ]),
  )
  const closed = closeSimulation({ classes, scales, network, ...simulation }, wide)
  assert.deepEqual(reprepared({ classes, scales, network, ...simulation }, closed).deviations, [])
  assert.equal(closed.scales.get(classOf('relu6')), Math.fround(6 / 255))
})

test('layers kept in float stay real in training; where all do, there is nothing to train so', async () => {
  const target = targetNamed('litert')
  const kept = { ...options, keepFloat: ['/dense1/Gemm'] }
  const { graph, ranges, quantization } = await tailoredFor(subject, target, kept)
  const simulation = simulateQuantization(graph, ranges, quantization, { batchSize: 1 })
  assert.deepEqual(
    simulation.layers.map(({ node }) => node),
    ['/conv1/Conv', '/conv2/Conv', '/dense2/Gemm'],
  )
  const values = initialValues(simulation.network)
  const closed = closeSimulation(simulation, values)
  const runnable = await deployed(target, closed.graph, closed.ranges, kept)
  const seen = await forward(simulation.network, subject.samples, values)
  const { within, equal } = await differenceOf(runnable, subject.samples, seen, [1])
  assert.ok(within === 1 && equal > 0.95, `${within} within a step, ${equal} equal`)
  await runnable.evaluator.close()
  const stored = await tailoredFor(subject, target, { ...options, scheme: 'float16', io: 'float' })
  assert.throws(
    () => simulateQuantization(stored.graph, stored.ranges, stored.quantization, { batchSize: 1 }),
    { code: 'CONFIG_INVALID' },
  )
})

test('a scale that is kept stays as long as some weight rounds to its end, and only then', async () => {
  const simulation = await simulationFor('litert', { weightScales: 'frozen' })
  const [layer] = simulation.layers
  const name = simulation.graph.nodes.find((one) => one.name === layer!.node)!.inputs[1]!
  const { start } = simulation.weightScales.get(layer!.node)!
  /** Each channel's first weight that many steps from 0, the others nearer. */
  const scalesOf = (steps: number) => {
    const values = new Map(initialValues(simulation.network))
    const inner = values.get(name)!.length / start.length
    values.set(
      name,
      values
        .get(name)!
        .map((_, i) => (i % inner === 0 ? steps : (i % 50) - 25) * start[Math.floor(i / inner)]!),
    )
    const closed = closeSimulation(simulation, values)
    assert.deepEqual(reprepared(simulation, closed).deviations, [])
    return closed.layers.get(layer!.node)!.scales.map((scale, channel) => scale / start[channel]!)
  }
  for (const steps of [140, 127, 126.6])
    assert.ok(scalesOf(steps).every((share) => Math.abs(share - 1) < 1e-6))
  assert.ok(scalesOf(126).every((share) => share < 0.9999 && share > 0.99))
  assert.ok(scalesOf(60).every((share) => share < 0.5))
})

test('scales of 16 bits are not learned: there is nothing to gain by them', async () => {
  const wide = { ...options, scheme: 'int16x8', io: 'float' } as const
  const { graph, ranges, quantization } = await tailoredFor(subject, targetNamed('litert'), wide)
  const { scales, layers } = simulateQuantization(graph, ranges, quantization, { batchSize: 1 })
  assert.equal(scales.length, 0)
  assert.equal(layers.length, 4)
})

test('a last step that makes a weight or a scale infinite is told', async () => {
  const simulation = await simulationFor('litert')
  for (const { name } of [simulation.network.parameters[0]!, simulation.network.parameters.at(-1)!]) {
    const values = new Map(initialValues(simulation.network))
    values.set(
      name,
      values.get(name)!.map((value, i) => (i === 0 ? Number.NaN : value)),
    )
    assert.throws(() => closeSimulation(simulation, values), { code: 'TRAINING_DIVERGED', where: name })
  }
})

test('a bias that the target stores otherwise is reported', async () => {
  const simulation = await simulationFor('litert')
  const closed = closeSimulation(simulation, initialValues(simulation.network))
  const [node, layer] = [...closed.layers][0]!
  const { inputs } = closed.graph.nodes.find(({ name }) => name === node)!
  const value = closed.graph.values.get(inputs[2]!)!
  const scale =
    layer.scales[0]! * closed.scales.get(simulation.classes.of.get(simulation.layers[0]!.input!)!)!
  const bias = layer.bias!.map((b, i) => (i === 0 ? b + scale : b))
  const values = new Map([
    ...closed.graph.values,
    [value.name, { ...value, constant: constantOf('float32', value.type.shape, bias) }],
  ])
  const { deviations } = reprepared(simulation, { ...closed, graph: { ...closed.graph, values } })
  assert.deepEqual(
    deviations.map(({ where, stored }) => [where, stored]),
    [[node, '1 others']],
  )
})

test('a target that stores something else than training saw is reported', async () => {
  const simulation = await simulationFor('onnxruntime')
  const closed = closeSimulation(
    simulation,
    new Map(simulation.network.parameters.map(({ name, initial }) => [name, initial])),
  )
  const [name, range] = [...closed.ranges][1]!
  const ranges = new Map([...closed.ranges, [name, { ...range, max: range.max * 2 }]])
  const { deviations } = reprepared(simulation, { ...closed, ranges })
  assert.ok(deviations.some(({ where, stored }) => where === name && stored.startsWith('scale ')))
  assert.ok(deviations.length < simulation.classes.of.size)
})
