import { isStoredScheme } from '../quantize/stored-weights.ts'
import { calibrate } from '../quantize/calibrate.ts'
import { type PrecisionGroup, precisionGroups } from '../quantize/precision-groups.ts'
import { executeGraph } from './execute-graph.ts'
import type { ImprovementContext } from './improvements/improvement.ts'
import { OutputNoise } from './output-noise.ts'
import { type Made, type Trial, trialOptions } from './trial.ts'

/** What a group of integer operators costs the outputs. */
export interface Sensitivity extends PrecisionGroup {
  /** Noise power over signal power that it adds at the outputs, on calibration samples: 10^(−SQNR/10). */
  readonly noise: number
}

type Context = Pick<ImprovementContext, 'board' | 'progress' | 'calibration' | 'make'>

const mostSamples = 32
const leastSamples = 8
/** Network runs that a ranking may cost; many groups get fewer samples each. */
const mostInferences = 2048

/**
 * Measures each group of integer operators by the network with that group alone in integers: one run a group, over a
 * few calibration samples. Where several groups each ruin the outputs, mending one of them would show nothing. A group
 * that a target does not compute in integers alone (without a convolution or product) is measured by what its absence
 * takes from the noise of all.
 *
 * @returns the groups in the order of the network; none for a network that keeps its activations real
 */
export async function sensitivities(made: Made, context: Context): Promise<Sensitivity[]> {
  const { trial, typed } = made
  if (!typed.stored || isStoredScheme(context.board.options.scheme)) return []
  const groups = precisionGroups(trial.graph, { graph: typed.graph, stored: typed.stored })
  if (groups.length === 0) return []
  const ranged = await withRanges(trial, groups, context)
  const samples = Math.max(leastSamples, Math.min(mostSamples, Math.floor(mostInferences / groups.length)))
  const noise = await OutputNoise.open(trial.graph, context, samples)
  try {
    let all: number | null = null
    const found: Sensitivity[] = []
    for (const group of groups) {
      const others = groups.filter((other) => other !== group).flatMap(({ values }) => values)
      const alone = context.make(inFloat(ranged, others))
      if (hasIntegers(alone)) found.push({ ...group, noise: await noise.of(alone) })
      else {
        all ??= await noise.of(made)
        const without = await noise.of(context.make(inFloat(ranged, group.values)))
        found.push({ ...group, noise: Math.max(0, all - without) })
      }
      context.progress.tick(found.length, groups.length, 'groups')
    }
    return found
  } finally {
    await noise.close()
  }
}

export function hasIntegers({ typed }: Made): boolean {
  return [...typed.graph.values.values()].some(({ type }) => type.quantization !== null)
}

/** The trial with further values in float. */
export function inFloat(trial: Trial, values: readonly string[]): Trial {
  return { ...trial, keepFloat: [...trial.keepFloat, ...values] }
}

/**
 * The trial with the ranges that integers need where a group beside them is in float: of values that now take over
 * the scale of what they are moved from.
 */
export async function withRanges(
  trial: Trial,
  groups: readonly Pick<PrecisionGroup, 'values'>[],
  { board, calibration, progress }: Pick<Context, 'board' | 'calibration' | 'progress'>,
): Promise<Trial> {
  const missing = new Set<string>()
  for (const { values } of groups)
    for (const name of board.target.wantedTensors(trial.graph, trialOptions(inFloat(trial, values), board)))
      if (!trial.ranges.has(name)) missing.add(name)
  if (missing.size === 0) return trial
  const feeds = async function* () {
    for await (const { inputs } of calibration) yield inputs
  }
  const quiet = { signal: progress.signal, stage() {}, tick() {}, warn() {} }
  const seen = await calibrate(trial.graph, executeGraph, feeds(), [...missing], { progress: quiet })
  return { ...trial, ranges: new Map([...trial.ranges, ...seen]) }
}
