import { dequantizeTensor } from '../../data/quantize-tensor.ts'
import { Agreement } from '../../data/metric.ts'
import { iterate } from '../../data/iterate.ts'
import { randomDataset } from '../../data/random.ts'
import type { Sample } from '../../data/types.ts'
import { EdgewrightError } from '../../error.ts'
import { feedsOf } from '../../compile/quality.ts'
import type { PlanStep } from '../../measure/plan.ts'
import type { Progress } from '../../progress.ts'
import type { ComparedOutputs } from '../../store/comparison.ts'
import { byteLength, bytesOf, type Tensor, viewAs } from '../../tensor.ts'
import { datasetFor, type LoadedNetwork } from '../evaluate.ts'
import { stepOf } from '../parity.ts'
import type { CompareRequest } from './request.ts'
import type { Side } from './side.ts'

/** The same samples as each of two networks takes them, and where their outputs go. */
export interface OutputCheck {
  /** Null where the two can be compared, else why not. */
  readonly obstacle: string | null
  readonly inputs: 'data' | 'random'
  readonly samples: number
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly fetch: readonly string[]
  steps(folder: string, artifact: (arm: 'a' | 'b') => string): PlanStep[]
}

const most = 16

/** Prepares what shows, in the run that measures speed, whether both compute the same. */
export async function prepareOutputs(
  a: Side,
  b: Side,
  request: CompareRequest,
  progress: Progress,
): Promise<OutputCheck> {
  const inputs = request.data === undefined ? 'random' : 'data'
  const obstacle = obstacleOf(a.network, b.network, inputs)
  if (obstacle !== null) return { obstacle, inputs, samples: 0, files: new Map(), fetch: [], steps: () => [] }
  const files = new Map<string, Uint8Array>()
  const [first, second] = [
    await samplesFor(a, a.network, request, progress),
    await samplesFor(b, a.network, request, progress),
  ]
  const samples = Math.min(first.length, second.length)
  for (const [arm, side, taken] of [
    ['a', a, first],
    ['b', b, second],
  ] as const)
    for (const [name, bytes] of filesOf(arm, side.network, taken.slice(0, samples))) files.set(name, bytes)
  return {
    obstacle: null,
    inputs,
    samples,
    files,
    fetch: [...outputFiles('a', a.network), ...outputFiles('b', b.network)],
    steps: (folder, artifact) =>
      [['a', a] as const, ['b', b] as const].map(([arm, { network }]) => ({
        do: 'infer',
        artifact: artifact(arm),
        inputs: network.inputs.map((_, position) => `${folder}/${arm}-input-${position}.bin`),
        outputs: outputFiles(arm, network).map((name) => `${folder}/${name}`),
        count: samples,
      })),
  }
}

/** Holds what both answered against each other. */
export function compareOutputs(
  check: OutputCheck,
  a: LoadedNetwork,
  b: LoadedNetwork,
  files: ReadonlyMap<string, Uint8Array>,
): ComparedOutputs {
  if (check.obstacle !== null) return { comparable: false, reason: check.obstacle }
  const agreement = new Agreement()
  const sum = { values: 0, identical: 0, maxDifference: 0, maxSteps: 0, signal: 0, noise: 0 }
  for (let sample = 0; sample < check.samples; sample++)
    for (const position of a.outputs.keys()) {
      const [first, second] = [
        output('a', a, position, sample, files),
        output('b', b, position, sample, files),
      ]
      const step =
        b.outputs[position]!.stored?.scale ?? a.outputs[position]!.stored?.scale ?? stepOf(first, null)
      addDifferences(sum, first, second, step)
      if (position === 0 && first.dtype.startsWith('float') && (first.shape.at(-1) ?? 1) > 1)
        agreement.add(first, second)
    }
  return {
    comparable: true,
    inputs: check.inputs,
    samples: check.samples,
    identicalShare: sum.values === 0 ? 1 : sum.identical / sum.values,
    maxDifference: sum.maxDifference,
    maxSteps: sum.maxSteps,
    sqnrDb: sum.noise === 0 ? null : Math.max(-150, 10 * Math.log10(sum.signal / sum.noise)),
    agreement: agreement.value,
  }
}

interface Differences {
  values: number
  identical: number
  maxDifference: number
  maxSteps: number
  signal: number
  noise: number
}

function addDifferences(sum: Differences, first: Tensor, second: Tensor, step: number): void {
  for (let i = 0; i < first.data.length; i++) {
    const [x, y] = [Number(first.data[i]), Number(second.data[i])]
    sum.values++
    if (Object.is(x, y) || x === y) sum.identical++
    // what is no number in one of them differs as far as can be
    const difference = Number.isFinite(x) && Number.isFinite(y) ? Math.abs(x - y) : Number.MAX_VALUE
    if (Object.is(x, y) || difference === 0) {
      if (Number.isFinite(x)) sum.signal += x * x
      continue
    }
    sum.maxDifference = Math.max(sum.maxDifference, difference)
    sum.maxSteps = Math.max(sum.maxSteps, Math.min(Number.MAX_VALUE, difference / step))
    sum.signal += Number.isFinite(x) ? x * x : 0
    sum.noise = Math.min(Number.MAX_VALUE, sum.noise + difference * difference)
  }
}

function obstacleOf(a: LoadedNetwork, b: LoadedNetwork, inputs: 'data' | 'random'): string | null {
  const shapes = (tensors: readonly { readonly shape: readonly number[] }[]) =>
    tensors.map(({ shape }) => shape.join('×') || 'scalar').join(', ')
  if (a.specs.length !== b.specs.length)
    return `A takes ${a.specs.length} inputs and B ${b.specs.length}: their outputs cannot be compared.`
  if (shapes(a.specs) !== shapes(b.specs))
    return `A takes ${shapes(a.specs)} and B ${shapes(b.specs)}: their outputs cannot be compared.`
  const differs = a.specs.findIndex(({ dtype }, position) => dtype !== b.specs[position]!.dtype)
  if (inputs === 'random' && differs >= 0)
    return `Input ${a.specs[differs]!.name} is ${a.specs[differs]!.dtype} in A and ${b.specs[differs]!.dtype} in B: give --data, so that each prepares samples as it takes them.`
  if (shapes(a.outputs) !== shapes(b.outputs))
    return `A gives ${shapes(a.outputs)} and B ${shapes(b.outputs)}: their outputs cannot be compared.`
  return null
}

/** Without data, random inputs by the names of this network, the same values for both. */
async function samplesFor(
  side: Side,
  first: LoadedNetwork,
  request: CompareRequest,
  progress: Progress,
): Promise<Pick<Sample, 'inputs'>[]> {
  if (request.data !== undefined) {
    const dataset = await datasetFor(
      side.subject,
      side.network,
      { ...request, data: request.data, limit: Math.min(most, request.limit ?? most) },
      progress,
    )
    const indices = Array.from({ length: Math.min(most, dataset.length) }, (_, index) => index)
    const samples: Sample[] = []
    for await (const sample of iterate(dataset, indices, { signal: progress.signal })) samples.push(sample)
    return samples
  }
  const dataset = randomDataset(first.specs, { seed: request.seed, length: most })
  const samples: Pick<Sample, 'inputs'>[] = []
  for (let index = 0; index < most; index++) {
    const { inputs } = await dataset.sample(index)
    const values = first.specs.map(({ name }) => inputs.get(name)!)
    samples.push({
      inputs: new Map(side.network.specs.map(({ name }, position) => [name, values[position]!])),
    })
  }
  return samples
}

function filesOf(
  arm: string,
  network: LoadedNetwork,
  samples: readonly Pick<Sample, 'inputs'>[],
): [string, Uint8Array][] {
  const feeds = samples.map((sample) => feedsOf(network, sample))
  return network.inputs.map(({ name }, position) => [
    `${arm}-input-${position}.bin`,
    Buffer.concat(feeds.map((feed) => bytesOf(feed.get(name)!.data))),
  ])
}

function outputFiles(arm: string, network: LoadedNetwork): string[] {
  return network.outputs.map((_, position) => `${arm}-output-${position}.bin`)
}

function output(
  arm: string,
  network: LoadedNetwork,
  position: number,
  sample: number,
  files: ReadonlyMap<string, Uint8Array>,
): Tensor {
  const { dtype, shape, stored } = network.outputs[position]!
  const size = byteLength(dtype, shape)
  const name = `${arm}-output-${position}.bin`
  const bytes = files.get(name)?.subarray(sample * size, (sample + 1) * size)
  // nothing beside nothing would be identical
  if (bytes?.length !== size)
    throw new EdgewrightError('DEVICE_ANSWER_INVALID', 'The board did not give all outputs.', {
      where: name,
      saw: `${bytes?.length ?? 0} of ${size} bytes of sample ${sample}`,
      hint: 'Run compare again; check that its disk is not full.',
    })
  const tensor: Tensor = { dtype, shape, data: viewAs(dtype, bytes) }
  return stored ? dequantizeTensor(tensor, stored) : tensor
}
