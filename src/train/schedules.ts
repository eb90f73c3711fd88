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

const kinds = {
  constant: () => 1,
  /** Half a cosine down to 0 (Loshchilov and Hutter 2017). */
  cosine: (share: number) => (1 + Math.cos(Math.PI * share)) / 2,
  linear: (share: number) => 1 - share,
  /** A tenth after half of the way, a hundredth after three quarters. */
  step: (share: number) => (share < 0.5 ? 1 : share < 0.75 ? 0.1 : 0.01),
} as const

/**
 * A schedule as `--schedule` writes it: `constant`, `cosine`, `linear` or `step`, with `warmup=0.05` for a linear rise over
 * that share of all steps first (Goyal et al. 2017).
 *
 * @throws CONFIG_INVALID
 */
export function parseSchedule(written: string): Schedule {
  const [kind = '', ...options] = written.split(',').map((part) => part.trim())
  if (!Object.hasOwn(kinds, kind)) throw invalid(written)
  let warmup = 0
  for (const option of options) {
    const match = /^warmup=(\d*\.?\d+)$/.exec(option)
    if (!match || Number(match[1]) >= 1) throw invalid(written)
    warmup = Number(match[1])
  }
  const factor = kinds[kind as keyof typeof kinds]
  return ({ step, totalSteps }) => {
    const rise = Math.round(warmup * totalSteps)
    if (step < rise) return (step + 1) / (rise + 1)
    return factor((step - rise) / Math.max(1, totalSteps - rise))
  }
}

function invalid(written: string): EdgewrightError {
  return new EdgewrightError('CONFIG_INVALID', `There is no such schedule: ${JSON.stringify(written)}.`, {
    where: '--schedule',
    hint: `Write one of ${Object.keys(kinds).join(', ')}, where wanted with a warm-up: cosine,warmup=0.05.`,
  })
}
