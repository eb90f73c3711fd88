import { EdgewrightError } from '../error.ts'

/** Where in its training a step stands. */
export interface StepPosition {
  /** Steps done, over all epochs. */
  readonly step: number
  readonly totalSteps: number
  readonly epoch: number
  readonly stepsPerEpoch: number
}

/** Factor on the learning rate. */
export type Schedule = (position: StepPosition) => number

interface Option {
  readonly initial: readonly number[]
  /** Largest value; the smallest is above 0 unless `zero`. */
  readonly most: number
  readonly zero?: true
}

interface Kind {
  readonly options: Readonly<Record<string, Option>>
  /** @returns the factor by the share of the steps (after a warm-up) that are done, in [0, 1) */
  make(option: (name: string) => readonly number[]): (share: number) => number
}

const justBelowOne = 1 - Number.EPSILON
const warmup: Option = { initial: [0], most: justBelowOne, zero: true }
const end: Option = { initial: [0], most: 1, zero: true }

const kinds: Readonly<Record<string, Kind>> = {
  constant: { options: { warmup }, make: () => () => 1 },
  linear: {
    options: { warmup, end },
    make: (option) => (share) => between(1, option('end')[0]!, share),
  },
  /** Half a cosine (Loshchilov and Hutter 2017, without restarts). */
  cosine: {
    options: { warmup, end },
    make: (option) => (share) => between(1, option('end')[0]!, halfCosine(share)),
  },
  /** Times `factor` at each `at`. */
  step: {
    options: {
      warmup,
      at: { initial: [0.5, 0.75], most: justBelowOne },
      factor: { initial: [0.1], most: 1 },
    },
    make: (option) => (share) => option('factor')[0]! ** option('at').filter((at) => share >= at).length,
  },
  /** The same ratio from each step to the next. */
  exponential: {
    options: { warmup, end: { initial: [0.01], most: 1 } },
    make: (option) => (share) => option('end')[0]! ** share,
  },
  /** Up and down again, both by half a cosine (Smith and Topin 2018); momentum stays as it is. */
  'one-cycle': {
    options: {
      rise: { initial: [0.3], most: justBelowOne },
      start: { initial: [0.04], most: 1, zero: true },
      end: { ...end, initial: [4e-6] },
    },
    make: (option) => {
      const [rise, start, last] = [option('rise')[0]!, option('start')[0]!, option('end')[0]!]
      return (share) =>
        share < rise
          ? between(start, 1, halfCosine(share / rise))
          : between(1, last, halfCosine((share - rise) / (1 - rise)))
    },
  },
}

/**
 * A schedule as `--schedule` writes it: a kind and its options, each of them a share of the highest learning rate or of all
 * steps.
 *
 *     constant
 *     linear,end=0              falls to `end`
 *     cosine,end=0              falls to `end`, slowly at first and at last
 *     step,at=0.5,at=0.75,factor=0.1
 *     exponential,end=0.01
 *     one-cycle,rise=0.3,start=0.04,end=4e-6
 *
 * All but one-cycle take `warmup=0.05`: over that share of all steps the rate rises linearly first (Goyal et al. 2017), and
 * the rest is the kind's. Factors are above 0 at every step where `end` is 0: the end is where the next step would be.
 *
 * @throws CONFIG_INVALID
 */
export function parseSchedule(written: string): Schedule {
  const [name = '', ...parts] = written.split(',').map((part) => part.trim())
  if (!Object.hasOwn(kinds, name)) throw invalid(written, `no kind ${JSON.stringify(name)}`)
  const { options, make } = kinds[name]!
  const given = new Map<string, number[]>()
  for (const part of parts) {
    const [, key = '', value = ''] = /^([a-z]+)\s*=\s*(\d*\.?\d+(?:e-?\d+)?)$/i.exec(part) ?? []
    const option = Object.hasOwn(options, key) ? options[key]! : null
    if (!option)
      throw invalid(written, `${JSON.stringify(part)}; ${name} takes ${Object.keys(options).join(', ')}`)
    const number = Number(value)
    const repeated = given.has(key) && option.initial.length === 1
    if (repeated || number > option.most || (number === 0 && !option.zero)) throw invalid(written, part)
    given.set(key, [...(given.get(key) ?? []), number])
  }
  const factor = make((key) => given.get(key) ?? options[key]!.initial)
  const warm = given.get('warmup')?.[0] ?? 0
  return ({ step, totalSteps }) => {
    const rise = Math.round(warm * totalSteps)
    if (step < rise) return (step + 1) / (rise + 1)
    return factor((step - rise) / Math.max(1, totalSteps - rise))
  }
}

function between(from: number, to: number, share: number): number {
  return from + (to - from) * share
}

/** From 0 to 1. */
function halfCosine(share: number): number {
  return (1 - Math.cos(Math.PI * share)) / 2
}

function invalid(written: string, saw: string): EdgewrightError {
  return new EdgewrightError('CONFIG_INVALID', `There is no such schedule: ${JSON.stringify(written)}.`, {
    where: '--schedule',
    saw,
    hint: `Write one of ${Object.keys(kinds).join(', ')}, where wanted with options: cosine,warmup=0.05 or step,at=0.5,at=0.75,factor=0.1.`,
  })
}
