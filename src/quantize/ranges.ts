import type { Histogram } from './histogram.ts'

/** What calibration saw of a tensor. Without a histogram only min-max can be chosen. */
export interface TensorRange {
  readonly min: number
  readonly max: number
  readonly histogram?: Histogram
  /** Mean of each channel, of values that a convolution or matrix product reads or that were asked for by name. */
  readonly channelMeans?: ArrayLike<number>
  /** Mean of the squares of each channel; there with `channelMeans`, like the two below. */
  readonly channelMeanSquares?: ArrayLike<number>
  readonly channelMin?: ArrayLike<number>
  readonly channelMax?: ArrayLike<number>
}

/** Observations by value name, kept apart from types. */
export type Ranges = ReadonlyMap<string, TensorRange>

export type ActivationRangeMethod =
  | { readonly kind: 'min-max' }
  /** The central `percentile` per cent of all elements, half of the rest on each side. */
  | { readonly kind: 'percentile'; readonly percentile: number }
  | { readonly kind: 'mse' }
  /** The least Kullback-Leibler divergence of the quantized distribution from the real one. */
  | { readonly kind: 'kl' }

export type WeightRangeMethod = 'min-max' | 'mse'

/** Short name for reports: `percentile 99.99`. */
export function describeRangeMethod(method: ActivationRangeMethod): string {
  return method.kind === 'percentile' ? `percentile ${method.percentile}` : method.kind
}
