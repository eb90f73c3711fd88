/** max|w| / limit; 1 for a channel of zeros. */
export function minMaxScale(weights: Float64Array, limit: number): number {
  const magnitude = largestMagnitude(weights)
  return magnitude === 0 ? 1 : magnitude / limit
}

/**
 * The scale with the least squared error of symmetric weights stored in [−limit, limit]: candidates around the clip of
 * OCTAV, each refitted to the integers that it gives. The fewer the weights, the more the error depends on how each of
 * them happens to round: then more candidates are tried, over a wider span.
 */
export function mseScale(weights: Float64Array, limit: number): number {
  const full = minMaxScale(weights, limit)
  const centre = Math.min(full, octavClip(weights, limit) / limit)
  if (!(centre > 0)) return full
  const candidates = Math.min(64, Math.max(12, Math.round(2 ** 14 / weights.length)))
  // the second term: the uniform rounding error that OCTAV assumes is off where levels are few
  const span = Math.min(0.12, 1 / Math.sqrt(weights.length) + 0.5 / limit)
  let best = refitted(weights, full, limit)
  for (let i = 0; i < candidates; i++) {
    const candidate = refitted(weights, centre * (1 - span + (2 * span * i) / (candidates - 1)), limit)
    if (candidate.explained > best.explained) best = candidate
  }
  return best.scale
}

/**
 * The clip c with the least expected squared error where rounding inside is uniform noise, (c / limit)² / 12: Newton's
 * method of OCTAV (Sakr et al., ICML 2022, "Optimal Clipping and Magnitude-aware Differentiation").
 */
export function octavClip(weights: Float64Array, limit: number): number {
  const noise = 1 / (12 * limit * limit)
  const count = weights.length
  let clip = 0
  for (let i = 0; i < count; i++) clip += Math.abs(weights[i]!)
  clip /= count
  for (let round = 0; round < 30; round++) {
    let outside = 0
    let sum = 0
    for (let i = 0; i < count; i++) {
      const magnitude = Math.abs(weights[i]!)
      if (magnitude < clip) continue
      outside++
      sum += magnitude
    }
    const next = sum / ((1 - noise) * outside + noise * count)
    const settled = Math.abs(next - clip) <= 1e-4 * clip
    clip = next
    if (settled) break
  }
  return clip
}

/** Adding and taking away 1.5 · 2^52 rounds a small double to the nearest integer, halves to even. */
const roundingShift = 1.5 * 2 ** 52

/**
 * The integers q that a scale gives, and the scale Σwq / Σq² that fits these best: what is left of Σw² is then
 * Σw² − (Σwq)² / Σq², so the larger `explained`, the smaller the error.
 */
function refitted(weights: Float64Array, scale: number, limit: number): { scale: number; explained: number } {
  const perUnit = 1 / scale
  let products = -0
  let squares = -0
  for (let i = 0; i < weights.length; i++) {
    const w = weights[i]!
    const position = w * perUnit
    const clipped = position > limit ? limit : position < -limit ? -limit : position
    const q = clipped + roundingShift - roundingShift
    products += w * q
    squares += q * q
  }
  return squares === 0
    ? { scale, explained: 0 }
    : { scale: products / squares, explained: (products * products) / squares }
}

function largestMagnitude(weights: Float64Array): number {
  let magnitude = 0
  for (let i = 0; i < weights.length; i++) magnitude = Math.max(magnitude, Math.abs(weights[i]!))
  return magnitude
}
