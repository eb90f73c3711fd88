import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import { minMaxScale, mseScale, octavClip } from '../../src/quantize/mse-scale.ts'

const normal = (next: () => number) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())

const distributions: Record<string, (next: () => number) => number> = {
  normal,
  Laplace: (next) => (next() < 0.5 ? -1 : 1) * Math.log(1 - next()),
  uniform: (next) => 2 * next() - 1,
  'two outliers in a thousand': (next) => (next() < 0.002 ? 8 : 1) * normal(next),
}

function weightsOf(count: number, make: (next: () => number) => number, seed: number): Float64Array {
  const next = randomNumbers(seed)
  return Float64Array.from({ length: count }, () => Math.fround(make(next)))
}

/** The definition. */
function squaredError(weights: Float64Array, scale: number, limit: number): number {
  return weights.reduce((sum, w) => {
    const q = Math.min(limit, Math.max(-limit, Math.round(w / scale)))
    return sum + (w - q * scale) ** 2
  }, 0)
}

/** The least error over 950 scales from a tenth of max|w| to 5 % above it. */
function bruteForce(weights: Float64Array, limit: number): number {
  const full = minMaxScale(weights, limit)
  let least = Number.POSITIVE_INFINITY
  for (let share = 0.1; share <= 1.05; share += 0.001)
    least = Math.min(least, squaredError(weights, full * share, limit))
  return least
}

for (const limit of [127, 63, 7])
  for (const [name, make] of Object.entries(distributions))
    test(`the scale is as good as the best of 950: ${name} weights, ±${limit}`, () => {
      for (const [count, trials, tolerance] of [
        [9, 20, 1],
        [64, 10, 1.01],
        [576, 5, 1.01],
        [4608, 1, 1.01],
      ] as const) {
        let found = 0
        let least = 0
        for (let seed = 1; seed <= trials; seed++) {
          const weights = weightsOf(count, make, seed)
          found += squaredError(weights, mseScale(weights, limit), limit)
          least += bruteForce(weights, limit)
        }
        assert.ok(found <= least * tolerance, `${count} weights: ${found / least} of brute force`)
      }
    })

test('never worse than min-max', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const weights = weightsOf(1 + (seed % 17), normal, seed)
    const error = squaredError(weights, mseScale(weights, 127), 127)
    assert.ok(error <= squaredError(weights, minMaxScale(weights, 127), 127) + 1e-18)
  }
})

test('weights that are integers already keep their scale', () => {
  const weights = Float64Array.from([127, -5, 3, 88, -127], (q) => q * 0.25)
  assert.ok(Math.abs(mseScale(weights, 127) / 0.25 - 1) < 1e-12)
})

test('the clip of OCTAV is where its expected error is least', () => {
  for (const limit of [127, 7])
    for (const make of Object.values(distributions)) {
      const weights = weightsOf(2000, make, 3)
      const expected = (clip: number) =>
        weights.reduce((sum, w) => {
          const magnitude = Math.abs(w)
          return sum + (magnitude < clip ? clip ** 2 / (12 * limit ** 2) : (magnitude - clip) ** 2)
        }, 0)
      const clip = octavClip(weights, limit)
      const magnitude = minMaxScale(weights, 1)
      let least = Number.POSITIVE_INFINITY
      for (let share = 0.02; share <= 1.001; share += 0.001)
        least = Math.min(least, expected(magnitude * share))
      assert.ok(expected(clip) <= least * 1.01, `${expected(clip)} against ${least}`)
    }
})

test('nothing to choose: zeros, one weight, two alike', () => {
  assert.equal(mseScale(new Float64Array(4), 127), 1)
  assert.equal(mseScale(Float64Array.of(-3), 127), 3 / 127)
  assert.equal(mseScale(Float64Array.of(2, -2), 127), 2 / 127)
})
