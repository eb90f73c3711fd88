/**
 * Resamples by a rational factor with a polyphase windowed-sinc filter: 20·max(up, down) + 1 taps, cut off at the lower
 * Nyquist frequency, Kaiser window with β = 5, zeros beyond the ends. The filter, delay and length are those of
 * scipy.signal.resample_poly.
 *
 * @returns ceil(samples · to / from) samples
 */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  const common = greatestCommonDivisor(fromHz, toHz)
  const up = toHz / common
  const down = fromHz / common
  if (up === down) return samples
  const filter = lowPass(up, down)
  const half = (filter.length - 1) / 2
  const out = new Float32Array(Math.ceil((samples.length * up) / down))
  for (let n = 0; n < out.length; n++) {
    // In the signal that is `up` times denser, output n stands at n·down and sample k at k·up.
    const centre = n * down
    const first = Math.max(0, Math.ceil((centre - half) / up))
    const last = Math.min(samples.length - 1, Math.floor((centre + half) / up))
    let sum = 0
    for (let k = first; k <= last; k++) sum += samples[k]! * filter[centre - k * up + half]!
    out[n] = sum
  }
  return out
}

const filters = new Map<string, Float64Array>()

function lowPass(up: number, down: number): Float64Array {
  const key = `${up}/${down}`
  const known = filters.get(key)
  if (known) return known
  const most = Math.max(up, down)
  const half = 10 * most
  const taps = new Float64Array(2 * half + 1)
  let total = 0
  for (let i = 0; i < taps.length; i++) {
    const x = (i - half) / most
    const sinc = x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
    const position = (i - half) / half
    taps[i] = sinc * (bessel0(5 * Math.sqrt(1 - position * position)) / bessel0(5))
    total += taps[i]!
  }
  for (let i = 0; i < taps.length; i++) taps[i]! *= up / total
  if (filters.size > 16) filters.clear()
  filters.set(key, taps)
  return taps
}

/** Modified Bessel function of the first kind, order 0, by its power series. */
function bessel0(x: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
