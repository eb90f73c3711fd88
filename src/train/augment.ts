import { seededGenerator } from '../data/generator.ts'
import { EdgewrightError } from '../error.ts'
import type { Tensor } from '../tensor.ts'
import type { Augment } from './dataset-batches.ts'

/** A sample as height × width × channels, whatever the order of its axes. */
interface Plane {
  readonly data: Float32Array
  readonly height: number
  readonly width: number
  readonly channels: number
  at(channel: number, y: number, x: number): number
}

type Change = (plane: Plane, random: () => number) => Float32Array

/** What can be done to a sample, by the name that `--augment` uses. */
const changes: Readonly<Record<string, { readonly most: number; make(amount: number): Change }>> = {
  /** Moved by up to so many pixels either way; what comes in is 0. */
  shift: { most: 1000, make: (pixels) => (plane, random) => shifted(plane, pixels, random) },
  /** Mirrored left to right, half of the samples. */
  flip: { most: 1, make: () => (plane, random) => (random() < 0.5 ? mirrored(plane) : plane.data) },
  /** Normal noise of so much standard deviation. */
  noise: { most: 1000, make: (deviation) => (plane, random) => noisy(plane, deviation, random) },
  /** All values times 1 ± so much. */
  scale: { most: 1, make: (amount) => (plane, random) => scaled(plane, amount, random) },
  /** A square of so many pixels becomes 0 (DeVries and Taylor 2017). */
  cutout: { most: 1000, make: (pixels) => (plane, random) => cut(plane, pixels, random) },
}

/**
 * Changes of samples as `--augment` writes them: `shift:2,flip,noise:0.01`. They work on samples of 2 or 3 axes besides the
 * batch; others pass unchanged, as do integers.
 *
 * @param layout of samples with 3 axes
 * @throws CONFIG_INVALID
 */
export function parseAugment(written: string, layout: 'NCHW' | 'NHWC' | null): Augment {
  const steps = written.split(',').map((part) => {
    const [name = '', amount = '1', ...rest] = part.trim().split(':')
    const known = Object.hasOwn(changes, name) ? changes[name] : undefined
    const number = Number(amount)
    if (!known || rest.length > 0 || !(number > 0 && number <= known.most)) throw invalid(part.trim())
    return known.make(number)
  })
  return (inputs, seed) =>
    new Map(
      [...inputs].map(([name, tensor]) => {
        const random = seededGenerator(seed).next
        return [name, steps.reduce((changed, step) => applied(step, changed, layout, random), tensor)]
      }),
    )
}

function applied(
  change: Change,
  tensor: Tensor,
  layout: 'NCHW' | 'NHWC' | null,
  random: () => number,
): Tensor {
  const plane = planeOf(tensor, layout)
  return plane ? { ...tensor, data: change(plane, random) } : tensor
}

function planeOf({ data, shape }: Tensor, layout: 'NCHW' | 'NHWC' | null): Plane | null {
  if (!(data instanceof Float32Array)) return null
  const sizes = shape.slice(1)
  if (sizes.length === 2) sizes.push(1)
  else if (sizes.length !== 3) return null
  const first = layout === 'NCHW' && shape.length === 4
  const [channels, height, width] = (first ? sizes : [sizes[2], sizes[0], sizes[1]]) as [
    number,
    number,
    number,
  ]
  const at = first
    ? (channel: number, y: number, x: number) => (channel * height + y) * width + x
    : (channel: number, y: number, x: number) => (y * width + x) * channels + channel
  return { data, height, width, channels, at }
}

function moved(plane: Plane, from: (y: number, x: number) => readonly [number, number]): Float32Array {
  const { data, height, width, channels, at } = plane
  const made = new Float32Array(data.length)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [fromY, fromX] = from(y, x)
      if (fromY < 0 || fromY >= height || fromX < 0 || fromX >= width) continue
      for (let channel = 0; channel < channels; channel++)
        made[at(channel, y, x)] = data[at(channel, fromY, fromX)]!
    }
  return made
}

function shifted(plane: Plane, most: number, random: () => number): Float32Array {
  const by = () => Math.floor(random() * (2 * most + 1)) - most
  const [down, right] = [by(), by()]
  return moved(plane, (y, x) => [y - down, x - right])
}

function mirrored(plane: Plane): Float32Array {
  return moved(plane, (y, x) => [y, plane.width - 1 - x])
}

function noisy({ data }: Plane, deviation: number, random: () => number): Float32Array {
  // Box and Muller
  return data.map(
    (value) => value + deviation * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  )
}

function scaled({ data }: Plane, amount: number, random: () => number): Float32Array {
  const factor = 1 + amount * (2 * random() - 1)
  return data.map((value) => value * factor)
}

function cut({ data, height, width, channels, at }: Plane, size: number, random: () => number): Float32Array {
  const made = data.slice()
  const top = Math.floor(random() * height - size / 2)
  const left = Math.floor(random() * width - size / 2)
  for (let y = Math.max(0, top); y < Math.min(height, top + size); y++)
    for (let x = Math.max(0, left); x < Math.min(width, left + size); x++)
      for (let channel = 0; channel < channels; channel++) made[at(channel, y, x)] = 0
  return made
}

function invalid(written: string): EdgewrightError {
  return new EdgewrightError(
    'CONFIG_INVALID',
    `There is no such change of samples: ${JSON.stringify(written)}.`,
    {
      where: '--augment',
      hint: `Write some of ${Object.keys(changes).join(', ')}, with an amount behind a colon: shift:2,flip,noise:0.01.`,
    },
  )
}
