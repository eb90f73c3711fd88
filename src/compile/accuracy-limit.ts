import { EdgewrightError } from '../error.ts'
import type { Graph } from '../graph/types.ts'
import type { Progress } from '../progress.ts'
import type { Board } from './board.ts'
import type { Prepared } from './compile.ts'
import type { Quality } from './quality.ts'
import { classCountOf } from './samples.ts'

/** What a compiled network may lose beside float, as the recipe's `maxDrop` says. */
export interface AccuracyLimit {
  /** 0.005 for half a per cent. */
  readonly share: number
  /** Above 0 where the compiled network is worse; null where nothing says. */
  dropOf(quality: Quality): number | null
  holds(quality: Quality): boolean
  /** In words: `loses 1.6 % (top-1, 64 samples)`. */
  describe(quality: Quality): string
}

/**
 * The limit of a recipe, or null. With labels the metric is held to it: its difference from float's, or the share by
 * which it grows where lower is better. Without labels the share of samples on which the two disagree takes its place,
 * which is never less than what accuracy loses.
 *
 * @throws RECIPE_INVALID where nothing could judge by it
 */
export async function accuracyLimitOf(prepared: Prepared, progress: Progress): Promise<AccuracyLimit | null> {
  const { recipe, samples, source } = prepared
  const share = recipe.maxDrop
  if (share === undefined) return null
  const metric = await prepared.makeMetric()
  const { selection } = samples
  const judged = selection.indices.length
  if (!samples.real || judged === 0)
    throw cannotJudge(
      samples.real ? 'no sample is held out to judge by' : 'random inputs',
      'Give --data, with at least a few hundred samples.',
    )
  const comparable = !metric.name.startsWith('top-') || classifies(source.graph)
  if (metric.needsLabels && !selection.dataset.labelled && !comparable)
    throw cannotJudge(
      `no labels for ${metric.name}, and outputs that are not the scores of classes`,
      'Give labels (docs/data.md), or a metric that needs none with --metric metric.mjs.',
    )
  if (share > 0 && share * judged < 1)
    progress.warn({
      code: 'ACCURACY_LIMIT_COARSE',
      message: `${judged} held-out samples cannot resolve a drop of ${percent(share)}: none of them may become wrong instead.`,
      hint: `Give more data, or set selectionSamples of the recipe to ${Math.ceil(1 / share)} or more.`,
    })
  return limitOf(share, metric.higherIsBetter)
}

export function limitOf(share: number, higherIsBetter: boolean): AccuracyLimit {
  const dropOf = (quality: Quality) => {
    const { float, compiled, agreement } = quality
    if (float === null || compiled === null) return agreement === null ? null : 1 - agreement
    if (higherIsBetter) return float - compiled
    return float === 0 ? (compiled > 0 ? Number.POSITIVE_INFINITY : 0) : (compiled - float) / Math.abs(float)
  }
  return {
    share,
    dropOf,
    holds(quality) {
      const drop = dropOf(quality)
      const { floatRight, compiledRight } = quality
      // too few to resolve the limit: then one that is gained makes up for none that is lost
      if (floatRight.length > 0 && share * floatRight.length < 1)
        return !floatRight.some((right, index) => right && !compiledRight[index])
      // what is written in decimal need not be exact in binary
      return drop !== null && drop <= share + 1e-9
    },
    describe(quality) {
      const drop = dropOf(quality)
      const by = quality.float === null ? 'samples that disagree with float' : quality.metric
      if (drop === null) return 'loses what nothing tells'
      return `loses ${percent(Math.max(0, drop))} (${by}, ${quality.samples} samples)`
    },
  }
}

/** What was compiled is not written: it is not what was asked for. */
export function accuracyLimitMissed(
  limit: AccuracyLimit,
  quality: Quality,
  tried: string | null,
  { target, options, profile }: Board,
): EdgewrightError {
  const others = (['int16x8', 'float16'] as const).filter(
    (scheme) => target.schemes.includes(scheme) && scheme !== options.scheme,
  )
  return new EdgewrightError(
    'ACCURACY_LIMIT',
    `The accuracy limit of ${percent(limit.share)} does not hold: nothing was written.`,
    {
      where: `${options.scheme} on ${target.name}, ${profile.id}`,
      saw: `it ${limit.describe(quality)}${tried ? `; mixed precision: ${tried}` : ''}`,
      hint: `Raise --max-drop, try --preset best${others.map((scheme) => `, or --scheme ${scheme}`).join('')}; or train the network on with quantization in mind.`,
    },
  )
}

/** The samples that decided may be luckier than those that judge. */
export function warnOverLimit(limit: AccuracyLimit, evaluation: Quality, progress: Progress): void {
  const drop = limit.dropOf(evaluation)
  if (drop === null || drop <= limit.share + 1e-9) return
  progress.warn({
    code: 'ACCURACY_LIMIT_EVALUATION',
    message: `The limit of ${percent(limit.share)} held on the samples that decided; on those that evaluate, the network ${limit.describe(evaluation)}.`,
    hint: 'Give more data, or raise selectionSamples of the recipe: more samples decide better.',
  })
}

function cannotJudge(saw: string, hint: string): EdgewrightError {
  return new EdgewrightError('RECIPE_INVALID', 'The accuracy limit has nothing to be judged by.', {
    where: 'maxDrop',
    saw,
    hint,
  })
}

/** One row of scores; what has the shape of an input is a reconstruction. */
function classifies(graph: Graph): boolean {
  const shapeOf = (name: string) => String(graph.values.get(name)?.type.shape)
  const first = shapeOf(graph.outputs[0] ?? '')
  return classCountOf(graph) !== null && graph.inputs.every((name) => shapeOf(name) !== first)
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`
}
