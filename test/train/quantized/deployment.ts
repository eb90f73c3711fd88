import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { openSamples, type SamplePart } from '../../../src/compile/samples.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { infer, type Runnable } from '../../../src/compile/quality.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import { runnableOf } from '../../../src/compile/runnable.ts'
import { openSource } from '../../../src/compile/source.ts'
import { seededGenerator } from '../../../src/data/generator.ts'
import { iterate } from '../../../src/data/iterate.ts'
import type { Sample } from '../../../src/data/types.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { runPasses } from '../../../src/passes/index.ts'
import { silentProgress } from '../../../src/progress.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import type { Ranges } from '../../../src/quantize/ranges.ts'
import { elementCount, type Tensor } from '../../../src/tensor.ts'
import { initialValues, type Network, type NetworkValues } from '../../../src/train/network.ts'
import { closeSimulation, reprepared } from '../../../src/train/quantized/close.ts'
import { gridOf } from '../../../src/train/quantized/grid.ts'
import { type SimulateOptions, simulateQuantization } from '../../../src/train/quantized/simulate.ts'
import { trainingPasses } from '../../../src/train/trainable.ts'
import type { QuantizationTarget } from '../../../src/train/quantized/target.ts'
import { fixture } from '../../fixtures.ts'
import { targets } from '../../../targets/index.ts'
import type { Target, TargetOptions } from '../../../targets/target.ts'

export interface Subject {
  readonly graph: Graph
  /** With its batch norms, where it is of a file. */
  readonly unfolded?: Graph
  readonly samples: readonly Pick<Sample, 'inputs'>[]
  readonly calibration: readonly Pick<Sample, 'inputs'>[]
}

/** A network of a file with samples: the data's own, or seeded random ones. */
export async function subjectOf(model: string, data?: string, count = 16): Promise<Subject> {
  const progress = silentProgress()
  const source = await openSource({ model, shapes: {} }, progress)
  const recipe = parseRecipe({}, 'test')
  const request = { data, calibrationData: undefined, recipe }
  const { calibration, evaluation } = await openSamples(request, source, progress)
  return {
    graph: source.graph,
    unfolded: await runPasses(source.original, trainingPasses(executeGraph), () => {}),
    samples: await taken(evaluation, count),
    calibration: await taken(calibration, 32),
  }
}

async function taken({ dataset, indices }: SamplePart, count: number): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of iterate(dataset, indices.slice(0, count))) samples.push(sample)
  return samples
}

/** A network that looks at pictures, with the first of a folder of the fixtures, every other one to calibrate on. */
export async function seeingSubject(
  model: string,
  folder: string,
  scale: (pixel: number) => number,
  count: number,
): Promise<Subject> {
  const { graph, original } = await openSource({ model: fixture(model), shapes: {} }, silentProgress())
  const input = graph.inputs[0]!
  const { shape } = graph.values.get(input)!.type
  const files = readdirSync(fixture(folder)).sort()
  const chosen = files.filter((_, i) => i % Math.floor(files.length / (2 * count)) === 0).slice(0, 2 * count)
  const samples = await Promise.all(
    chosen.map(async (file) => {
      const picture = sharp(join(fixture(folder), file))
        .removeAlpha()
        .toColourspace('srgb')
      const pixels = await picture.resize(shape[2]!, shape[1]!, { fit: 'cover' }).raw().toBuffer()
      const tensor: Tensor = { dtype: 'float32', shape, data: Float32Array.from(pixels, scale) }
      return { inputs: new Map([[input, tensor]]) }
    }),
  )
  return {
    graph,
    unfolded: await runPasses(original, trainingPasses(executeGraph), () => {}),
    samples: samples.filter((_, i) => i % 2 === 1),
    calibration: samples.filter((_, i) => i % 2 === 0),
  }
}

/** A graph of our own with seeded random samples. */
export function randomSubject(graph: Graph, count = 16): Subject {
  const random = seededGenerator(3)
  const samples = Array.from({ length: count + 32 }, () => {
    const inputs = graph.inputs.map((name): [string, Tensor] => {
      const { shape } = graph.values.get(name)!.type
      const data = Float32Array.from({ length: elementCount(shape) }, () => 2 * random.next() - 1)
      return [name, { dtype: 'float32', shape, data }]
    })
    return { inputs: new Map(inputs) }
  })
  return { graph, samples: samples.slice(32), calibration: samples.slice(0, 32) }
}

/** The same, ending in the class scores before the Softmax: one step of these is many of a probability. */
export function untilLogits({ graph, ...rest }: Subject): Subject {
  const editor = new GraphEditor(graph)
  editor.outputs = graph.outputs.map((name) => {
    const producer = editor.producer(name)
    return producer?.op.kind === 'Softmax' ? producer.inputs[0]! : name
  })
  return { ...rest, graph: editor.finish() }
}

export function optionsOf(
  architecture: 'x86_64' | 'aarch64',
  io: TargetOptions['io'],
  more: Partial<TargetOptions> = {},
): TargetOptions {
  return {
    cpu: { architecture, features: architecture === 'x86_64' ? ['avx512_vnni'] : ['asimddp'] },
    scheme: 'full-int8',
    io,
    activationRange: { kind: 'min-max' },
    weightRange: 'min-max',
    perChannel: true,
    correctBias: false,
    keepFloat: [],
    constraints: [],
    ...more,
  }
}

export function targetNamed(name: string): Target {
  return Object.values(targets).find((target): target is Target => target.available && target.name === name)!
}

/** The float graph of a target with its ranges, and what training may ask of the target. */
export async function tailoredFor(subject: Subject, target: Target, options: TargetOptions) {
  const graph = target.tailor?.(subject.graph, options) ?? subject.graph
  const wanted = target.wantedTensors(graph, options)
  const feeds = subject.calibration.map(({ inputs }) => inputs)
  const ranges = await calibrate(graph, executeGraph, feeds, wanted, { channelStatistics: 'none' })
  return { graph, ranges, quantization: quantizationOf(target, options, wanted) }
}

export function quantizationOf(
  target: Target,
  options: TargetOptions,
  wanted: readonly string[],
): QuantizationTarget {
  return {
    wanted,
    prepare: (graph: Graph, ranges: Ranges) => target.prepare(graph, ranges, options),
    ...(target.ties && { ties: target.ties }),
  }
}

/** The artifact of a float graph, ready to run as the board computes it. */
export async function deployed(
  target: Target,
  graph: Graph,
  ranges: Ranges,
  options: TargetOptions,
): Promise<Runnable> {
  const { graph: typed } = target.prepare(graph, ranges, options)
  return runnableOf(target.emit(typed, options), { options })
}

/** What training sees: the network's forward pass. */
export async function forward(
  network: Network,
  samples: Subject['samples'],
  values: NetworkValues = initialValues(network),
): Promise<Tensor[][]> {
  const evaluator = await createOnnxEvaluator(writeOnnx(network.graph), {
    config: { 'session.disable_quant_qdq': '1' },
  })
  const fixed = network.parameters.map(
    ({ name, shape }) => [name, { dtype: 'float32', shape, data: values.get(name)! }] as const,
  )
  const results: Tensor[][] = []
  for (const sample of samples) {
    const outputs = await evaluator.run(new Map<string, Tensor>([...fixed, ...sample.inputs]))
    results.push(network.outputs.map((name) => outputs.get(name)!))
  }
  await evaluator.close()
  return results
}

export interface Difference {
  /** Largest, in steps of the output's scale. */
  readonly steps: number
  /** Share of values that are the same number, and of those no more than a step away. */
  readonly equal: number
  readonly within: number
}

/** Outputs of a runnable beside those of training. @param step of each output, where the runnable gives reals */
export async function differenceOf(
  runnable: Runnable,
  samples: Subject['samples'],
  seen: readonly (readonly Tensor[])[],
  step: readonly number[],
): Promise<Difference> {
  let steps = 0
  let equal = 0
  let within = 0
  let count = 0
  for (const [index, sample] of samples.entries()) {
    const outputs = await infer(runnable, { id: `${index}`, label: null, ...sample })
    outputs.forEach((tensor, position) => {
      const scale = runnable.outputs[position]!.stored?.scale ?? step[position]!
      const ours = seen[index]![position]!.data
      for (let i = 0; i < ours.length; i++) {
        const off = Math.abs(Number(tensor.data[i]) - Number(ours[i])) / scale
        steps = Math.max(steps, off)
        if (off < 1e-3) equal++
        if (off < 1.001) within++
        count++
      }
    })
  }
  return { steps, equal: equal / count, within: within / count }
}

export interface Deployment {
  readonly target: string
  readonly architecture?: 'x86_64' | 'aarch64'
  readonly io?: TargetOptions['io']
  readonly weightScales?: SimulateOptions['weightScales']
  readonly more?: Partial<TargetOptions>
  /** Batch norms folded in the loop, this many. */
  readonly norms?: number
}

/** As after some training: every weight, bias and scale is another. */
export function moved({ parameters }: Network, seed: number): NetworkValues {
  const random = seededGenerator(seed)
  const around = (width: number) => 1 + width * (2 * random.next() - 1)
  return new Map(
    parameters.map(({ name, initial, trainable }) => [
      name,
      trainable ? initial.map((x) => x * around(name.includes('scale/') ? 0.1 : 0.05)) : initial,
    ]),
  )
}

/** Trains nothing, moves everything, closes, deploys, and holds what training sees to what the artifact gives. */
export async function trainedAndDeployed(subject: Subject, deployment: Deployment): Promise<Difference> {
  const { architecture = 'aarch64', io = 'int8', more, weightScales = 'min-max' } = deployment
  const target = targetNamed(deployment.target)
  const options = optionsOf(architecture, io, more)
  const { graph, ranges, quantization } = await tailoredFor(subject, target, options)
  const simulation = simulateQuantization(graph, ranges, quantization, {
    batchSize: 1,
    weightScales,
    ...(deployment.norms && subject.unfolded && { unfolded: subject.unfolded }),
  })
  assert.equal(simulation.foldedNorms.length, deployment.norms ?? 0)
  assert.ok(simulation.layers.length > 0)
  const values = moved(simulation.network, 5)
  const closed = closeSimulation(simulation, values)
  const { typed, deviations } = reprepared(simulation, closed)
  assert.deepEqual(deviations, [])
  const seen = await forward(simulation.network, subject.samples, values)
  const runnable = await deployed(target, closed.graph, closed.ranges, options)
  const steps = simulation.network.outputs.map((_, position) => {
    const all = seen.flatMap((outputs) => Array.from(outputs[position]!.data as Float32Array))
    // of a product that is never rounded: what 8 bits would give
    return stepOf(typed.graph, position) ?? (Math.max(...all) - Math.min(...all)) / 255
  })
  const difference = await differenceOf(runnable, subject.samples, seen, steps)
  await runnable.evaluator.close()
  return difference
}

/** Of the integers that an output is made of, over conversions and moves. */
function stepOf(typed: Graph, position: number): number | null {
  const producers = new Map(typed.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  for (let name = typed.outputs[position]!; ; ) {
    const grid = gridOf(typed.values.get(name)!.type)
    if (grid) return grid.scale
    const node = producers.get(name)
    if (!node || !['Convert', 'Reshape', 'Transpose', 'Identity'].includes(node.op.kind)) return null
    name = node.inputs[0]!
  }
}
