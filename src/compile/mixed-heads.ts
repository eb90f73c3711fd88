import type { Decision, Target, TargetOptions } from '../../targets/target.ts'
import type { Graph } from '../graph/types.ts'
import { floatPasses, runPasses } from '../passes/index.ts'
import { endsInConcat, splitHeads } from '../passes/split-heads.ts'
import type { Progress } from '../progress.ts'
import { describeMixedConcat, type MixedConcat, mixedConcats } from '../quantize/concat-ranges.ts'
import type { Ranges } from '../quantize/ranges.ts'
import { isStoredScheme } from '../quantize/stored-weights.ts'
import { calibrateSamples } from './calibration.ts'
import { executeGraph, modelFileOf } from './execute-graph.ts'
import type { Samples } from './samples.ts'
import type { Source } from './source.ts'

/** What stays in float because a concatenation would give its branches one scale. */
export interface PartedHeads {
  /** Values whose makers stay in float. */
  readonly keepFloat: readonly string[]
  /** All that `prepare` needs with these in float. */
  readonly ranges: Ranges
  readonly decisions: readonly Decision[]
}

/**
 * Keeps mixed concatenations in float, with the arithmetic that makes coordinates, where the target's outputs are float
 * and the concatenation only moves numbers; says what else would help where it does not.
 *
 * @param graph as the target tailored it
 * @param more calibrates values that only the new placement needs
 */
export async function partHeads(
  graph: Graph,
  ranges: Ranges,
  target: Pick<Target, 'wantedTensors'>,
  options: TargetOptions,
  more: (wanted: readonly string[]) => Promise<Ranges>,
): Promise<PartedHeads> {
  // float schemes store nothing by its range
  const stays = ranges.size === 0 || isStoredScheme(options.scheme)
  const mixed = stays ? [] : mixedConcats(graph, ranges, activationType(options))
  const parted =
    options.io === 'float'
      ? mixed.filter(({ at }) => at !== 'inside')
      : mixed.filter(({ at }) => at === 'split')
  const keepFloat = [...new Set(parted.flatMap((concat) => [...concat.keepFloat, ...concat.decoding]))]
  const wanted = target.wantedTensors(graph, { ...options, keepFloat: [...options.keepFloat, ...keepFloat] })
  const missing = keepFloat.length === 0 ? [] : wanted.filter((name) => !ranges.has(name))
  return {
    keepFloat,
    ranges: missing.length === 0 ? ranges : new Map([...ranges, ...(await more(missing))]),
    decisions: mixed.map((concat) => ({
      where: concat.node,
      reason: `${describeMixedConcat(concat)} ${parted.includes(concat) ? 'It stays in float, where each branch keeps its own scale.' : adviceFor(concat)}`,
    })),
  }
}

function activationType({ scheme }: TargetOptions): 'int8' | 'int16' {
  return scheme === 'int16x8' ? 'int16' : 'int8'
}

function adviceFor({ at }: MixedConcat): string {
  return at === 'inside'
    ? 'What reads it needs one scale: scale a branch in the float network, and take it back in the weights that read it.'
    : 'An integer output has one scale: allow split-outputs, or take float outputs.'
}

/** The allowance that gives groups of branches outputs of their own. */
export const splitOutputs = 'split-outputs'

/** Samples that tell boxes from scores; their ranges decide nothing else. */
const sampleLimit = 32

/**
 * The network with outputs of their own for groups of branches that one integer output would mix: what the choice
 * `allow: [split-outputs]` stands for. The float network that all is compared with has the same outputs.
 *
 * @returns the source as it was where nothing is mixed at its end
 */
export async function splitMixedOutputs(
  source: Source,
  samples: Samples,
  progress: Progress,
): Promise<Source> {
  const wanted = [...endsInConcat(source.original)].flatMap(({ inputs }) => inputs)
  const activations = wanted.filter(
    (name): name is string => name !== null && source.original.values.get(name)!.constant === null,
  )
  if (activations.length === 0) return source
  const { dataset, indices } = samples.calibration
  const part = { dataset, indices: indices.slice(0, sampleLimit) }
  progress.stage('split outputs', `${part.indices.length} samples`)
  const ranges = await calibrateSamples(
    { graph: source.original, wanted: [...new Set(activations)], samples: part, cache: null },
    progress,
  )
  const mixed = mixedConcats(source.original, ranges).filter(({ at }) => at === 'output')
  const { graph: original, notes: declined, replaced } = splitHeads(source.original, mixed)
  const notes = [...source.notes, ...declined.map((note) => ({ pass: 'split-heads', ...note }))]
  if (replaced.size === 0) return { ...source, notes }
  for (const [output, parts] of replaced)
    notes.push({
      pass: 'split-heads',
      where: output,
      reason: `split in ${parts.join(', ')}: one scale would not do for all`,
    })
  const graph = await runPasses(original, floatPasses(executeGraph), (note) => notes.push(note))
  return { ...source, original, graph, notes, floatModel: modelFileOf(original) }
}
