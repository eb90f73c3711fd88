import {
  type ActivationRangeMethod,
  describeRangeMethod,
  type WeightRangeMethod,
} from '../quantize/ranges.ts'
import { isStoredScheme } from '../quantize/stored-weights.ts'
import type { Recipe } from './recipe.ts'

/** A way to choose ranges from one calibration. */
export interface RangeChoice {
  readonly name: string
  readonly activation: ActivationRangeMethod
  readonly weight: WeightRangeMethod
}

/** What a recipe lets be tried; the first is taken where nothing can be tried. */
export function rangeChoices({ calibration, scheme, preset }: Recipe): RangeChoice[] {
  const minMax: ActivationRangeMethod = { kind: 'min-max' }
  const percentile: ActivationRangeMethod = { kind: 'percentile', percentile: calibration.percentile }
  const automatic = calibration.method === 'auto' && preset !== 'fast'
  if (scheme === 'float' || scheme === 'float16')
    return [{ name: scheme, activation: minMax, weight: 'min-max' }]
  if (isStoredScheme(scheme))
    return (automatic ? (['min-max', 'mse'] as const) : (['min-max'] as const)).map((weight) => ({
      name: `${weight} weights`,
      activation: minMax,
      weight,
    }))
  const asked: ActivationRangeMethod =
    calibration.method === 'percentile'
      ? percentile
      : { kind: calibration.method === 'auto' ? 'min-max' : calibration.method }
  if (!automatic) return [choice(asked, 'min-max')]
  // weights clipped by least squares are nearly always the better ones: KL is worth one try, not two
  return [
    ...[minMax, percentile, { kind: 'mse' } as const].flatMap((activation) => [
      choice(activation, 'min-max'),
      choice(activation, 'mse'),
    ]),
    choice({ kind: 'kl' }, 'mse'),
  ]
}

/** False where min and max are all that is looked at, which takes less time. */
export function needsHistograms({ calibration, preset, scheme }: Recipe): boolean {
  if (scheme === 'float16') return false
  return preset !== 'fast' || (calibration.method !== 'auto' && calibration.method !== 'min-max')
}

/** False where nothing moves ranges between channels and biases stay as they are. */
export function needsChannelStatistics({ preset, scheme }: Recipe): boolean {
  return scheme !== 'float16' && preset !== 'fast'
}

function choice(activation: ActivationRangeMethod, weight: WeightRangeMethod): RangeChoice {
  return {
    name: `${describeRangeMethod(activation)} activations, ${weight} weights`,
    activation,
    weight,
  }
}
