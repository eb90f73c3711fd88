import { join } from 'node:path'
import { chooseBoard } from '../compile/board.ts'
import type { Prepared } from '../compile/compile.ts'
import { storedType } from '../compile/runnable.ts'
import { classCountOf, inputSpecsOf, type Samples } from '../compile/samples.ts'
import { openSource, type Source, sourceOfModel } from '../compile/source.ts'
import { isQuantized } from '../compile/candidates.ts'
import { openMetric } from '../data/metric.ts'
import { openDataset } from '../data/open.ts'
import { splitDataset } from '../data/split.ts'
import type { Dataset } from '../data/types.ts'
import { EdgewrightError } from '../error.ts'
import { openEvaluator } from '../execute/open.ts'
import type { Model } from '../graph/types.ts'
import type { Progress, Warning } from '../progress.ts'
import { parseAugment } from '../train/augment.ts'
import { loadTfjs } from '../train/engines/load-tfjs.ts'
import { sampleCache } from '../train/sample-cache.ts'
import { parseSchedule } from '../train/schedules.ts'
import type { TuneContext } from './context.ts'
import type { TuneRequest } from './request.ts'

/** Samples that choose between candidates of a compile: they are not learnt from. */
const mostSelection = 64
const mostCalibration = 512
/** Of decoded samples in memory; more are decoded again in each epoch. */
const cacheBytes = 512 * 2 ** 20
/** Of one data set, the share that judges. */
const evaluationShare = 0.2

/** Reads the network, the teacher and the data, and splits the data: nothing that judges is learnt from. */
export async function openTuning(
  request: TuneRequest,
  progress: Progress & { readonly warnings: readonly Warning[] },
): Promise<TuneContext> {
  // what is mistaken shows at once, not after the compile
  parseSchedule(request.training?.schedule ?? 'constant')
  parseAugment(request.training?.augment ?? 'none', null)
  const { engine = 'onnxruntime' } = request.training ?? {}
  if (engine !== 'onnxruntime') await loadTfjs(engine, process.cwd())
  const board = chooseBoard(
    { profile: request.profile ?? 'this-computer', target: request.target, recipe: request.recipe },
    progress,
  )
  const source = await sourceOf(request.model, request, progress)
  requireFloat(source)
  const teacher =
    request.teacher === undefined ? null : await sourceOf(request.teacher, { shapes: {} }, progress)
  const { samples, training } = await openData(request, source, progress)
  const { dataset } = samples.evaluation
  const makeMetric = () => openMetric(request.metric ?? dataset.metric ?? 'top-1', dataset)
  await makeMetric()
  const evaluator = await openEvaluator(source.floatModel)
  const original: Prepared = {
    source,
    samples,
    recipe: request.recipe,
    makeMetric,
    float: {
      evaluator,
      inputs: source.original.inputs.map((name) => ({ name, stored: null })),
      outputs: source.original.outputs.map((name) => ({
        name,
        stored: storedType(source.original.values.get(name)!.type),
      })),
      task: dataset.task,
    },
    close: () => evaluator.close(),
  }
  const folder = request.out ?? join('tuned', [source.name, ...request.methods].join('-'))
  return { request, board, original, samples, training, teacher, folder, progress }
}

async function sourceOf(
  model: string | Model,
  { shapes = {}, signature, name }: Pick<TuneRequest, 'shapes' | 'signature' | 'name'>,
  progress: Progress,
): Promise<Source> {
  return typeof model === 'string'
    ? openSource({ model, shapes, signature }, progress)
    : sourceOfModel(model, name ?? 'model')
}

function requireFloat({ original, path }: Source): void {
  if (!isQuantized(original)) return
  throw new EdgewrightError('MODEL_FORMAT_UNSUPPORTED', 'The network is in integers already.', {
    where: path,
    hint: 'Tune the float network that it was made from.',
  })
}

async function openData(
  request: TuneRequest,
  source: Source,
  progress: Progress,
): Promise<{ samples: Samples; training: TuneContext['training'] }> {
  const { recipe } = request
  const open = async (data: string | Dataset) =>
    typeof data === 'string'
      ? openDataset(data, inputSpecsOf(source.original), {
          classes: classCountOf(source.original) ?? undefined,
          labelOffset: recipe.labelOffset,
          preprocess: recipe.preprocessing,
          seed: recipe.seed,
          warn: progress.warn.bind(progress),
        })
      : data
  const dataset = await open(request.data)
  const evaluation = request.evaluationData === undefined ? null : await open(request.evaluationData)
  const held = evaluation
    ? 0
    : Math.min(recipe.evaluationSamples, Math.max(1, Math.round(dataset.length * evaluationShare)))
  const selection = Math.min(
    recipe.selectionSamples ?? mostSelection,
    Math.floor((dataset.length - held) / 8),
  )
  const learnt = dataset.length - held - selection
  if (learnt < 1)
    throw new EdgewrightError('DATA_EMPTY', 'No sample is left to learn from.', {
      where: dataset.description,
      saw: `${dataset.length} in all, ${held} to judge by`,
      hint: 'Give more samples, or others to judge by with --evaluation-data.',
    })
  // the split's third part is what is left: that is what trains
  const splits = splitDataset(
    dataset.length,
    { calibration: held, selection, evaluation: learnt },
    recipe.seed,
    dataset.labels ?? null,
  )
  const judged = evaluation
    ? {
        dataset: evaluation,
        indices: Array.from(
          { length: Math.min(evaluation.length, recipe.evaluationSamples) },
          (_, index) => index,
        ),
      }
    : { dataset, indices: splits.calibration }
  return {
    training: { dataset, indices: splits.evaluation, cache: sampleCache(dataset, cacheBytes) },
    samples: {
      calibration: {
        dataset,
        indices: spread(splits.evaluation, recipe.calibration.samples ?? mostCalibration),
      },
      selection: { dataset, indices: splits.selection },
      evaluation: judged,
      real: true,
      classNames: judged.dataset.classNames,
    },
  }
}

/** At most so many of them, from all over. */
function spread(indices: readonly number[], most: number): number[] {
  const count = Math.min(most, indices.length)
  return Array.from({ length: count }, (_, i) => indices[Math.floor((i * indices.length) / count)]!)
}
