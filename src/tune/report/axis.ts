/** Charts side by side where there is room for two, of one size. */
export const chartColumns =
  'display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:22px 40px;margin-top:16px'

/** Maps values to a stretch of a chart. */
export interface Axis {
  readonly logarithmic: boolean
  readonly ticks: readonly number[]
  /** Rounded to a tenth of the chart's unit. */
  at(value: number): number
}

/** From the first pixel to the last; the first may be the greater one. */
export interface Stretch {
  readonly from: number
  readonly to: number
}

/** Up to so many times the smallest, a linear axis still tells small values apart. */
const linearSpan = 6

/** From zero, or logarithmic where the greatest is over six times the smallest positive one. */
export function amountAxis(values: readonly number[], stretch: Stretch): Axis {
  const [low, high] = rangeOf(values)
  return low > 0 && high / low > linearSpan
    ? logAxis(low, high, stretch)
    : linearAxis(0, high * 1.06, stretch)
}

/** As narrow as the values: for what never comes near zero. */
export function spanAxis(
  values: readonly number[],
  stretch: Stretch,
  limits?: { low: number; high: number },
): Axis {
  const [low, high] = rangeOf(values)
  const margin = Math.max((high - low) * 0.08, Math.abs(high) * 1e-3, 1e-9)
  return linearAxis(
    Math.max(limits?.low ?? Number.NEGATIVE_INFINITY, low - margin),
    Math.min(limits?.high ?? Number.POSITIVE_INFINITY, high + margin),
    stretch,
  )
}

function linearAxis(low: number, high: number, { from, to }: Stretch): Axis {
  const span = high - low || 1
  const step = niceStep(span / 5)
  const first = Math.ceil(low / step - 1e-9)
  const count = Math.max(0, Math.min(12, Math.floor(high / step + 1e-9) - first + 1))
  return {
    logarithmic: false,
    // a product, so that ticks stay round: 0.3 and not 0.30000000000000004
    ticks: Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12))),
    at: (value) => tenth(from + ((value - low) / span) * (to - from)),
  }
}

function logAxis(low: number, high: number, { from, to }: Stretch): Axis {
  const [start, end] = [Math.log10(low * 0.85), Math.log10(high * 1.15)]
  const inside = (value: number) => Math.log10(value) >= start && Math.log10(value) <= end
  const decades = Array.from(
    { length: Math.floor(end) - Math.floor(start) + 1 },
    (_, i) => Math.floor(start) + i,
  )
  const steps = decades.length > 3 ? [1] : [1, 2, 5]
  return {
    logarithmic: true,
    ticks: decades.flatMap((decade) => steps.map((step) => step * 10 ** decade)).filter(inside),
    at: (value) => tenth(from + ((Math.log10(value) - start) / (end - start)) * (to - from)),
  }
}

function rangeOf(values: readonly number[]): [low: number, high: number] {
  const known = values.filter(Number.isFinite)
  if (known.length === 0) return [0, 1]
  return [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))]
}

function niceStep(rough: number): number {
  const decade = 10 ** Math.floor(Math.log10(rough))
  return decade * ([1, 2, 5].find((factor) => factor * decade >= rough * (1 - 1e-9)) ?? 10)
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10
}
