import type { Layout } from '../data/layout.ts'
import type { Preprocessing } from '../data/types.ts'
import { EdgewrightError } from '../error.ts'
import type { Tensor } from '../tensor.ts'

/** A sample as rows × columns × channels, whatever the order of its axes: element (y, x, c) is at their strides' sum. */
export interface Plane {
  readonly data: Float32Array
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly strides: { readonly y: number; readonly x: number; readonly channel: number }
}

/** How real numbers became what the network takes: what black, white and gray are there. */
export type PixelUnits = Pick<Preprocessing, 'kind' | 'scale' | 'mean' | 'std' | 'channelOrder'>

/**
 * A float32 sample [1, rows, columns], [1, channels, rows, columns] or [1, rows, columns, channels]; a signal [1, samples]
 * has one column. Null for other ranks.
 *
 * @param layout of samples with three axes; where it is null, the axis with 1 or 3 elements holds the channels
 * @throws CONFIG_INVALID where neither axis or both could
 */
export function planeOf({ data, shape }: Tensor, layout: Layout | null): Plane | null {
  if (!(data instanceof Float32Array) || shape.length < 2 || shape.length > 4 || shape[0] !== 1) return null
  if (shape.length < 4) {
    const [, height, width = 1] = shape as [number, number, number?]
    return { data, height, width, channels: 1, strides: { y: width, x: 1, channel: 1 } }
  }
  const [, a, b, c] = shape as [number, number, number, number]
  return (layout ?? guessedLayout(shape)) === 'NCHW'
    ? { data, height: b, width: c, channels: a, strides: { y: c, x: 1, channel: b * c } }
    : { data, height: a, width: b, channels: c, strides: { y: b * c, x: c, channel: 1 } }
}

function guessedLayout(shape: readonly number[]): Layout {
  const [first, last] = [shape[1], shape[3]].map((size) => size === 1 || size === 3)
  if (first !== last) return first ? 'NCHW' : 'NHWC'
  throw new EdgewrightError('CONFIG_INVALID', 'Which axis of the samples holds the channels is not known.', {
    where: '--augment',
    saw: `shape [${shape.join(', ')}]`,
    hint: 'Say `layout: NCHW` or `layout: NHWC` under `preprocess` in the data.yaml.',
  })
}

/** What 0 became in a channel. */
export function blackOf({ mean, std }: PixelUnits, channel: number): number {
  return (0 - ofChannel(mean, channel)) / ofChannel(std, channel)
}

/** Lowest and highest value of a channel; without bounds where samples are no pictures of 8 bits. */
export function boundsOf(units: PixelUnits, channel: number): readonly [number, number] {
  if (units.kind !== 'image') return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  const white = (255 * units.scale - ofChannel(units.mean, channel)) / ofChannel(units.std, channel)
  return [blackOf(units, channel), white]
}

export function ofChannel(numbers: readonly number[], channel: number): number {
  return numbers[numbers.length === 1 ? 0 : channel]!
}

/** The plane's elements anew, each by its place. */
export function mapPlane(
  plane: Plane,
  value: (y: number, x: number, channel: number, at: number) => number,
): Float32Array {
  const { data, height, width, channels, strides } = plane
  const made = new Float32Array(data.length)
  for (let channel = 0; channel < channels; channel++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const at = y * strides.y + x * strides.x + channel * strides.channel
        made[at] = value(y, x, channel, at)
      }
  return made
}
