import type { Generator } from '../data/generator.ts'
import { blackOf, type PixelUnits, type Plane } from './augment-plane.ts'

/** What is seen where a picture was moved away: black, or the picture itself mirrored at its edge or its edge repeated. */
export type Fill = 'black' | 'reflect' | 'edge'

/** Output pixel (y, x) comes from (top + a · y + b · x, left + c · y + d · x). */
interface Affine {
  readonly top: number
  readonly left: number
  readonly matrix: Matrix
}

type Matrix = readonly [a: number, b: number, c: number, d: number]

/** Left to right, with this probability. */
export function flipped(plane: Plane, probability: number, random: Generator): Float32Array {
  if (random.next() >= probability) return plane.data
  return picked(
    plane,
    placesOf(plane.height, (y) => y),
    placesOf(plane.width, (x) => plane.width - 1 - x),
    () => 0,
  )
}

/** Moved by up to so many whole pixels down or up and right or left: a padded picture, cropped at random. */
export function shifted(
  plane: Plane,
  most: number,
  fill: Fill,
  units: PixelUnits,
  random: Generator,
): Float32Array {
  const down = random.integer(2 * most + 1) - most
  const right = random.integer(2 * most + 1) - most
  return picked(
    plane,
    placesOf(plane.height, (y) => within(y - down, plane.height, fill)),
    placesOf(plane.width, (x) => within(x - right, plane.width, fill)),
    (channel) => blackOf(units, channel),
  )
}

/**
 * A part of the picture, bilinearly enlarged to all of it: its area uniform from `least` of the whole, the logarithm of
 * its aspect ratio, against the picture's own, uniform from 3/4 to 4/3 (Szegedy et al. 2015).
 */
export function croppedAndResized(plane: Plane, least: number, random: Generator): Float32Array {
  const { height, width } = plane
  let [rows, columns] = [height, width]
  // a part as large as the picture seldom fits with another aspect ratio
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = least + (1 - least) * random.next()
    const aspect = (4 / 3) ** (2 * random.next() - 1)
    const [high, wide] = [Math.sqrt(area / aspect) * height, Math.sqrt(area * aspect) * width]
    if (high > height || wide > width) continue
    ;[rows, columns] = [Math.max(1, high), Math.max(1, wide)]
    break
  }
  const [a, d] = [rows / height, columns / width]
  // pixels lie at the centres of their squares
  const top = (height - rows) * random.next() + 0.5 * a - 0.5
  const left = (width - columns) * random.next() + 0.5 * d - 0.5
  return resampled(plane, { top, left, matrix: [a, 0, 0, d] }, 'edge', () => 0)
}

/** Turned by up to so many degrees either way. */
export function rotation(degrees: number, random: Generator): Matrix {
  const angle = (degrees * symmetric(random) * Math.PI) / 180
  return [Math.cos(angle), -Math.sin(angle), Math.sin(angle), Math.cos(angle)]
}

/** Larger or smaller by up to this share. */
export function zoom(share: number, random: Generator): Matrix {
  const factor = 1 / (1 + share * symmetric(random))
  return [factor, 0, 0, factor]
}

/** Slanted sideways by up to so many degrees. */
export function shear(degrees: number, random: Generator): Matrix {
  return [1, 0, Math.tan((degrees * symmetric(random) * Math.PI) / 180), 1]
}

/** The picture through a linear map about its centre, bilinear between pixels. */
export function mapped(plane: Plane, matrix: Matrix, fill: Fill, units: PixelUnits): Float32Array {
  const [a, b, c, d] = matrix
  const [middleY, middleX] = [(plane.height - 1) / 2, (plane.width - 1) / 2]
  const top = middleY - a * middleY - b * middleX
  const left = middleX - c * middleY - d * middleX
  return resampled(plane, { top, left, matrix }, fill, (channel) => blackOf(units, channel))
}

/** A square of so many pixels, its centre anywhere, becomes 0, which is the mean of normalized data (DeVries and Taylor 2017). */
export function cutOut(plane: Plane, size: number, random: Generator): Float32Array {
  const { data, height, width, channels, strides } = plane
  const top = random.integer(height) - (size >> 1)
  const left = random.integer(width) - (size >> 1)
  const made = data.slice()
  for (let y = Math.max(0, top); y < Math.min(height, top + size); y++)
    for (let x = Math.max(0, left); x < Math.min(width, left + size); x++)
      for (let channel = 0; channel < channels; channel++)
        made[y * strides.y + x * strides.x + channel * strides.channel] = 0
  return made
}

function placesOf(size: number, place: (index: number) => number): Int32Array {
  const places = new Int32Array(size)
  for (let index = 0; index < size; index++) places[index] = place(index)
  return places
}

/** The pixel that is seen at a place that may lie beyond an edge; −1: none. */
function within(index: number, size: number, fill: Fill): number {
  if (index >= 0 && index < size) return index
  if (fill === 'black') return -1
  if (fill === 'edge') return index < 0 ? 0 : size - 1
  // mirrored at the outermost pixels, which are not repeated
  const period = Math.max(1, 2 * (size - 1))
  const place = ((index % period) + period) % period
  return Math.min(place, period - place)
}

/** Pixels of these rows and columns; −1 is black. */
function picked(
  { data, height, width, channels, strides }: Plane,
  rows: Int32Array,
  columns: Int32Array,
  black: (channel: number) => number,
): Float32Array {
  const made = new Float32Array(data.length)
  for (let channel = 0; channel < channels; channel++) {
    const [first, dark] = [channel * strides.channel, black(channel)]
    for (let y = 0; y < height; y++) {
      const row = first + y * strides.y
      const from = first + rows[y]! * strides.y
      const none = rows[y]! < 0
      for (let x = 0; x < width; x++) {
        const column = columns[x]!
        made[row + x * strides.x] = none || column < 0 ? dark : data[from + column * strides.x]!
      }
    }
  }
  return made
}

/** Bilinear between the four pixels around the place that each pixel comes from. */
function resampled(
  { data, height, width, channels, strides }: Plane,
  { top, left, matrix: [a, b, c, d] }: Affine,
  fill: Fill,
  black: (channel: number) => number,
): Float32Array {
  const made = new Float32Array(data.length)
  const dark = Float32Array.from({ length: channels }, (_, channel) => black(channel))
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [fromY, fromX] = [top + a * y + b * x, left + c * y + d * x]
      const [upperY, leftX] = [Math.floor(fromY), Math.floor(fromX)]
      const [down, right] = [fromY - upperY, fromX - leftX]
      const upper = within(upperY, height, fill)
      const lower = within(upperY + 1, height, fill)
      const near = within(leftX, width, fill)
      const far = within(leftX + 1, width, fill)
      for (let channel = 0; channel < channels; channel++) {
        const first = channel * strides.channel
        const above = first + upper * strides.y
        const below = first + lower * strides.y
        const [here, there] = [near * strides.x, far * strides.x]
        const none = dark[channel]!
        const upperLeft = upper < 0 || near < 0 ? none : data[above + here]!
        const upperRight = upper < 0 || far < 0 ? none : data[above + there]!
        const lowerLeft = lower < 0 || near < 0 ? none : data[below + here]!
        const lowerRight = lower < 0 || far < 0 ? none : data[below + there]!
        const high = upperLeft + (upperRight - upperLeft) * right
        const low = lowerLeft + (lowerRight - lowerLeft) * right
        made[first + y * strides.y + x * strides.x] = high + (low - high) * down
      }
    }
  return made
}

/** Uniform in [−1, 1). */
function symmetric(random: Generator): number {
  return 2 * random.next() - 1
}
