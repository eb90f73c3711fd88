export type ResizeKernel = 'nearest' | 'bilinear' | 'bicubic' | 'lanczos3'

const kernels: Record<Exclude<ResizeKernel, 'nearest'>, { support: number; weight(x: number): number }> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: keysCubic },
  lanczos3: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

/** Which source elements make one output element, and how much of each. */
interface Taps {
  readonly first: Int32Array
  readonly count: Int32Array
  readonly weights: Float64Array
  readonly most: number
}

/**
 * Resizes 8-bit interleaved pictures, pixel centres at half integers, edges clamped by renormalizing.
 *
 * With `antialias` the kernel widens by the shrink factor and each pass (rows first) rounds to 8 bits, bit for bit what
 * Pillow up to version 12, and so torchvision on pictures, computes. Without it the kernel spans source pixels at any factor and the result keeps its
 * fractions, as `tf.image.resize` and `torch.nn.functional.interpolate(align_corners=False)` do. The cubic is Keys's
 * with a = −0.5 in both.
 */
export function resizePicture(
  source: Uint8Array,
  from: { height: number; width: number; channels: number },
  to: { height: number; width: number },
  kernel: ResizeKernel,
  antialias: boolean,
): Uint8Array | Float32Array {
  if (from.height === to.height && from.width === to.width) return source
  if (kernel === 'nearest') return nearest(source, from, to)
  const horizontal = from.width === to.width ? null : taps(from.width, to.width, kernel, antialias)
  const vertical = from.height === to.height ? null : taps(from.height, to.height, kernel, antialias)
  const allocate = antialias
    ? (length: number) => new Uint8ClampedArray(length)
    : (length: number) => new Float32Array(length)
  const { channels } = from
  let rows: Uint8Array | Uint8ClampedArray | Float32Array = source
  if (horizontal) {
    const out = allocate(from.height * to.width * channels)
    for (let y = 0; y < from.height; y++)
      resample(
        rows,
        out,
        horizontal,
        to.width,
        channels,
        { source: y * from.width * channels, target: y * to.width * channels },
        channels,
        antialias,
      )
    rows = out
  }
  if (vertical) {
    const stride = to.width * channels
    const out = allocate(to.height * stride)
    resample(rows, out, vertical, to.height, stride, { source: 0, target: 0 }, stride, antialias)
    rows = out
  }
  return rows instanceof Uint8ClampedArray ? new Uint8Array(rows.buffer) : rows
}

/** One pass: `lanes` neighbouring elements share their taps; `step` elements lie between one tap and the next. */
function resample(
  source: Uint8Array | Uint8ClampedArray | Float32Array,
  out: Uint8ClampedArray | Float32Array,
  { first, count, weights, most }: Taps,
  length: number,
  lanes: number,
  at: { source: number; target: number },
  step: number,
  rounded: boolean,
): void {
  for (let i = 0; i < length; i++) {
    const begin = at.source + first[i]! * step
    const taps = count[i]!
    for (let lane = 0; lane < lanes; lane++) {
      let sum = 0
      for (let tap = 0, from = begin + lane; tap < taps; tap++, from += step)
        sum += weights[i * most + tap]! * source[from]!
      out[at.target + i * lanes + lane] = rounded ? Math.floor(sum / fixedPoint + 0.5) : sum
    }
  }
}

/** Pillow's weights for 8-bit pictures are multiples of 2⁻²². */
const fixedPoint = 2 ** 22

function taps(from: number, to: number, name: Exclude<ResizeKernel, 'nearest'>, antialias: boolean): Taps {
  const kernel = kernels[name]
  const scale = from / to
  const stretch = antialias ? Math.max(1, scale) : 1
  const support = kernel.support * stretch
  const most = Math.ceil(support) * 2 + 1
  const first = new Int32Array(to)
  const count = new Int32Array(to)
  const weights = new Float64Array(to * most)
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale
    const low = Math.max(0, Math.floor(centre - support + 0.5))
    const high = Math.min(from, Math.floor(centre + support + 0.5))
    let total = 0
    for (let j = low; j < high; j++)
      total += weights[i * most + j - low] = kernel.weight((j - centre + 0.5) / stretch)
    for (let j = low; j < high; j++) weights[i * most + j - low]! /= total
    if (antialias)
      for (let tap = 0; tap < high - low; tap++)
        weights[i * most + tap] =
          Math.round(Math.abs(weights[i * most + tap]!) * fixedPoint) * Math.sign(weights[i * most + tap]!)
    first[i] = low
    count[i] = high - low
  }
  return { first, count, weights, most }
}

function nearest(
  source: Uint8Array,
  from: { height: number; width: number; channels: number },
  to: { height: number; width: number },
): Uint8Array {
  const { channels } = from
  const out = new Uint8Array(to.height * to.width * channels)
  for (let y = 0; y < to.height; y++) {
    const sourceY = Math.min(from.height - 1, Math.floor(((y + 0.5) * from.height) / to.height))
    for (let x = 0; x < to.width; x++) {
      const sourceX = Math.min(from.width - 1, Math.floor(((x + 0.5) * from.width) / to.width))
      for (let channel = 0; channel < channels; channel++)
        out[(y * to.width + x) * channels + channel] =
          source[(sourceY * from.width + sourceX) * channels + channel]!
    }
  }
  return out
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
}

/** Keys, "Cubic convolution interpolation for digital image processing", 1981, a = −0.5. */
function keysCubic(x: number): number {
  const t = Math.abs(x)
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2
  return 0
}
