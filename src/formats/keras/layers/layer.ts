import type { Layout } from '../../../graph/ops.ts'
import type { LayerGraph } from '../builder.ts'
import type { LayerConfig } from '../config.ts'
import type { LayerWeights } from '../weights.ts'
import type { LayerRanges } from './quantized.ts'

/** A layer to be spelled in operators. */
export interface LayerCall {
  readonly graph: LayerGraph
  readonly name: string
  readonly className: string
  readonly config: LayerConfig
  /** Values that the layer is called on. */
  readonly inputs: readonly string[]
  readonly weights: LayerWeights
  /** Major version of the Keras that wrote the file: 2 for tfjs too. Some defaults depend on it. */
  readonly kerasMajor: number
  /** A layer that this one wraps, with the name of the setting that holds it in Keras 3's folders. */
  inner(layer: unknown, folder: string, ranges?: LayerRanges): InnerLayer
  /** Where the layer was trained to be quantized. */
  readonly ranges: LayerRanges | null
}

/** A wrapped layer, ready to be called. */
export interface InnerLayer {
  readonly className: string
  readonly config: LayerConfig
  spell(inputs: readonly string[]): string[]
}

/** Spells a layer; gives its outputs. */
export type LayerReader = (call: LayerCall) => string[]
export type LayerTable = Readonly<Record<string, LayerReader>>

export function layoutOf({ config }: LayerCall): Layout {
  const format = config.text('data_format', 'channels_last')
  return format === 'channels_first' ? 'channels-first' : 'channels-last'
}

/** The shape of x taken apart by layout. */
export function spatialSizes(shape: readonly number[], layout: Layout): { channels: number; size: number[] } {
  return layout === 'channels-last'
    ? { channels: shape.at(-1)!, size: shape.slice(1, -1) }
    : { channels: shape[1]!, size: shape.slice(2) }
}

/** For each axis of x, the entry of its spatial axis, or `fallback` for batch and channels. */
export function overAxes<T>(perSpatial: readonly T[], fallback: T, layout: Layout): T[] {
  return layout === 'channels-last'
    ? [fallback, ...perSpatial, fallback]
    : [fallback, fallback, ...perSpatial]
}

/** What a file says of how an axis is counted: never negative afterwards. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}
