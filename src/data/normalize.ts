import type { Layout } from './layout.ts'
import type { Preprocessing } from './types.ts'

/** (raw · scale − mean) / std by channel, on height × width × channels, written in the layout that the input takes. */
export function normalizePicture(
  raw: ArrayLike<number>,
  pixels: number,
  channels: number,
  p: Preprocessing,
): Float32Array {
  const out = new Float32Array(pixels * channels)
  const planar = p.layout === 'NCHW'
  for (let channel = 0; channel < channels; channel++) {
    const source = p.channelOrder === 'BGR' ? channels - 1 - channel : channel
    const mean = p.mean[p.mean.length === 1 ? 0 : channel]!
    const std = p.std[p.std.length === 1 ? 0 : channel]!
    for (let pixel = 0; pixel < pixels; pixel++)
      out[planar ? channel * pixels + pixel : pixel * channels + channel] =
        (raw[pixel * channels + source]! * p.scale - mean) / std
  }
  return out
}

/** Stored numbers to reals, then (raw · scale − mean) / std; by channel where the layout is known. In place. */
export function normalizeTensor(
  values: Float32Array,
  shape: readonly number[],
  p: Preprocessing,
): Float32Array {
  const { dequantize, scale, mean, std } = p
  if (!dequantize && scale === 1 && mean.length === 1 && mean[0] === 0 && std.length === 1 && std[0] === 1)
    return values
  const channels = p.layout === 'NCHW' ? shape[1]! : shape[shape.length - 1]!
  const inner = p.layout === 'NCHW' ? values.length / channels : 1
  for (let i = 0; i < values.length; i++) {
    const channel = Math.floor(i / inner) % channels
    const stored = values[i]!
    const real = dequantize ? (stored - dequantize.zeroPoint) * dequantize.scale : stored
    values[i] = (real * scale - mean[mean.length === 1 ? 0 : channel]!) / std[std.length === 1 ? 0 : channel]!
  }
  return values
}

/** True where stored numbers go to the network untouched. */
export function isIdentity(p: Preprocessing): boolean {
  return (
    !p.dequantize &&
    p.scale === 1 &&
    p.mean.every((value) => value === 0) &&
    p.std.every((value) => value === 1)
  )
}

/** Moves a stored sample between channels first and channels last. Shape with batch 1: [1, …]. */
export function transposeLayout<T extends Float32Array>(
  values: T,
  shape: readonly number[],
  from: Layout,
): Float32Array {
  const channels = from === 'NCHW' ? shape[1]! : shape[shape.length - 1]!
  const pixels = values.length / channels
  const out = new Float32Array(values.length)
  for (let pixel = 0; pixel < pixels; pixel++)
    for (let channel = 0; channel < channels; channel++) {
      const planar = channel * pixels + pixel
      const packed = pixel * channels + channel
      if (from === 'NCHW') out[packed] = values[planar]!
      else out[planar] = values[packed]!
    }
  return out
}
