import type { Recipe } from './recipe.ts'
import type { Source } from './source.ts'
import { openDataset } from '../data/open.ts'
import { iterate } from '../data/iterate.ts'
import { randomDataset } from '../data/random.ts'
import { splitDataset } from '../data/split.ts'
import type { Dataset, InputSpec, Sample } from '../data/types.ts'
import { EdgewrightError } from '../error.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'

export interface SamplesRequest {
  readonly data: string | undefined
  readonly calibrationData: string | undefined
  readonly recipe: Recipe
}

/** Three disjoint parts of the data: ranges come from the first, choices from the second, figures from the third. */
export interface Samples {
  readonly calibration: SamplePart
  readonly selection: SamplePart
  readonly evaluation: SamplePart
  /** False where inputs are random: figures then say nothing about real use. */
  readonly real: boolean
  readonly classNames: readonly string[] | null
}

export interface SamplePart {
  readonly dataset: Dataset
  readonly indices: readonly number[]
}

/** Without data, seeded random inputs stand in, and everything made of them is marked. */
export async function openSamples(
  request: SamplesRequest,
  source: Source,
  progress: Progress,
): Promise<Samples> {
  const { recipe } = request
  const inputs = inputSpecsOf(source.original)
  if (!request.data && !request.calibrationData) return randomSamples(inputs, recipe, progress)
  const options = {
    classes: classCountOf(source.original) ?? undefined,
    labelOffset: recipe.labelOffset,
    preprocess: recipe.preprocessing,
    seed: recipe.seed,
    warn: progress.warn.bind(progress),
  }
  const dataset = await openDataset(request.data ?? request.calibrationData!, inputs, options)
  const shared = { real: true, classNames: dataset.classNames }
  if (!request.calibrationData || !request.data) {
    const splits = splitDataset(
      dataset.length,
      { ...sizesOf(dataset.length, recipe), evaluation: undefined },
      recipe.seed,
      dataset.labels,
    )
    requireParts(dataset.length, splits)
    return {
      calibration: { dataset, indices: splits.calibration },
      selection: { dataset, indices: splits.selection },
      evaluation: { dataset, indices: splits.evaluation.slice(0, recipe.evaluationSamples) },
      ...shared,
    }
  }
  // calibration and selection share the calibration data, so that evaluation sees all of the other
  const calibrationSet = await openDataset(request.calibrationData, inputs, {
    ...options,
    classes: undefined,
  })
  const sizes = sizesOf(calibrationSet.length, recipe)
  // none of it evaluates: what does not choose calibrates
  const left = Math.max(0, calibrationSet.length - sizes.selection)
  const calibration = sizes.calibration ?? Math.min(512, left)
  const splits = splitDataset(
    calibrationSet.length,
    { ...sizes, calibration, evaluation: 0 },
    recipe.seed,
    calibrationSet.labels,
  )
  if (splits.calibration.length === 0) throw nothingToCalibrateOn(calibrationSet.length, sizes.selection)
  return {
    calibration: { dataset: calibrationSet, indices: splits.calibration },
    selection: { dataset: calibrationSet, indices: splits.selection },
    evaluation: {
      dataset,
      indices: Array.from(
        { length: Math.min(dataset.length, recipe.evaluationSamples) },
        (_, index) => index,
      ),
    },
    ...shared,
  }
}

/** What the recipe states; the data room's own shares else, with few samples for choosing: each is run many times. */
function sizesOf(length: number, recipe: Recipe) {
  // an accuracy limit is told by two samples at least
  const most = recipe.maxDrop ? Math.min(512, Math.max(64, Math.ceil(2 / recipe.maxDrop))) : 64
  return {
    calibration: recipe.calibration.samples,
    // of two samples one calibrates and one evaluates
    selection:
      recipe.selectionSamples ?? (length < 3 ? 0 : Math.min(most, Math.max(1, Math.floor(length / 4)))),
  }
}

/** Ranges and figures from no sample at all would look like perfect ones. */
function requireParts(
  length: number,
  {
    calibration,
    evaluation,
  }: { readonly calibration: readonly number[]; readonly evaluation: readonly number[] },
): void {
  if (calibration.length > 0 && evaluation.length > 0) return
  throw new EdgewrightError(
    'DATA_EMPTY',
    `No sample is left ${calibration.length === 0 ? 'to calibrate on' : 'to evaluate on'}.`,
    {
      where: '--data',
      saw: `${length} in all, ${calibration.length} for calibration, ${evaluation.length} for evaluation`,
      hint: 'Give two samples at least, or others to calibrate on with --calibration-data.',
    },
  )
}

function nothingToCalibrateOn(length: number, selection: number): EdgewrightError {
  return new EdgewrightError('DATA_EMPTY', 'No sample is left to calibrate on.', {
    where: '--calibration-data',
    saw: `${length} in all, ${selection} held out to choose by`,
    hint: 'Give more of them, or lower selectionSamples of the recipe.',
  })
}

function randomSamples(inputs: readonly InputSpec[], recipe: Recipe, progress: Progress): Samples {
  progress.warn({
    code: 'CALIBRATED_ON_RANDOM',
    message: 'No data was given: ranges come from seeded random inputs and will not fit real ones.',
    hint: 'Give --data (docs/data.md); the artifact is marked calibrated: false.',
  })
  const dataset = randomDataset(inputs, { length: 32 + 8 + 8, seed: recipe.seed })
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)
  return {
    calibration: { dataset, indices: range(0, 32) },
    selection: { dataset, indices: range(32, 40) },
    evaluation: { dataset, indices: range(40, 48) },
    real: false,
    classNames: null,
  }
}

/** Samples of a part in order, decoded ahead of their use. */
export function samplesOf(part: SamplePart, signal: AbortSignal): AsyncGenerator<Sample, void, undefined> {
  return iterate(part.dataset, part.indices, { signal })
}

export function inputSpecsOf(graph: Graph): InputSpec[] {
  return graph.inputs.map((name) => {
    const value = graph.values.get(name)
    if (!value)
      throw new EdgewrightError('GRAPH_INVALID', 'An input of the graph has no type.', { where: name })
    return { name, dtype: value.type.dtype, shape: value.type.shape }
  })
}

/** Classes of a classifier: the last axis of a first output that holds one row of scores; null for anything else. */
export function classCountOf(graph: Graph): number | null {
  return classCountOfShape(graph.values.get(graph.outputs[0] ?? '')?.type.shape)
}

export function classCountOfShape(shape: readonly number[] | undefined): number | null {
  if (!shape || shape.length === 0) return null
  const classes = shape.at(-1)!
  const rows = shape.slice(0, -1).reduce((product, dimension) => product * dimension, 1)
  return rows === 1 && classes > 1 ? classes : null
}
