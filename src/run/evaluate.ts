import { readFile } from 'node:fs/promises'
import { openMetric } from '../data/metric.ts'
import { openDataset } from '../data/open.ts'
import { iterate } from '../data/iterate.ts'
import type { Dataset, InputSpec, Sample } from '../data/types.ts'
import { wilsonInterval } from '../data/significance.ts'
import { dequantizeTensor, type IntegerType } from '../data/quantize-tensor.ts'
import { ensureBlobBytes } from '../deploy/blobs.ts'
import { installRelease } from '../deploy/release.ts'
import { EdgewrightError } from '../error.ts'
import { hostSession } from '../compile/runnable.ts'
import { feedsOf } from '../compile/quality.ts'
import { rawRecipe } from '../compile/preprocessing.ts'
import { type Recipe, recipeSchema } from '../compile/recipe.ts'
import { classCountOfShape, inputSpecsOf } from '../compile/samples.ts'
import { engineOf, openEvaluator } from '../execute/open.ts'
import { artifactId } from '../measure/standard-plan.ts'
import { type Progress, throwIfAborted } from '../progress.ts'
import { byteLength, bytesOf, type DType, type Tensor, viewAs } from '../tensor.ts'
import { execute } from './execute.ts'
import { type ConnectionOptions, openBoard, type OpenedBoard } from './open-device.ts'
import { provision } from './provision.ts'
import { openSubject, staticModel, storedTypes, type Subject } from './subject.ts'

export interface EvaluateRequest {
  readonly subject: string
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly data: string | undefined
  readonly metric: string | undefined
  readonly recipe: Recipe
  /** Undefined: on this computer. */
  readonly device: string | undefined
  readonly limit: number | undefined
  readonly connection: ConnectionOptions
}

export interface Evaluation {
  readonly subject: string
  readonly metric: string
  /** Null without labels. */
  readonly value: number | null
  /** Wilson's 95 % interval for shares; null for other metrics. */
  readonly interval: { readonly low: number; readonly high: number } | null
  readonly samples: number
  readonly measuredOn: 'host' | 'device'
  readonly device: string | null
}

/** A network's tensors and how to run it on one sample after another. */
export interface LoadedNetwork {
  readonly inputs: readonly { readonly name: string; readonly stored: IntegerType | null }[]
  readonly specs: readonly InputSpec[]
  readonly outputs: readonly {
    readonly name: string
    readonly dtype: DType
    readonly shape: readonly number[]
    readonly stored: IntegerType | null
  }[]
  readonly bytes: Uint8Array
  /** How this computer must run it to compute what its board does. */
  readonly session: ReturnType<typeof hostSession>
}

/** Samples that are sent to a board at a time. */
const batchBytes = 32 * 2 ** 20

/**
 * The metric of a model or an artifact over labelled data, as this computer or a board computes it.
 *
 * @param watch is given each sample and its outputs, dequantized, too
 */
export async function evaluateSubject(
  request: EvaluateRequest,
  progress: Progress,
  watch?: (sample: Sample, outputs: ReadonlyMap<string, Tensor>) => void,
): Promise<Evaluation> {
  if (!request.data)
    throw new EdgewrightError('USAGE', 'Nothing to evaluate on.', {
      where: '--data',
      hint: 'Name samples: docs/data.md.',
    })
  const subject = await openSubject(request.subject)
  const loaded = await loadNetwork(subject, request.shapes, progress)
  const dataset = await datasetFor(subject, loaded, { ...request, data: request.data }, progress)
  const metric = await openMetric(request.metric ?? dataset.metric ?? 'top-1', dataset)
  metric.start()
  let done = 0
  const add = async (sample: Sample, outputs: ReadonlyMap<string, Tensor>) => {
    await metric.add(outputs, sample)
    watch?.(sample, outputs)
    progress.tick(++done, dataset.length, 'samples')
  }
  const samples = iterate(
    dataset,
    Array.from({ length: dataset.length }, (_, index) => index),
    { signal: progress.signal },
  )
  const device = request.device
    ? await evaluateOnDevice(subject, loaded, samples, add, { ...request, device: request.device }, progress)
    : await evaluateHere(loaded, samples, add, progress)
  const value = dataset.labelled || !metric.needsLabels ? await metric.finish() : null
  return {
    subject: request.subject,
    metric: metric.name,
    value,
    interval:
      value === null || !metric.name.startsWith('top-')
        ? null
        : wilsonInterval(Math.round(value * done), done),
    samples: done,
    measuredOn: device ? 'device' : 'host',
    device,
  }
}

/** Data as this network takes them. */
export function datasetFor(
  subject: Subject,
  loaded: LoadedNetwork,
  request: Pick<EvaluateRequest, 'recipe' | 'limit'> & { readonly data: string },
  progress: Progress,
): Promise<Dataset> {
  const recipe = recipeFor(subject, request.recipe)
  return openDataset(request.data, loaded.specs, {
    classes: classCountOfShape(loaded.outputs[0]?.shape) ?? undefined,
    labelOffset: recipe.labelOffset,
    preprocess: recipe.preprocessing,
    limit: request.limit,
    seed: recipe.seed,
    warn: progress.warn.bind(progress),
  })
}

/** Samples are prepared for an artifact as they were when it was compiled, raw where it does that itself; what is said now goes before. */
function recipeFor(subject: Subject, said: Recipe): Recipe {
  const made =
    subject.kind === 'artifact'
      ? recipeSchema.partial().loose().safeParse(subject.manifest.recipe).data
      : undefined
  if (!made) return said
  const recipe = {
    ...said,
    labelOffset: said.labelOffset ?? made.labelOffset,
    preprocessing: { ...made.preprocessing, ...said.preprocessing },
  }
  return made.foldPreprocessing ? rawRecipe(recipe) : recipe
}

export async function loadNetwork(
  subject: Subject,
  shapes: EvaluateRequest['shapes'],
  progress: Progress,
): Promise<LoadedNetwork> {
  if (subject.kind === 'artifact') {
    const { manifest } = subject
    const stored = storedTypes(manifest.outputs)
    const architecture = manifest.runtimes.flatMap(({ builds }) =>
      builds.map((build) => build.architecture),
    )[0]
    return {
      inputs: storedTypes(manifest.inputs),
      // data rooms give reals; integers are made of them here
      specs: manifest.inputs.map(({ name, dtype, shape, quantization }) => ({
        name,
        dtype: (quantization ? 'float32' : dtype) as DType,
        shape,
      })),
      outputs: manifest.outputs.map(({ name, dtype, shape }, position) => ({
        name,
        dtype: dtype as DType,
        shape,
        stored: stored[position]!.stored,
      })),
      bytes: await readFile(subject.modelPath),
      session:
        manifest.prepare && 'kind' in manifest.prepare
          ? hostSession({ cpu: { architecture: 'aarch64' }, scheme: manifest.scheme, plainQdq: true })
          : architecture === 'aarch64' || architecture === 'x86_64'
            ? hostSession({ cpu: { architecture, features: [] }, scheme: manifest.scheme })
            : {},
    }
  }
  const { source, bytes } = await staticModel(subject.path, shapes, progress)
  return {
    inputs: source.original.inputs.map((name) => ({ name, stored: null })),
    specs: inputSpecsOf(source.original),
    outputs: source.original.outputs.map((name) => ({
      name,
      ...source.original.values.get(name)!.type,
      stored: null,
    })),
    bytes,
    session: {},
  }
}

type Add = (sample: Sample, outputs: ReadonlyMap<string, Tensor>) => Promise<void>

async function evaluateHere(
  loaded: LoadedNetwork,
  samples: AsyncIterable<Sample>,
  add: Add,
  progress: Progress,
): Promise<null> {
  progress.stage('evaluate', 'on this computer')
  const evaluator = await openEvaluator(loaded.bytes, loaded.session)
  try {
    for await (const sample of samples) {
      throwIfAborted(progress.signal)
      const results = await evaluator.run(feedsOf(loaded, sample))
      await add(
        sample,
        reals(loaded, (name) => results.get(name)!),
      )
    }
  } finally {
    await evaluator.close()
  }
  return null
}

async function evaluateOnDevice(
  subject: Subject,
  loaded: LoadedNetwork,
  samples: AsyncIterable<Sample>,
  add: Add,
  request: EvaluateRequest & { readonly device: string },
  progress: Progress,
): Promise<string> {
  const board = await openBoard(request.device, undefined, request.connection, progress)
  const { device } = board
  try {
    const tools = await provision(device, engineOf(loaded.bytes), progress)
    const model =
      subject.kind === 'artifact'
        ? (await installRelease(device, subject.folder, { name: subject.manifest.name, progress })).modelPath
        : (await ensureBlobBytes(device, loaded.bytes, { progress })).path
    progress.stage('evaluate', `on ${device.name}`)
    for await (const batch of batches(samples, loaded)) {
      const outputs = await inferOnDevice(board, { model, ...tools }, loaded, batch, progress)
      for (const [index, sample] of batch.entries())
        await add(
          sample,
          reals(loaded, (name) => outputs(name, index)),
        )
    }
    return device.name
  } finally {
    await board.close()
  }
}

async function inferOnDevice(
  board: OpenedBoard,
  tools: Parameters<typeof execute>[1] & { readonly model: string },
  loaded: LoadedNetwork,
  batch: readonly Sample[],
  progress: Progress,
): Promise<(name: string, index: number) => Tensor> {
  const feeds = batch.map((sample) => feedsOf(loaded, sample))
  const inputs = new Map(
    loaded.inputs.map(({ name }, position) => [
      `input-${position}.bin`,
      Buffer.concat(feeds.map((feed) => bytesOf(feed.get(name)!.data))),
    ]),
  )
  const outputs = loaded.outputs.map((_, position) => `output-${position}.bin`)
  const id = artifactId('model', 1)
  const { files } = await execute(
    board,
    tools,
    {
      files: inputs,
      fetch: outputs,
      plan: (folder) => ({
        schema: 1,
        artifacts: [
          {
            id,
            backend: tools.backend,
            library: tools.library,
            model: tools.model,
            threads: 1,
            affinity: [],
            profile: false,
            inputs: [],
            seed: 0,
          },
        ],
        steps: [
          {
            do: 'infer',
            artifact: id,
            inputs: [...inputs.keys()].map((name) => `${folder}/${name}`),
            outputs: outputs.map((name) => `${folder}/${name}`),
            count: batch.length,
          },
        ],
        sensors: [],
        sensorPeriodMs: 1000,
      }),
    },
    progress,
  )
  return (name, index) => {
    const position = loaded.outputs.findIndex((output) => output.name === name)
    const { dtype, shape } = loaded.outputs[position]!
    const size = byteLength(dtype, shape)
    return {
      dtype,
      shape,
      data: viewAs(dtype, files.get(outputs[position]!)!.subarray(index * size, (index + 1) * size)),
    }
  }
}

/** Samples by as many as fit one transfer. */
async function* batches(samples: AsyncIterable<Sample>, loaded: LoadedNetwork): AsyncGenerator<Sample[]> {
  const sampleBytes = loaded.specs.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0)
  const most = Math.max(1, Math.floor(batchBytes / sampleBytes))
  let batch: Sample[] = []
  for await (const sample of samples) {
    batch.push(sample)
    if (batch.length < most) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

function reals(loaded: LoadedNetwork, output: (name: string) => Tensor): Map<string, Tensor> {
  return new Map(
    loaded.outputs.map(({ name, stored }) => [
      name,
      stored ? dequantizeTensor(output(name), stored) : output(name),
    ]),
  )
}

export function describeEvaluation(evaluation: Evaluation): string {
  const { metric, value, interval, samples, device } = evaluation
  const where = device ? `on ${device}` : 'on this computer'
  if (value === null)
    return `${evaluation.subject}: no labels, so no ${metric} (${samples} samples ran ${where})`
  const share = (part: number) => `${(part * 100).toFixed(1)} %`
  return `${evaluation.subject}: ${metric} ${interval ? share(value) : value}${interval ? ` (95 %: ${share(interval.low)} to ${share(interval.high)})` : ''}, ${samples} samples, ${where}`
}
