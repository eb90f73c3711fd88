/**
 * Why a quantized tensor differs from float, in words with numbers, and what helps. Every rule looks at the facts of one
 * tensor and gives a cause or null. Thresholds are in bits: below two lost bits nobody needs to act.
 */
import type { Asked, Bounds, Cause, Remedy, TensorFacts, WeightFacts } from './cause-facts.ts'
import { best, cut, inFloat, keepFloat, perChannel, tune, wide } from './cause-remedies.ts'
import {
  bits,
  called,
  decibels,
  median,
  number,
  ordinal,
  percent,
  sentenceCase,
  span,
} from './cause-words.ts'

export type Rule = (facts: TensorFacts, asked: Asked) => Cause | null

/** Values beyond the stored range make much of the noise: cut by the range's choice, or never seen in calibration. */
export const clipped: Rule = (facts, asked) => {
  const { stored, seen, calibrated } = facts
  if (!stored || !isStorage(facts) || stored.clippedShare === 0 || stored.clippedNoiseShare < 0.3) return null
  const beyond = Math.max(stored.min - seen.min, seen.max - stored.max)
  const unseen =
    calibrated !== null && Math.max(calibrated.min - seen.min, seen.max - calibrated.max) >= beyond / 2
  const where = `${percent(stored.clippedShare)} of its elements lie beyond the stored range (${number(stored.min)} to ${number(stored.max)}), by up to ${number(beyond)}, and are clipped: ${percent(stored.clippedNoiseShare)} of what storing it costs.`
  return {
    kind: 'clipped',
    sentence: unseen
      ? `${where} Calibration saw ${number(calibrated.min)} to ${number(calibrated.max)} only.`
      : where,
    remedies: [
      ...(unseen
        ? [
            {
              option: '--samples',
              why: 'more calibration samples, or others with --calibration-data: these lacked such values',
              change: null,
            },
          ]
        : asked.method === 'min-max'
          ? []
          : [
              {
                option: '--calibration min-max',
                why: 'ranges that cut nothing off',
                change: { kind: 'min-max' } as const,
              },
            ]),
      ...inFloat(facts),
    ],
  }
}

/** One scale for filters of very different size: what depthwise convolutions suffer from most. */
export const weightSpread: Rule = (facts, asked) => {
  const { weights } = facts
  if (!weights?.perTensor || !isWeights(facts)) return null
  const live = weights.magnitudes.filter((magnitude) => magnitude > 0)
  const widest = Math.max(...live)
  const lost = Math.log2(widest / median(live))
  if (live.length < 2 || lost < 2) return null
  const starved = starvedFilters(weights).length
  const filters = `${weights.magnitudes.length} filters${weights.depthwise ? ' of a depthwise convolution' : ''}`
  return {
    kind: 'weight-spread',
    sentence: `One scale for the ${filters}: the widest reaches ${number(widest)}, the median one ${number(median(live))}, which keeps ${bits(8 - lost)} of 8 bits${starved === 0 ? '' : `; ${starved} of them ${starved === 1 ? 'has' : 'have'} ${fewSteps} steps or fewer`} (weights alone: ${decibels(weights.db)}).`,
    remedies: [
      ...perChannel(weights, asked),
      ...best(asked, 'cross-layer equalization evens filters out'),
      ...inFloat(facts),
    ],
  }
}

/** Filters that all but vanish: a large bias beside tiny weights raises their scale, or one scale serves them all. */
export const deadFilters: Rule = (facts, asked) => {
  const { weights } = facts
  if (!weights || !isWeights(facts) || weightSpread(facts, asked)) return null
  const starved = starvedFilters(weights)
  if (starved.length === 0) return null
  const gone = starved.filter((stored) => stored === 0).length
  return {
    kind: 'dead-filters',
    sentence: `${starved.length} of ${weights.magnitudes.length} filters ${starved.length === 1 ? 'is' : 'are'} stored in ${fewSteps} steps or fewer${gone > 0 ? `, ${gone} of them as zeros` : ''}: ${weights.perTensor ? 'the one scale is far too wide for them' : 'their weights are tiny beside their bias, which has to fit 32 bits at the same scale'}.`,
    remedies: [
      ...perChannel(weights, asked),
      ...best(asked, 'cross-layer equalization gives them weight'),
      ...inFloat(facts),
    ],
  }
}

/** Largest stored magnitudes of the filters that have few steps, though they are not zero. */
function starvedFilters({ magnitudes, storedMagnitudes }: WeightFacts): number[] {
  return storedMagnitudes.filter((stored, filter) => magnitudes[filter]! > 0 && stored <= fewSteps)
}
const fewSteps = 7

/** Boxes beside scores. What the output gains as a whole tells nothing here: the wide branch drowns the narrow one. */
export const concatMismatch: Rule = ({ concat }, asked) => {
  if (!concat) return null
  const why = 'each branch keeps its own scale'
  const remedies: Remedy[] =
    concat.isOutput && !asked.floatOutputs
      ? [{ option: '--io float', why, change: null }]
      : concat.keepFloat.length > 0
        ? [{ ...keepFloat(concat.keepFloat, why), change: null }]
        : []
  return { kind: 'concat-mismatch', sentence: concat.sentence, remedies }
}

/** Few channels set the step for all. */
export const outlierChannel: Rule = (facts, asked) => {
  const { channels, stored } = facts
  if (!channels || !stored || channels.length < 4 || !isStorage(facts)) return null
  const live = Array.from(channels).filter((magnitude) => magnitude > 0)
  const typical = median(live)
  const largest = Math.max(...live)
  const lost = Math.log2(largest / typical)
  const outliers = live.filter((magnitude) => magnitude > largest / 4).length
  if (!(lost >= 3) || outliers > Math.max(1, live.length / 20)) return null
  const which = Array.from(channels).indexOf(largest)
  return {
    kind: 'outlier-channel',
    sentence: `Channel ${which} reaches ${number(largest)}, the median channel ${number(typical)}: ${outliers === 1 ? 'one channel' : `${outliers} channels`} of ${channels.length} set${outliers === 1 ? 's' : ''} the step for all, the others keep ${bits(stored.bits - lost)} of ${stored.bits} bits.`,
    remedies: [...best(asked, 'equalization moves the outlier into the weights'), ...inFloat(facts)],
  }
}

/** A range that belongs to others: fixed by the operator, or shared with wider tensors. */
export const foreignRange: Rule = (facts, asked) => {
  const { stored, seen, fixedBy, concat } = facts
  if (!stored || concat || !isStorage(facts)) return null
  const ratio = span(stored) / span(seen)
  if (!(ratio >= 4)) return null
  const reason = fixedBy
    ? `${fixedBy} has a fixed range`
    : 'operators that only move values share one scale with what they read and give'
  return {
    kind: 'foreign-range',
    sentence: `It spans ${number(Math.min(0, seen.min))} to ${number(Math.max(0, seen.max))}, a ${ordinal(ratio)} of its stored range (${number(stored.min)} to ${number(stored.max)}): ${bits(Math.log2(ratio))} of ${stored.bits} bits are unused. ${sentenceCase(reason)}.`,
    remedies: [...inFloat(facts), ...wide(asked)],
  }
}

/** The range is that of rare elements. */
export const heavyTail: Rule = (facts, asked) => {
  const { stored, seen } = facts
  if (!stored || !isStorage(facts)) return null
  const ratio = Math.min(span(stored), span(seen)) / span(seen.bulk)
  if (!(ratio >= 4)) return null
  return {
    kind: 'heavy-tail',
    sentence: `99.9 % of its elements lie between ${number(seen.bulk.min)} and ${number(seen.bulk.max)}, a ${ordinal(ratio)} of what is stored (${number(stored.min)} to ${number(stored.max)}): rare ones take ${bits(Math.log2(ratio))} of ${stored.bits} bits.`,
    remedies: [
      ...cut(asked, 'ranges that cut the tail where that helps'),
      ...best(asked, 'ranges are chosen for each tensor'),
      ...inFloat(facts),
    ],
  }
}

/** Swish and its like end at −0.28 or −0.38 below zero, and at anything above. */
export const negativeTail: Rule = (facts, asked) => {
  const { stored, seen, curve } = facts
  if (!stored || !curve || !isStorage(facts) || seen.min >= 0 || seen.negativeShare < 0.2) return null
  const steps = -seen.min / stored.scale
  if (steps >= 16) return null
  return {
    kind: 'negative-tail',
    sentence: `${percent(seen.negativeShare)} of its elements are negative, down to ${number(seen.min)} only, where ${curve} saturates: ${steps < 1 ? 'less than one' : steps.toFixed(0)} of ${2 ** stored.bits} steps serve them, the others reach ${number(seen.max)}.`,
    remedies: [...wide(asked), ...inFloat(facts), tune],
  }
}

/** Most of it is smaller than half a step. */
export const tinySignal: Rule = (facts, asked) => {
  const { stored, seen, concat } = facts
  if (!stored || concat || !isStorage(facts) || stored.zeroedShare < 0.5) return null
  return {
    kind: 'tiny-signal',
    sentence: `${percent(stored.zeroedShare)} of its elements are smaller than half a step (${number(stored.scale / 2)}) and become zero; their root mean square is ${number(seen.rms)}.`,
    remedies: [...inFloat(facts), ...wide(asked)],
  }
}

/** The sum takes its step from the wide addend. */
export const addMismatch: Rule = (facts, asked) => {
  const { addends, stored } = facts
  if (addends.length !== 2 || !stored) return null
  const [small, large] = [...addends].sort((a, b) => span(a) - span(b)) as [Bounds & { name: string }, Bounds]
  const lost = Math.log2(span(large) / span(small))
  if (!(span(small) > 0) || lost < 4) return null
  return {
    kind: 'add-mismatch',
    sentence: `It adds ${called(small.name)}, which spans ${number(span(small))}, to what spans ${number(span(large))}: at the sum's step the small branch keeps ${bits(stored.bits - lost)} of ${stored.bits} bits.`,
    remedies: [...best(asked, 'equalization brings the branches nearer'), ...inFloat(facts), ...wide(asked)],
  }
}

/** A constant error is no noise: a bias takes it back. */
export const biasShift: Rule = ({ shiftShare }, asked) => {
  if (shiftShare < 0.5) return null
  return {
    kind: 'bias-shift',
    sentence: `${percent(shiftShare)} of its own error is a constant shift of each channel, no noise.`,
    remedies: [
      asked.preset === 'fast'
        ? {
            option: '--preset balanced',
            why: 'corrects biases by what calibration saw',
            change: { kind: 'correct-bias' },
          }
        : {
            option: '--samples',
            why: 'biases are corrected by the means of calibration: more samples, or ones nearer to these, know them better',
            change: null,
          },
      ...(asked.preset === 'fast' ? [] : best(asked, 'corrects biases layer by layer')),
    ],
  }
}

/** In the order of what most likely explains the most. */
export const rules: readonly Rule[] = [
  clipped,
  weightSpread,
  deadFilters,
  concatMismatch,
  outlierChannel,
  foreignRange,
  heavyTail,
  negativeTail,
  tinySignal,
  addMismatch,
  biasShift,
]

/** Storing the result is a good part of the own error. */
export function isStorage({ ownDb, storageDb }: TensorFacts): boolean {
  return 10 ** ((ownDb - storageDb) / 10) >= 0.25
}

/** What storing the result does not explain is of the weights. */
export function isWeights({ ownDb, storageDb }: TensorFacts): boolean {
  return 10 ** ((ownDb - storageDb) / 10) <= 0.75
}
