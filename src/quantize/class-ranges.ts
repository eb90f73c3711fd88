import { activationRange, CumulativeHistogram, quantizationError } from './activation-range.ts'
import { type ActivationRangeMethod, describeRangeMethod, type Ranges, type TensorRange } from './ranges.ts'
import type { StoredClass } from './stored-classes.ts'

/** Ends that differ by less than this share of the span round alike. */
const sameEnds = 0.01

/**
 * Those of the methods that would give a class another range than `current`, one for each range that is different
 * enough to matter. Members without a histogram know min-max only.
 */
export function otherMethods(
  { names, dtype }: Pick<StoredClass, 'names' | 'dtype'>,
  ranges: Ranges,
  current: ActivationRangeMethod,
  methods: readonly ActivationRangeMethod[],
): ActivationRangeMethod[] {
  const seen = histogramsOf(names, ranges)
  if (seen.length === 0) return []
  const endsOf = (method: ActivationRangeMethod) => {
    const all = seen.map((range) =>
      activationRange(range, method, { dtype, symmetric: dtype.endsWith('16') }),
    )
    return {
      min: Math.min(...all.map(({ min }) => min)),
      max: Math.max(...all.map(({ max }) => max)),
    }
  }
  const known = [endsOf(current)]
  return methods.filter((method) => {
    if (describeRangeMethod(method) === describeRangeMethod(current)) return false
    const ends = endsOf(method)
    const different = known.every(({ min, max }) => {
      const least = sameEnds * (max - min)
      return Math.abs(ends.min - min) > least || Math.abs(ends.max - max) > least
    })
    if (different) known.push(ends)
    return different
  })
}

/** Rounding and clipping error of a class's members over their power, by their histograms; 0 where there is none. */
export function classNoise({ names, dtype, scale, zeroPoint }: StoredClass, ranges: Ranges): number {
  let noise = 0
  let signal = 0
  for (const { histogram } of histogramsOf(names, ranges)) {
    noise += quantizationError(new CumulativeHistogram(histogram!), scale, zeroPoint, dtype)
    signal += histogram!.sumOfSquares
  }
  return signal > 0 ? noise / signal : 0
}

function histogramsOf(names: readonly string[], ranges: Ranges): TensorRange[] {
  return names.flatMap((name) => {
    const range = ranges.get(name)
    return range?.histogram && range.histogram.count > 0 ? [range] : []
  })
}
