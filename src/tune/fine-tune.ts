import { join } from 'node:path'
import { classCountOf } from '../compile/samples.ts'
import { sha256 } from '../digest.ts'
import { EdgewrightError } from '../error.ts'
import type { Graph } from '../graph/types.ts'
import { bytesOf } from '../tensor.ts'
import { parseAugment } from '../train/augment.ts'
import { GraphBuilder } from '../train/builder.ts'
import { closeNetwork } from '../train/close-network.ts'
import { readCheckpoint, writeCheckpoint } from '../train/checkpoint.ts'
import { datasetBatches } from '../train/dataset-batches.ts'
import { loadTfjs } from '../train/engines/load-tfjs.ts'
import type { EngineName } from '../train/engines/names.ts'
import { openTfjsSession } from '../train/engines/tfjs.ts'
import { crossEntropy, distillLogits, logitsOf, type Loss, matchValue, weighted } from '../train/losses.ts'
import { initialValues, type Network, type NetworkValues } from '../train/network.ts'
import { openNetwork } from '../train/open-network.ts'
import { adam, sgd } from '../train/optimizers.ts'
import { buildProgram } from '../train/program.ts'
import { maskable, type Masks, zeroMasks } from '../train/prune/masks.ts'
import { parseSchedule } from '../train/schedules.ts'
import { type EpochReport, train, type TrainingState, type TrainOptions } from '../train/train.ts'
import type { TuneContext } from './context.ts'
import { type BestEpoch, type Kept, openBestEpoch } from './best-epoch.ts'
import type { HeldOut } from './held-out.ts'
import type { TrainingChoices } from './request.ts'
import { logitsValueOf, openTeacher, type TaughtValue, taughtBatches, type Teacher } from './teacher.ts'

/** What a method trains with where the user says nothing. */
export interface TrainingDefaults {
  readonly epochs: number
  readonly learningRate: number
  readonly learnFrom: 'teacher' | 'labels'
  readonly temperature: number
  readonly batchSize?: number
  readonly schedule?: string
}

/** Complete: goes into the report and the checkpoint. */
export interface ResolvedTraining extends Required<Omit<TrainingChoices, 'batchNorm' | 'weightDecay'>> {
  readonly weightDecay: number
  readonly seed: number
}

export interface FineTuned {
  readonly values: NetworkValues
  readonly epochs: readonly EpochReport[]
  readonly options: ResolvedTraining
  /** Where it was held to samples that nothing is learnt from: what of it was kept. */
  readonly kept: Kept | null
}

export function resolveTraining(context: TuneContext, defaults: TrainingDefaults): ResolvedTraining {
  const { training = {}, recipe } = context.request
  const { indices } = context.training
  return {
    epochs: training.epochs ?? defaults.epochs,
    batchSize: training.batchSize ?? Math.min(defaults.batchSize ?? 32, indices.length),
    learningRate: training.learningRate ?? defaults.learningRate,
    optimizer: training.optimizer ?? 'adam',
    weightDecay: training.weightDecay ?? 0,
    schedule: training.schedule ?? defaults.schedule ?? 'cosine,warmup=0.05',
    augment: training.augment ?? 'none',
    learnFrom: training.learnFrom ?? defaults.learnFrom,
    temperature: training.temperature ?? defaults.temperature,
    layers: training.layers ?? [],
    threads: training.threads ?? 2,
    engine: training.engine ?? 'onnxruntime',
    seed: recipe.seed,
  }
}

/**
 * Trains an opened network on the samples of a tuning, towards the teacher's outputs, the labels, or both.
 *
 * @param name of the step, for progress and checkpoint
 * @param masks by name of a parameter; by default zeros that pruning left stay zeros
 * @param heldOut what loses least on it is kept: the start, an epoch, or the mean of the later ones; else the last step
 * @throws DATA_LABELS where labels are asked for and there are none, and what `train` throws
 */
export async function trainNetwork(
  network: Network,
  name: string,
  options: ResolvedTraining,
  context: TuneContext,
  masks: Masks = zeroMasks(maskable(network.parameters, initialValues(network))),
  heldOut: Pick<HeldOut, 'loss'> | null = null,
): Promise<FineTuned> {
  const { dataset, indices, cache } = context.training
  const { progress } = context
  const lessons = lessonsOf(network, options, context)
  const program = buildProgram(network, {
    loss: weighted(lessons.terms),
    optimizer: options.optimizer === 'sgd' ? sgd(options) : adam(options),
    clipNorm: 10,
    masked: [...masks.keys()],
  })
  const batches = datasetBatches(dataset, indices, {
    batchSize: network.batchSize,
    seed: options.seed,
    shuffle: true,
    cache,
    ...(options.augment === 'none'
      ? {}
      : { augment: parseAugment(options.augment, dataset.preprocessing.layout, dataset.preprocessing) }),
  })
  const open = await engineOf(options.engine)
  const path = join(context.folder, `${name}.checkpoint`)
  const digest = await digestOf(network, options, context)
  const resume = await resumed(path, digest, program.state, context)
  const best = heldOut && (await openBest(network, heldOut, { name, digest, options, resume }, context))
  // it was stopped between its own checkpoint and that of the best
  const { from } = resume
  if (best && from && from.step > 0 && from.step % batches.steps === 0)
    await best.seen(from.step / batches.steps - 1, from.tensors)
  progress.stage(name, `${indices.length} samples, ${options.epochs} epochs of ${batches.steps} steps`)
  const teacher = await openLessons(lessons, network.batchSize, options.threads, context)
  try {
    const trained = await train(
      program,
      teacher ? taughtBatches(batches, teacher) : batches,
      {
        epochs: options.epochs,
        learningRate: options.learningRate,
        schedule: parseSchedule(options.schedule),
        threads: options.threads,
        masks,
        ...(open && { open }),
        ...resume,
        ...(best && { onEpoch: ({ epoch }, values) => best.seen(epoch, values) }),
        checkpoint: {
          everySteps: Math.max(1, Math.min(batches.steps, 200)),
          save: (state) => saveState(path, digest, state, batches.steps),
        },
      },
      progress,
    )
    const kept = best && (await best.kept())
    return { values: kept?.values ?? trained.values, epochs: trained.epochs, options, kept }
  } finally {
    await teacher?.close()
  }
}

/** Null for ONNX Runtime, which comes with Edgewright. */
async function engineOf(engine: EngineName): Promise<TrainOptions['open'] | null> {
  if (engine === 'onnxruntime') return null
  const tf = await loadTfjs(engine, process.cwd())
  return (program, options) => openTfjsSession(tf, program, options)
}

function openBest(
  network: Network,
  { loss }: Pick<HeldOut, 'loss'>,
  training: { name: string; digest: string; options: ResolvedTraining; resume: { from?: TrainingState } },
  context: TuneContext,
): Promise<BestEpoch> {
  return openBestEpoch(network, {
    epochs: training.options.epochs,
    loss,
    path: join(context.folder, `${training.name}-best.checkpoint`),
    digest: training.digest,
    resume: training.resume.from !== undefined,
  })
}

/** The teacher of what is taught; null where labels alone teach. */
export async function openLessons(
  { taught }: Lessons,
  batchSize: number,
  threads: number,
  context: TuneContext,
): Promise<Teacher | null> {
  return taught.length === 0 ? null : openTeacher(teacherGraph(context), batchSize, taught, threads)
}

function teacherGraph({ teacher, original }: TuneContext): Graph {
  return (teacher ?? original.source).original
}

export interface Lessons {
  readonly terms: readonly { readonly loss: Loss; readonly weight: number }[]
  readonly taught: readonly TaughtValue[]
}

/** What the network is to learn: scores of classes by their logits, other outputs and inner values by their difference. */
export function lessonsOf(network: Network, options: ResolvedTraining, context: TuneContext): Lessons {
  const { source } = context.original
  const classes = scoresClasses(context) ? classCountOf(source.original) : null
  const { dataset } = context.training
  const terms: { loss: Loss; weight: number }[] = []
  const taught: TaughtValue[] = []
  const labels = options.learnFrom !== 'teacher'
  if (labels) {
    if (classes === null || !dataset.labelled || dataset.task)
      throw new EdgewrightError('DATA_LABELS', 'There are no class labels to learn from.', {
        where: dataset.description,
        saw: classes === null ? 'a network without class scores' : 'samples without labels',
        hint: 'Learn from the float network instead: --learn-from teacher.',
      })
    terms.push({ loss: crossEntropy(), weight: 1 })
  }
  if (options.learnFrom !== 'labels') {
    const teacher = teacherGraph(context)
    requireLikeOutputs(source.original, teacher)
    const b = new GraphBuilder(network.graph, network.customGradients)
    network.outputs.forEach((output, position) => {
      const theirs = teacher.outputs[position]!
      if (classes !== null && position === 0) {
        const shape = b.shape(logitsOf(b, output, network.batchSize))
        taught.push({ value: logitsValueOf(teacher, theirs), name: output, shape })
        terms.push({ loss: distillLogits({ temperature: options.temperature }), weight: 1 })
      } else {
        taught.push({ value: theirs, name: output, shape: b.shape(output) })
        terms.push({ loss: matchValue({ value: output }), weight: 1 })
      }
    })
    for (const layer of options.layers) {
      requireLayer(layer, network.graph, teacher)
      taught.push({ value: layer, name: layer, shape: b.shape(layer) })
      terms.push({ loss: matchValue({ value: layer }), weight: 1 })
    }
  }
  return { terms, taught }
}

/** A row of numbers may be scores or a signal: labels, or a Softmax that ends the network, tell. */
function scoresClasses({ original, training, samples }: TuneContext): boolean {
  const [output] = original.source.original.outputs
  if (logitsValueOf(original.source.original, output!) !== output) return true
  return [training.dataset, samples.evaluation.dataset].some(({ labelled, task }) => labelled && !task)
}

function requireLikeOutputs(network: Graph, teacher: Graph): void {
  const sizes = (graph: Graph) =>
    graph.outputs.map((name) => graph.values.get(name)!.type.shape.slice(1).join('×'))
  const [ours, theirs] = [sizes(network), sizes(teacher)]
  if (ours.join() === theirs.join()) return
  throw new EdgewrightError('MODEL_SHAPE_INVALID', 'The teacher gives other outputs than the network.', {
    where: '--teacher',
    saw: `${theirs.join(', ')} beside ${ours.join(', ')}`,
    hint: 'Both must say the same: as many classes, in one order.',
  })
}

function requireLayer(layer: string, network: Graph, teacher: Graph): void {
  const missing = [
    ['the network', network],
    ['the teacher', teacher],
  ] as const
  for (const [who, graph] of missing)
    if (!graph.values.has(layer))
      throw new EdgewrightError('CONFIG_INVALID', `A layer to be matched is not in ${who}.`, {
        where: '--match',
        saw: layer,
        hint: 'edgewright inspect lists the values of a network by name.',
      })
}

async function resumed(
  path: string,
  digest: string,
  state: readonly { readonly name: string; readonly shape: readonly number[] }[],
  { request }: TuneContext,
): Promise<{ from?: TrainingState }> {
  if (!request.resume) return {}
  const found = await readCheckpoint(path, {
    digest,
    tensors: new Map(state.map(({ name, shape }) => [name, shape])),
  })
  return found ? { from: found } : {}
}

async function saveState(path: string, digest: string, state: TrainingState, steps: number): Promise<void> {
  await writeCheckpoint(path, {
    digest,
    step: state.step,
    epoch: Math.floor(state.step / steps),
    tensors: state.tensors,
  })
}

/** Whatever changes the weights that come out. */
async function digestOf(
  network: Network,
  options: ResolvedTraining,
  { training, teacher, original }: TuneContext,
): Promise<string> {
  const initial = network.parameters.map(({ name, initial }) => [name, sha256(bytesOf(initial))])
  const data = await training.dataset.fingerprint(training.indices)
  const labels = training.indices.map((index) => training.dataset.labels?.[index] ?? null)
  return sha256(
    JSON.stringify([initial, options, data, labels, original.source.sha256, teacher?.sha256 ?? null]),
  )
}

/** `trainNetwork` on a float graph as it was read. */
export async function trainGraph(
  graph: Graph,
  name: string,
  options: ResolvedTraining,
  batchNorm: 'train' | 'frozen',
  context: TuneContext,
): Promise<{ readonly graph: Graph; readonly epochs: readonly EpochReport[] }> {
  const network = openNetwork(graph, { batchSize: options.batchSize, batchNorm })
  const { values, epochs } = await trainNetwork(network, name, options, context)
  return { graph: closeNetwork(graph, network, values), epochs }
}
