import type { Generator } from '../data/generator.ts'
import { boundsOf, ofChannel, type PixelUnits, type Plane } from './augment-plane.ts'

/** Real values times 1 ± so much. */
export function brightened(plane: Plane, amount: number, units: PixelUnits, random: Generator): Float32Array {
  return drawnTo(plane, factorOf(amount, random), units, () => 0)
}

/** Real values away from or towards the mean gray of the picture by a factor of 1 ± so much. */
export function contrasted(plane: Plane, amount: number, units: PixelUnits, random: Generator): Float32Array {
  const gray = grayOf(plane, units)
  let sum = 0
  for (const value of gray) sum += value
  const mean = sum / gray.length
  return drawnTo(plane, factorOf(amount, random), units, () => mean)
}

/** Real values away from or towards the gray of their pixel by a factor of 1 ± so much. */
export function saturated(plane: Plane, amount: number, units: PixelUnits, random: Generator): Float32Array {
  const gray = grayOf(plane, units)
  return drawnTo(plane, factorOf(amount, random), units, (pixel) => gray[pixel]!)
}

function factorOf(amount: number, random: Generator): number {
  return 1 + amount * (2 * random.next() - 1)
}

/** factor · value + (1 − factor) · other, in the units from before normalization and within what a picture can hold. */
function drawnTo(
  { data, height, width, channels, strides }: Plane,
  factor: number,
  units: PixelUnits,
  other: (pixel: number) => number,
): Float32Array {
  const made = new Float32Array(data.length)
  for (let channel = 0; channel < channels; channel++) {
    const [mean, std] = [ofChannel(units.mean, channel), ofChannel(units.std, channel)]
    const [low, high] = boundsOf(units, channel)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const at = y * strides.y + x * strides.x + channel * strides.channel
        const value = factor * data[at]! + ((1 - factor) * (other(y * width + x) - mean)) / std
        made[at] = value < low ? low : value > high ? high : value
      }
  }
  return made
}

/** Luma of each pixel (ITU-R BT.601) in the units from before normalization; the mean where there are not three channels. */
function grayOf({ data, height, width, channels, strides }: Plane, units: PixelUnits): Float64Array {
  const luma = units.channelOrder === 'BGR' ? [0.114, 0.587, 0.299] : [0.299, 0.587, 0.114]
  const gray = new Float64Array(height * width)
  for (let channel = 0; channel < channels; channel++) {
    const weight = channels === 3 ? luma[channel]! : 1 / channels
    const [mean, std] = [ofChannel(units.mean, channel), ofChannel(units.std, channel)]
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const value = data[y * strides.y + x * strides.x + channel * strides.channel]!
        gray[y * width + x] = gray[y * width + x]! + weight * (value * std + mean)
      }
  }
  return gray
}
