/**
 * Why a quantized tensor differs from float, in words with numbers, and what helps. Every rule looks at the facts of one
 * tensor and gives a cause or null. Thresholds are in bits: below two lost bits nobody needs to act.
 */

export const causeKinds = [
  'clipped',
  'weight-spread',
  'dead-filters',
  'concat-mismatch',
  'outlier-channel',
  'foreign-range',
  'heavy-tail',
  'negative-tail',
  'tiny-signal',
  'add-mismatch',
  'bias-shift',
  'weight-rounding',
  'result-rounding',
  'accumulated',
] as const
export type CauseKind = (typeof causeKinds)[number]

export interface Cause {
  readonly kind: CauseKind
  /** One or two sentences with the numbers seen. */
  readonly sentence: string
  readonly remedies: readonly Remedy[]
}

/** Something the user can do, and what a trial would change to find out what it gives. */
export interface Remedy {
  /** As it is typed: `--per-channel`; null where it is no option. */
  readonly option: string | null
  readonly why: string
  readonly change: Change | null
}

export type Change =
  | { readonly kind: 'keep-float'; readonly names: readonly string[] }
  | { readonly kind: 'per-channel' }
  | { readonly kind: 'min-max' }
  | { readonly kind: 'correct-bias' }

/** All dB are signal over noise; Infinity is exact. */
export interface TensorFacts {
  /** As the network runs, against float. */
  readonly db: number
  /** What its operators add to the operands that they read, as these are stored. */
  readonly ownDb: number
  /** What storing the float values in the tensor's type costs by itself. */
  readonly storageDb: number
  /** Null where it is real in the quantized network too. */
  readonly stored: StoredFacts | null
  readonly seen: SeenFacts
  /** What calibration saw, where it looked. */
  readonly calibrated: Bounds | null
  /** Σ E[e]² of each channel over Σ E[e²], of the own error. */
  readonly shiftShare: number
  /** The largest magnitude of each channel. */
  readonly channels: ArrayLike<number> | null
  readonly weights: WeightFacts | null
  /** What a two-operand addition reads. */
  readonly addends: readonly (Bounds & { readonly name: string })[]
  /** How one scale hurts a branch of a concatenation; null where none is hurt. */
  readonly concat: { readonly sentence: string; readonly keepFloat: readonly string[] } | null
  /** What fixes the type whatever is seen: `Softmax`. */
  readonly fixedBy: string | null
  /** An activation that lets a narrow negative tail through: `HardSwish`. */
  readonly curve: string | null
  /** As the network runs, of the worst tensor that it reads; null for an input. */
  readonly operandDb: number | null
  /** Of all that it depends on, the tensor that adds most error itself. */
  readonly origin: { readonly name: string; readonly ownDb: number } | null
  /** Names that leave its operators in float; null where the recipe cannot name them. */
  readonly keepFloat: readonly string[] | null
}

export interface Bounds {
  readonly min: number
  readonly max: number
}

export interface StoredFacts extends Bounds {
  readonly bits: number
  readonly scale: number
  /** Of all elements. */
  readonly clippedShare: number
  /** Of the noise of storing. */
  readonly clippedNoiseShare: number
  /** Elements that are not zero and become zero, of all. */
  readonly zeroedShare: number
}

export interface SeenFacts extends Bounds {
  readonly rms: number
  /** Holds 99.9 % of the elements. */
  readonly bulk: Bounds
  readonly negativeShare: number
}

export interface WeightFacts {
  readonly perTensor: boolean
  readonly depthwise: boolean
  /** Weights over their rounding error. */
  readonly db: number
  /** Largest magnitude of each filter. */
  readonly magnitudes: readonly number[]
  /** Largest stored magnitude of each filter. */
  readonly storedMagnitudes: readonly number[]
}

/** What was asked of the compile: a remedy that is in use already is not named again. */
export interface Asked {
  readonly preset: 'fast' | 'balanced' | 'best'
  readonly method: string
  readonly perChannel: boolean
  /** False where the board takes one weight scale only. */
  readonly perChannelAllowed: boolean
  /** The target has 16-bit activations. */
  readonly wideActivations: boolean
}

/** Above this nobody asks why. */
const fineDb = 30
const mostCauses = 3

/**
 * The causes of a tensor's error, weightiest first; none where it is near enough to float. What it adds itself is
 * explained where that is much, even where it inherits more: mending the layers before would bring it out.
 */
export function causesOf(facts: TensorFacts, asked: Asked): Cause[] {
  if (facts.db >= fineDb) return []
  const isInherited = ownShare(facts) < 0.5
  const own = facts.ownDb < fineDb || !isInherited ? ownCauses(facts, asked) : []
  const inherited = isInherited ? accumulated(facts, asked) : null
  return namedOnce(inherited ? [...own, inherited] : own)
}

function ownCauses(facts: TensorFacts, asked: Asked): Cause[] {
  const particular = rules.flatMap((rule) => rule(facts, asked) ?? [])
  if (particular.length > 0) return particular.slice(0, mostCauses)
  const general = rounding(facts, asked)
  return general ? [general] : []
}

/** A remedy of several causes stands with the first. */
function namedOnce(causes: readonly Cause[]): Cause[] {
  const named = new Set<string>()
  return causes.map((cause) => ({
    ...cause,
    remedies: cause.remedies.filter(({ option, why }) => {
      const key = option ?? why
      if (named.has(key)) return false
      named.add(key)
      return true
    }),
  }))
}

type Rule = (facts: TensorFacts, asked: Asked) => Cause | null

/** Values beyond the stored range make much of the noise: cut by the range's choice, or never seen in calibration. */
export const clipped: Rule = (facts, asked) => {
  const { stored, seen, calibrated } = facts
  if (!stored || !isStorage(facts) || stored.clippedShare === 0 || stored.clippedNoiseShare < 0.3) return null
  const beyond = Math.max(stored.min - seen.min, seen.max - stored.max)
  const unseen = calibrated !== null && (seen.max > calibrated.max || seen.min < calibrated.min)
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

/** Boxes beside scores. */
export const concatMismatch: Rule = ({ concat }) =>
  concat && {
    kind: 'concat-mismatch',
    sentence: concat.sentence,
    remedies:
      concat.keepFloat.length > 0 ? [keepFloat(concat.keepFloat, 'each branch keeps its own scale')] : [],
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
  const { stored, seen, fixedBy } = facts
  if (!stored || !isStorage(facts)) return null
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
      ...(asked.method === 'min-max' || asked.preset === 'fast'
        ? [{ option: '--calibration auto', why: 'ranges that cut the tail where that helps', change: null }]
        : best(asked, 'ranges are chosen for each tensor')),
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
  const { stored, seen } = facts
  if (!stored || !isStorage(facts) || stored.zeroedShare < 0.5) return null
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
    sentence: `It adds ${small.name}, which spans ${number(span(small))}, to what spans ${number(span(large))}: at the sum's step the small branch keeps ${bits(stored.bits - lost)} of ${stored.bits} bits.`,
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
const rules: readonly Rule[] = [
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

/** Nothing particular: 8 bits are few for it. */
export function rounding(facts: TensorFacts, asked: Asked): Cause | null {
  const { weights, stored, seen } = facts
  if (weights && isWeights(facts))
    return {
      kind: 'weight-rounding',
      sentence: `Rounding its weights makes most of its own error (weights alone: ${decibels(weights.db)}).`,
      remedies: [...best(asked, 'chooses how each weight is rounded'), ...inFloat(facts)],
    }
  if (!stored) return null
  return {
    kind: 'result-rounding',
    sentence: `Its root mean square is ${number(seen.rms)}, a step ${number(stored.scale)}: ${isStorage(facts) ? 'rounding its result' : 'the integer arithmetic'} makes most of its own error.`,
    remedies: [...inFloat(facts), ...wide(asked)],
  }
}

/** Good by itself, on bad operands. */
export function accumulated({ db, ownDb, operandDb, origin }: TensorFacts, asked: Asked): Cause | null {
  if (!origin || operandDb === null) return null
  const own = ownDb === Number.POSITIVE_INFINITY ? 'Exact by itself' : `By itself it has ${decibels(ownDb)}`
  // sums that nearly cancel and steep functions leave less signal than error
  const from =
    operandDb - db >= grownDb
      ? `what it reads has ${decibels(operandDb)}, and grows through it to ${decibels(db)}`
      : `the ${decibels(db)} come with what it reads`
  const most = `${origin.name} (own ${decibels(origin.ownDb)})`
  const standsOut = origin.ownDb < fineDb
  return {
    kind: 'accumulated',
    sentence: standsOut
      ? `${own}: ${from}, most of all from ${most}.`
      : `${own}: ${from}. Errors add up over the layers before it, of which none stands out: the most is of ${most}.`,
    remedies: standsOut ? [] : [...best(asked, 'tries all that there is'), ...wide(asked), tune],
  }
}
const grownDb = 6

// -- shares of the error ---------------------------------------------------------------------------------------------

/** Noise-to-signal of its own over that of all; small where error is inherited. */
export function ownShare({ db, ownDb }: Pick<TensorFacts, 'db' | 'ownDb'>): number {
  return Math.min(1, 10 ** ((db - ownDb) / 10))
}

/** Storing the result is a good part of the own error. */
function isStorage({ ownDb, storageDb }: TensorFacts): boolean {
  return 10 ** ((ownDb - storageDb) / 10) >= 0.25
}

/** What storing the result does not explain is of the weights. */
function isWeights({ ownDb, storageDb }: TensorFacts): boolean {
  return 10 ** ((ownDb - storageDb) / 10) <= 0.75
}

// -- remedies --------------------------------------------------------------------------------------------------------

const tune: Remedy = {
  option: null,
  why: 'training with quantization (later: edgewright tune)',
  change: null,
}

function perChannel({ perTensor }: WeightFacts, asked: Asked): Remedy[] {
  return perTensor && !asked.perChannel && asked.perChannelAllowed
    ? [{ option: '--per-channel', why: 'a scale for each filter', change: { kind: 'per-channel' } }]
    : []
}

function best({ preset }: Asked, why: string): Remedy[] {
  return preset === 'best' ? [] : [{ option: '--preset best', why, change: null }]
}

function wide({ wideActivations }: Asked): Remedy[] {
  return wideActivations
    ? [{ option: '--scheme int16x8', why: '16-bit activations, at a cost in time', change: null }]
    : []
}

function inFloat({ keepFloat: names }: TensorFacts): Remedy[] {
  return names && names.length > 0 ? [keepFloat(names, 'leave it in float, at a cost in time')] : []
}

function keepFloat(names: readonly string[], why: string): Remedy {
  return {
    option: names.map((name) => `--keep-float ${word(name)}`).join(' '),
    why,
    change: { kind: 'keep-float', names },
  }
}

// -- words -----------------------------------------------------------------------------------------------------------

/** As a POSIX shell takes it for one word. */
function word(name: string): string {
  return /^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`
}

/** Of what is quantized: 0 is always in it. */
function span({ min, max }: Bounds): number {
  return Math.max(0, max) - Math.min(0, min)
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? 0
}

function number(value: number): string {
  return String(Number(value.toPrecision(3))).replace('-', '−')
}

function bits(count: number): string {
  return Math.max(0, count).toFixed(1)
}

function decibels(db: number): string {
  if (db === Number.POSITIVE_INFINITY) return 'exact'
  return `${db.toFixed(1).replace('-', '−')} dB`
}

function percent(share: number): string {
  return `${share >= 0.1 ? (share * 100).toFixed(0) : Number((share * 100).toPrecision(2))} %`
}

/** `7th`: of a ratio, a part. */
function ordinal(ratio: number): string {
  const whole = Math.round(ratio)
  const teen = whole % 100 >= 11 && whole % 100 <= 13
  return `${whole}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][whole % 10] ?? 'th')}`
}

function sentenceCase(text: string): string {
  return text.replace(/^./, (first) => first.toUpperCase())
}
