import { neverClipped } from '../../quantize/never-clipped.ts'
import { classNoise, otherMethods } from '../../quantize/class-ranges.ts'
import { type ActivationRangeMethod, describeRangeMethod } from '../../quantize/ranges.ts'
import { type StoredClass, storedClasses } from '../../quantize/stored-classes.ts'
import { OutputNoise } from '../output-noise.ts'
import type { Made, Trial } from '../trial.ts'
import type { Improvement, ImprovementContext, Proposal } from './improvement.ts'

/** From what clips nothing to what clips most: of two that give a class nearly one range, the first is tried. */
const methods: readonly ActivationRangeMethod[] = [
  { kind: 'min-max' },
  { kind: 'percentile', percentile: 99.99 },
  { kind: 'mse' },
  { kind: 'kl' },
  { kind: 'percentile', percentile: 99.9 },
]

/** Of each of the two parts of the calibration samples: one that finds a method, one that confirms it. */
const mostSamples = 32
/** Of forms of the network: each costs an emitted file and a run over samples. */
const mostRuns = 96
/** A class changes for at least 0.04 dB at the outputs: less is what few samples happen to say. */
const leastGain = 0.01

/**
 * Each class of values with one scale gets the way to choose its range that is best at the outputs, the noisiest class
 * first, on calibration samples: what rounds least in a tensor is not what hurts the outputs least. What one part of
 * the samples finds, the other must confirm; held-out samples judge the result as a whole.
 */
export const classRanges: Improvement = {
  name: 'ranges by class',
  presets: ['best'],
  marginDb: 0,
  async propose(made, context) {
    const { trial, typed } = made
    const { graph, stored } = typed
    const classes = stored ? clippable(storedClasses(trial.graph, { graph, stored }), trial) : []
    const worstFirst = classes
      .map((one) => ({ ...one, noise: classNoise(one, trial.ranges) }))
      .sort((a, b) => b.noise - a.noise)
    const choices = worstFirst.flatMap((one) => {
      const others = otherMethods(one, trial.ranges, methodOf(one, trial), methods)
      return others.length > 0 ? [{ names: one.names, others }] : []
    })
    if (choices.length === 0) return { declined: 'every way to choose ranges gives each class the same one' }
    const samples = Math.min(mostSamples, context.calibration.length >> 1)
    if (samples === 0) return { declined: 'a single calibration sample cannot confirm what it finds' }
    const finding = await OutputNoise.open(trial.graph, context, samples)
    const confirming = await OutputNoise.open(trial.graph, context, samples, samples)
    try {
      return await chooseInTurn(made, choices, [finding, confirming], context)
    } finally {
      await finding.close()
      await confirming.close()
    }
  },
}

interface ClassChoice {
  readonly names: readonly string[]
  readonly others: readonly ActivationRangeMethod[]
}

async function chooseInTurn(
  made: Made,
  choices: readonly ClassChoice[],
  [finding, confirming]: readonly [OutputNoise, OutputNoise],
  { make, progress }: ImprovementContext,
): Promise<Proposal> {
  let best = { trial: made.trial, found: await finding.of(made), confirmed: await confirming.of(made) }
  const changed: ActivationRangeMethod[] = []
  let looked = 0
  for (const { names, others } of choices) {
    if (finding.runs + confirming.runs + 2 * others.length > mostRuns) break
    const before = best
    let chosen: ActivationRangeMethod | null = null
    for (const method of others) {
      const candidate = make(withMethod(before.trial, names, method))
      const found = await finding.of(candidate)
      if (!(found < best.found * (1 - leastGain))) continue
      const confirmed = await confirming.of(candidate)
      if (!(confirmed < best.confirmed)) continue
      best = { trial: candidate.trial, found, confirmed }
      chosen = method
    }
    if (chosen) changed.push(chosen)
    progress.tick(++looked, choices.length, 'classes')
  }
  if (changed.length === 0)
    return { declined: `no range of its own brings one of ${looked} classes nearer to float` }
  const ways = [...new Set(changed.map(describeRangeMethod))].map(
    (way) => `${changed.filter((method) => describeRangeMethod(method) === way).length} ${way}`,
  )
  const name = `ranges by class: ${changed.length} of ${looked} changed (${ways.join(', ')})`
  return { trials: [{ name, trial: best.trial }] }
}

function withMethod(trial: Trial, names: readonly string[], method: ActivationRangeMethod): Trial {
  const valueRanges = new Map(trial.valueRanges)
  for (const name of names) valueRanges.set(name, method)
  return { ...trial, valueRanges }
}

function methodOf({ names }: StoredClass, { valueRanges, activation }: Trial): ActivationRangeMethod {
  return names.map((name) => valueRanges.get(name)).find(Boolean) ?? activation
}

/** Without those that keep what calibration saw, whatever the method. */
function clippable(classes: readonly StoredClass[], { graph }: Trial): StoredClass[] {
  const kept = neverClipped(graph)
  return classes.filter(({ names }) => !names.some((name) => kept.has(name)))
}
