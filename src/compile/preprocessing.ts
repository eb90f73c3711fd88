import { EdgewrightError } from '../error.ts'
import { floatPasses, foldPreprocessing, runPasses } from '../passes/index.ts'
import type { Progress } from '../progress.ts'
import { executeGraph, modelFileOf } from './execute-graph.ts'
import type { Recipe } from './recipe.ts'
import { openSamples, type Samples, type SamplesRequest } from './samples.ts'
import type { Source } from './source.ts'

/**
 * Moves scale, mean and std of the data into the network's first layer; the samples are then opened again as raw
 * values. The float network that everything is compared with is the folded one: the same function of raw samples.
 */
export async function foldSourcePreprocessing(
  source: Source,
  samples: Samples,
  request: SamplesRequest,
  progress: Progress,
): Promise<{ source: Source; samples: Samples }> {
  const { scale, mean, std } = samples.evaluation.dataset.preprocessing
  const [input, ...others] = source.graph.inputs
  if (!samples.real || input === undefined || others.length > 0)
    throw new EdgewrightError('RECIPE_INVALID', 'There is no preprocessing to fold.', {
      where: 'foldPreprocessing',
      saw: samples.real ? `${others.length + 1} inputs` : 'no data',
      hint: 'It needs --data whose scale, mean and std are known, and a network with one input.',
    })
  progress.stage('fold preprocessing', input)
  const original = foldPreprocessing(source.graph, input, { scale, mean, std })
  const notes = [...source.notes]
  const graph = await runPasses(original, floatPasses(executeGraph), (note) => notes.push(note))
  const folded: Source = { ...source, original, graph, notes, floatModel: modelFileOf(original) }
  return {
    source: folded,
    samples: await openSamples({ ...request, recipe: rawRecipe(request.recipe) }, folded, progress),
  }
}

/** The same recipe for a network that does scale, mean and std itself. */
export function rawRecipe(recipe: Recipe): Recipe {
  return { ...recipe, preprocessing: { ...recipe.preprocessing, scale: 1, mean: [0], std: [1] } }
}
