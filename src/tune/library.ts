import type { Scheme } from '../artifact/manifest.ts'
import { parseRecipe, type RecipeInput } from '../compile/recipe.ts'
import { classCountOf, inputSpecsOf } from '../compile/samples.ts'
import { openSource, sourceOfModel } from '../compile/source.ts'
import type { Dataset } from '../data/types.ts'
import type { Graph, Model } from '../graph/types.ts'
import { type Progress, silentProgress, type Warning } from '../progress.ts'
import { type GivenSamples, givenDataset } from './given-samples.ts'
import type { MethodName, TuneRequest } from './request.ts'
import { type Tuned, tuneModel } from './tune.ts'

/**
 * Samples to learn from or to judge by: a path (docs/data.md), a data set (`openDataset`, `memoryDataset`), or samples in
 * memory as the network takes them: `{ x: { data, shape: [9000, 28, 28, 1] }, labels }`, `{ x: tensor, labels: tensor }`.
 */
export type TuneData = string | Dataset | GivenSamples

/** As the options of `edgewright tune`, with its defaults. */
export interface TuneOptions
  extends Omit<TuneRequest, 'model' | 'methods' | 'data' | 'evaluationData' | 'recipe'> {
  /** Several are done in the order given, `qat` last. */
  readonly method: MethodName | readonly MethodName[]
  /** To learn from; a fifth of it judges where `evaluationData` is not given, and is not learnt from then. */
  readonly data: TuneData
  /** To judge by: nothing of it is learnt from. */
  readonly evaluationData?: TuneData | undefined
  /** What a compile would be told (docs/recipe.md). */
  readonly recipe?: RecipeInput | undefined
  /** What the target does to numbers; `full-int8` by default. */
  readonly scheme?: Scheme | undefined
  /** Of splits, order, augmentation and chance; 0 by default. The same seed on the same computer gives the same network. */
  readonly seed?: number | undefined
  /** Told how far it is; its signal stops it. */
  readonly progress?: Partial<Progress> | undefined
}

/**
 * Changes a network by training so that it costs less or loses less on its target. Writes the float network, the network
 * in integers where a step makes one, and a report of what each step did.
 *
 *     const tuned = await tune(await fromTfjs(model), { method: 'qat', target: 'litert', data })
 *     console.log(renderTuneTable(tuned.report, { color: false, width: 120 }), tuned.quantized)
 *
 * @param model a path, or a network in memory: what `fromTfjs`, `readOnnx` and the like give
 * @throws USAGE where methods do not go together; DATA_LABELS where labels are to be learnt from and there are none;
 * DATA_SHAPE where samples in memory do not fit the network; INTERRUPTED at the progress's signal, after a checkpoint from
 * which `resume` goes on; and what reading models and data and compiling throw
 */
export async function tune(model: string | Model, options: TuneOptions): Promise<Tuned> {
  const { method, data, evaluationData, recipe, scheme, seed, progress, ...rest } = options
  const told = collecting(progress)
  const written = withChoices(recipe, { scheme, seed })
  const open = await dataOpener(model, options, [data, evaluationData], told)
  return tuneModel(
    {
      ...rest,
      model,
      methods: typeof method === 'string' ? [method] : method,
      data: await open(data),
      evaluationData: evaluationData === undefined ? undefined : await open(evaluationData),
      recipe: parseRecipe(written, 'the recipe of the tuning'),
    },
    told,
  )
}

/** Choices that a caller states by themselves win over the recipe's. */
export function withChoices(
  recipe: RecipeInput = {},
  choices: { readonly scheme?: Scheme | undefined; readonly seed?: number | undefined },
): RecipeInput {
  const stated = Object.entries(choices).filter(([, value]) => value !== undefined)
  return { ...recipe, ...Object.fromEntries(stated) }
}

/** Makes data sets of samples in memory; a model file is only looked at where there are such. */
export async function dataOpener(
  model: string | Model,
  { shapes = {}, signature, name }: Pick<TuneRequest, 'shapes' | 'signature' | 'name'>,
  given: readonly (TuneData | undefined)[],
  progress: Progress,
): Promise<(data: TuneData) => Promise<string | Dataset>> {
  let graph: Graph | null = null
  if (given.some((data) => data !== undefined && !isOpened(data)))
    graph =
      typeof model === 'string'
        ? (await openSource({ model, shapes, signature }, progress)).original
        : (await sourceOfModel(model, name ?? 'model')).original
  return async (data) =>
    isOpened(data)
      ? data
      : givenDataset(data, inputSpecsOf(graph!), {
          warn: progress.warn.bind(progress),
          ...(classCountOf(graph!) !== null && { classes: classCountOf(graph!)! }),
        })
}

function isOpened(data: TuneData): data is string | Dataset {
  return typeof data === 'string' || 'sample' in data
}

/** Says nothing where it is told nothing; keeps warnings for the report. */
export function collecting(given: Partial<Progress> = {}): Progress & { readonly warnings: Warning[] } {
  const silent = silentProgress(given.signal)
  return {
    signal: silent.signal,
    warnings: silent.warnings,
    stage: (name, detail) => given.stage?.(name, detail),
    tick: (done, total, unit, note) => given.tick?.(done, total, unit, note),
    warn(warning) {
      silent.warn(warning)
      given.warn?.(warning)
    },
  }
}
