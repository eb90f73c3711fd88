import { openSamples, type SamplePart } from '../../../src/compile/samples.ts'
import { calibrateSamples } from '../../../src/compile/calibration.ts'
import { feedsOf, infer, type Runnable } from '../../../src/compile/quality.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import { runnableOf } from '../../../src/compile/runnable.ts'
import { openSource, type Source } from '../../../src/compile/source.ts'
import { iterate } from '../../../src/data/iterate.ts'
import type { Sample } from '../../../src/data/types.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import type { Ranges } from '../../../src/quantize/ranges.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { initialValues, type Network, type NetworkValues } from '../../../src/train/network.ts'
import type { QuantizationTarget } from '../../../src/train/quantized/target.ts'
import { targets } from '../../../targets/index.ts'
import type { Target, TargetOptions } from '../../../targets/target.ts'

export interface Subject {
  readonly source: Source
  readonly samples: readonly Sample[]
  readonly calibration: SamplePart
}

/** A network with samples: the data's own, or seeded random ones. */
export async function subjectOf(model: string, data?: string, count = 16): Promise<Subject> {
  const progress = silentProgress()
  const source = await openSource({ model, shapes: {} }, progress)
  const recipe = parseRecipe({}, 'test')
  const { calibration, evaluation } = await openSamples(
    { data, calibrationData: undefined, recipe },
    source,
    progress,
  )
  const samples: Sample[] = []
  for await (const sample of iterate(evaluation.dataset, evaluation.indices.slice(0, count)))
    samples.push(sample)
  return { source, samples, calibration: { ...calibration, indices: calibration.indices.slice(0, 32) } }
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
  const { source, calibration } = subject
  const graph = target.tailor?.(source.graph, options) ?? source.graph
  const wanted = target.wantedTensors(graph, options)
  const ranges = await calibrateSamples(
    { graph, wanted, samples: calibration, histograms: false, channelStatistics: 'none', cache: null },
    silentProgress(),
  )
  return { graph, ranges, quantization: quantizationOf(target, options, wanted) }
}

export function quantizationOf(
  target: Target,
  options: TargetOptions,
  wanted: readonly string[],
): QuantizationTarget {
  return { wanted, prepare: (graph: Graph, ranges: Ranges) => target.prepare(graph, ranges, options) }
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
  samples: readonly Sample[],
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
  /** Share of values that are the same number. */
  readonly equal: number
}

/** Outputs of a runnable beside those of training. @param step of each output, where the runnable gives reals */
export async function differenceOf(
  runnable: Runnable,
  samples: readonly Sample[],
  seen: readonly (readonly Tensor[])[],
  step: readonly number[],
): Promise<Difference> {
  let steps = 0
  let equal = 0
  let count = 0
  for (const [index, sample] of samples.entries()) {
    const outputs = await infer(runnable, sample)
    outputs.forEach((tensor, position) => {
      const scale = runnable.outputs[position]!.stored?.scale ?? step[position]!
      const ours = seen[index]![position]!.data
      for (let i = 0; i < ours.length; i++) {
        const off = Math.abs(Number(tensor.data[i]) - Number(ours[i])) / scale
        steps = Math.max(steps, off)
        if (off < 1e-3) equal++
        count++
      }
    })
  }
  return { steps, equal: equal / count }
}

export { feedsOf }
