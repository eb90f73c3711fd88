import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import {
  activationRange,
  CumulativeHistogram,
  mseRange,
  percentileRange,
  quantizationError,
} from '../../src/quantize/activation-range.ts'
import { type Affine, affineOf, quantizeNumber } from '../../src/quantize/affine.ts'
import { Histogram } from '../../src/quantize/histogram.ts'

function elementsOf(count: number, make: (next: () => number) => number, seed = 3): Float32Array {
  const next = randomNumbers(seed)
  return Float32Array.from({ length: count }, () => make(next))
}

const normal = (next: () => number) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())

function histogramOf(elements: Float32Array): Histogram {
  const histogram = new Histogram('t')
  histogram.observe(elements)
  return histogram
}

/** The definition, element by element. */
function squaredError(elements: Float32Array, affine: Affine): number {
  let error = 0
  for (const x of elements)
    error += (x - (quantizeNumber(x, affine, -128, 127) - affine.zeroPoint) * affine.scale) ** 2
  return error
}

/** Exhaustive: the best of 200 × 200 pairs of ends, on the elements themselves. */
function bruteForce(elements: Float32Array): number {
  const min = Math.min(0, ...elements)
  const max = Math.max(0, ...elements)
  let least = Number.POSITIVE_INFINITY
  for (let a = min === 0 ? 1 : 0.02; a <= 1; a += 0.02)
    for (let b = 0.02; b <= 1.0001; b += 0.02)
      least = Math.min(least, squaredError(elements, affineOf(min * a, max * b, 'int8')))
  return least
}

const distributions: Record<string, Float32Array> = {
  normal: elementsOf(4000, normal),
  'rectified normal': elementsOf(4000, (next) => Math.max(0, normal(next))),
  SiLU: elementsOf(4000, (next) => {
    const x = 2 * normal(next)
    return x / (1 + Math.exp(-x))
  }),
  'long tail': elementsOf(4000, (next) => Math.exp(1.2 * normal(next))),
  'one outlier in a thousand': elementsOf(4000, (next) => (next() < 0.001 ? 40 : normal(next))),
}

for (const [name, elements] of Object.entries(distributions)) {
  test(`the error from prefix sums is the error of the elements: ${name}`, () => {
    const cumulative = new CumulativeHistogram(histogramOf(elements))
    for (const share of [1, 0.5, 0.2]) {
      const affine = affineOf(Math.min(0, ...elements) * share, Math.max(...elements) * share, 'int8')
      const exact = squaredError(elements, affine)
      const found = quantizationError(cumulative, affine.scale, affine.zeroPoint, 'int8')
      assert.ok(Math.abs(found / exact - 1) < 0.05, `${found} for ${exact}`)
    }
  })

  test(`the MSE range is within 5 % of an exhaustive search on the elements and beats min-max: ${name}`, () => {
    const { min, max } = mseRange(histogramOf(elements), { dtype: 'int8' })
    const found = squaredError(elements, affineOf(min, max, 'int8'))
    assert.ok(found <= bruteForce(elements) * 1.05, `${found} against ${bruteForce(elements)}`)
    assert.ok(found <= squaredError(elements, affineOf(Math.min(...elements), Math.max(...elements), 'int8')))
  })
}

test('the range of a tensor without negatives starts at 0', () => {
  assert.equal(mseRange(histogramOf(distributions['rectified normal']!), { dtype: 'uint8' }).min, 0)
})

test('a symmetric search keeps both ends alike', () => {
  const { min, max } = mseRange(histogramOf(distributions.normal!), { dtype: 'int8', symmetric: true })
  assert.equal(min, -max)
})

test('a percentile cuts half of the rest on each side', () => {
  const elements = Float32Array.from({ length: 10001 }, (_, i) => i - 5000)
  const { min, max } = percentileRange(histogramOf(elements), 98)
  assert.ok(Math.abs(min + 4900) <= 2, String(min))
  assert.ok(Math.abs(max - 4900) <= 2, String(max))
})

test('percentile 100 and min-max are the exact ends', () => {
  const histogram = histogramOf(distributions.SiLU!)
  const range = { min: histogram.min, max: histogram.max, histogram }
  const whole = { min: histogram.min, max: histogram.max }
  assert.deepEqual(activationRange(range, { kind: 'percentile', percentile: 100 }, { dtype: 'int8' }), whole)
  assert.deepEqual(activationRange(range, { kind: 'min-max' }, { dtype: 'int8' }), whole)
})

test('every range holds 0, also of a tensor that never is', () => {
  const histogram = histogramOf(Float32Array.of(5, 6, 7))
  for (const kind of ['min-max', 'mse'] as const)
    assert.equal(activationRange({ min: 5, max: 7, histogram }, { kind }, { dtype: 'int8' }).min, 0)
})

test('a search is made once for a histogram, and again when that has seen more', () => {
  const histogram = histogramOf(distributions.normal!)
  for (const kind of ['mse', 'kl'] as const) {
    const choose = (symmetric: boolean) =>
      activationRange({ min: -9, max: 9, histogram }, { kind }, { dtype: 'int8', symmetric })
    assert.equal(choose(false), choose(false))
    assert.notDeepEqual(choose(false), choose(true))
  }
  const before = activationRange({ min: -9, max: 9, histogram }, { kind: 'mse' }, { dtype: 'int8' })
  histogram.observe(Float32Array.from(distributions.normal!, (x) => 10 * x))
  const after = activationRange({ min: -90, max: 90, histogram }, { kind: 'mse' }, { dtype: 'int8' })
  assert.ok(after.max > 2 * before.max)
})
