import type { Generator } from '../data/generator.ts'
import { blackOf, boundsOf, mapPlane, ofChannel, type PixelUnits, type Plane } from './augment-plane.ts'

/** What is seen where a picture was moved away: black, or the picture itself mirrored at its edge or its edge repeated. */
export type Fill = 'black' | 'reflect' | 'edge'

/** Output pixel (y, x), from the centre of the picture, comes from [a, b; c, d] · (y, x) from its centre. */
type Matrix = readonly [a: number, b: number, c: number, d: number]

export function flipped(plane: Plane, probability: number, random: Generator): Float32Array {
  if (random.next() >= probability) return plane.data
  const { data, width, strides } = plane
  return mapPlane(plane, (_y, x, _channel, at) => data[at + (width - 1 - 2 * x) * strides.x]!)
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
  const pixel = pixelsOf(plane, beyondOf(fill, units))
  return mapPlane(plane, (y, x, channel) => pixel(y - down, x - right, channel))
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
  const [top, left] = [(height - rows) * random.next(), (width - columns) * random.next()]
  const sample = bilinear(pixelsOf(plane, 'edge'))
  return mapPlane(plane, (y, x, channel) =>
    sample(top + ((y + 0.5) * rows) / height - 0.5, left + ((x + 0.5) * columns) / width - 0.5, channel),
  )
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
export function mapped(plane: Plane, [a, b, c, d]: Matrix, fill: Fill, units: PixelUnits): Float32Array {
  const sample = bilinear(pixelsOf(plane, beyondOf(fill, units)))
  const [middleY, middleX] = [(plane.height - 1) / 2, (plane.width - 1) / 2]
  return mapPlane(plane, (y, x, channel) => {
    const [fromY, fromX] = [y - middleY, x - middleX]
    return sample(middleY + a * fromY + b * fromX, middleX + c * fromY + d * fromX, channel)
  })
}

/** A square of so many pixels, its centre anywhere, becomes 0, which is the mean of normalized data (DeVries and Taylor 2017). */
export function cutOut(plane: Plane, size: number, random: Generator): Float32Array {
  const top = random.integer(plane.height) - (size >> 1)
  const left = random.integer(plane.width) - (size >> 1)
  const inside = (y: number, x: number) => y >= top && y < top + size && x >= left && x < left + size
  return mapPlane(plane, (y, x, _channel, at) => (inside(y, x) ? 0 : plane.data[at]!))
}

/** Real values times 1 ± so much. */
export function brightened(plane: Plane, amount: number, units: PixelUnits, random: Generator): Float32Array {
  return blended(plane, 1 + amount * symmetric(random), units, () => 0)
}

/** Real values away from or towards the mean gray of the picture by a factor of 1 ± so much. */
export function contrasted(plane: Plane, amount: number, units: PixelUnits, random: Generator): Float32Array {
  const gray = grayOf(plane, units)
  let sum = 0
  for (let y = 0; y < plane.height; y++) for (let x = 0; x < plane.width; x++) sum += gray(y, x)
  const mean = sum / (plane.height * plane.width)
  return blended(plane, 1 + amount * symmetric(random), units, () => mean)
}

/** Real values away from or towards the gray of their pixel by a factor of 1 ± so much. */
export function saturated(plane: Plane, amount: number, units: PixelUnits, random: Generator): Float32Array {
  return blended(plane, 1 + amount * symmetric(random), units, grayOf(plane, units))
}

/** factor · value + (1 − factor) · other, in the units from before normalization and within what a picture can hold. */
function blended(
  plane: Plane,
  factor: number,
  units: PixelUnits,
  other: (y: number, x: number) => number,
): Float32Array {
  const bounds = Array.from({ length: plane.channels }, (_, channel) => boundsOf(units, channel))
  return mapPlane(plane, (y, x, channel, at) => {
    const normalized = (other(y, x) - ofChannel(units.mean, channel)) / ofChannel(units.std, channel)
    const [low, high] = bounds[channel]!
    return Math.min(high, Math.max(low, factor * plane.data[at]! + (1 - factor) * normalized))
  })
}

/** Luma of a pixel (ITU-R BT.601) in the units from before normalization; the mean where there are not three channels. */
function grayOf({ data, channels, strides }: Plane, units: PixelUnits): (y: number, x: number) => number {
  const luma = units.channelOrder === 'BGR' ? [0.114, 0.587, 0.299] : [0.299, 0.587, 0.114]
  const weights = channels === 3 ? luma : new Array<number>(channels).fill(1 / channels)
  return (y, x) => {
    let gray = 0
    for (let channel = 0; channel < channels; channel++) {
      const value = data[y * strides.y + x * strides.x + channel * strides.channel]!
      gray += weights[channel]! * (value * ofChannel(units.std, channel) + ofChannel(units.mean, channel))
    }
    return gray
  }
}

type Pixels = (y: number, x: number, channel: number) => number
type Beyond = 'reflect' | 'edge' | ((channel: number) => number)

/** The pixels of a picture that goes on beyond its edges. */
function pixelsOf({ data, height, width, strides }: Plane, beyond: Beyond): Pixels {
  const value = (y: number, x: number, channel: number) =>
    data[y * strides.y + x * strides.x + channel * strides.channel]!
  if (beyond === 'edge') return (y, x, channel) => value(clamped(y, height), clamped(x, width), channel)
  if (beyond === 'reflect')
    return (y, x, channel) => value(reflected(y, height), reflected(x, width), channel)
  return (y, x, channel) =>
    y < 0 || y >= height || x < 0 || x >= width ? beyond(channel) : value(y, x, channel)
}

function beyondOf(fill: Fill, units: PixelUnits): Beyond {
  return fill === 'black' ? (channel) => blackOf(units, channel) : fill
}

function clamped(index: number, size: number): number {
  return Math.min(size - 1, Math.max(0, index))
}

/** Mirrored at the outermost pixels, which are not repeated. */
function reflected(index: number, size: number): number {
  const period = Math.max(1, 2 * (size - 1))
  const place = ((index % period) + period) % period
  return Math.min(place, period - place)
}

function bilinear(pixel: Pixels): Pixels {
  return (y, x, channel) => {
    const [top, left] = [Math.floor(y), Math.floor(x)]
    const [down, right] = [y - top, x - left]
    const upper = pixel(top, left, channel) * (1 - right) + pixel(top, left + 1, channel) * right
    // next to it may be what is far outside: not looked at where it does not count
    if (down === 0) return upper
    const lower = pixel(top + 1, left, channel) * (1 - right) + pixel(top + 1, left + 1, channel) * right
    return upper * (1 - down) + lower * down
  }
}

/** Uniform in [−1, 1). */
function symmetric(random: Generator): number {
  return 2 * random.next() - 1
}
