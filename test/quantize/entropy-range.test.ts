import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import { activationRange } from '../../src/quantize/activation-range.ts'
import { bestThreshold, Divergence, entropyRange } from '../../src/quantize/entropy-range.ts'
import { Histogram } from '../../src/quantize/histogram.ts'

/** The definition, bin by bin: P with outliers at its ends, Q by levels, both normalized, Σ P log(P / Q). */
function divergenceByDefinition(bins: readonly number[], levels: number, from: number, to: number): number {
  const total = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
  const part = bins.slice(from, to)
  const p = [...part]
  p[0]! += total(bins.slice(0, from))
  p[p.length - 1]! += total(bins.slice(to))
  const q = part.map(() => 0)
  for (let level = 0; level < levels; level++) {
    const left = Math.floor((level * part.length) / levels)
    const right = Math.floor(((level + 1) * part.length) / levels)
    const filled = p.slice(left, right).filter((count) => count > 0).length
    for (let i = left; i < right; i++) if (p[i]! > 0) q[i] = total(part.slice(left, right)) / filled
  }
  let divergence = 0
  for (const [i, count] of p.entries())
    if (count > 0) divergence += (count / total(p)) * Math.log(count / total(p) / (q[i]! / total(q)))
  return divergence
}

function randomBins(length: number, seed: number): number[] {
  const next = randomNumbers(seed)
  return Array.from({ length }, (_, i) =>
    next() < 0.3 ? 0 : Math.floor(1000 * Math.exp((-4 * i) / length) * next()),
  )
}

test('prefix sums give the divergence of the definition, for every part of a histogram', () => {
  for (const [length, levels] of [
    [16, 4],
    [23, 5],
    [40, 8],
  ] as const)
    for (let seed = 1; seed <= 5; seed++) {
      const bins = randomBins(length, seed)
      const divergence = new Divergence(Float64Array.from(bins), levels)
      for (let from = 0; from < length; from++)
        for (let to = from + levels; to <= length; to++) {
          const expected = divergenceByDefinition(bins, levels, from, to)
          const found = divergence.of(from, to)
          if (Number.isFinite(expected))
            assert.ok(Math.abs(found - expected) < 1e-9, `${found} for ${expected} of [${from}, ${to})`)
          else assert.ok(!Number.isFinite(found), `${found} for ${expected} of [${from}, ${to})`)
        }
    }
})

test('the threshold is the best of all', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const bins = randomBins(60, seed)
    const levels = 6
    const last = bins.findLastIndex((count) => count > 0) + 1
    let least = Number.POSITIVE_INFINITY
    for (let to = levels; to <= last; to++)
      least = Math.min(least, divergenceByDefinition(bins, levels, 0, to))
    const found = divergenceByDefinition(bins, levels, 0, bestThreshold(Float64Array.from(bins), levels))
    assert.ok(found <= least + 1e-12, `${found} against ${least}`)
  }
})

test('by hand: two levels of two bins', () => {
  // P = (3, 1, 2, 2)/8; Q = (2, 2, 2, 2)/8
  const whole = new Divergence(Float64Array.of(3, 1, 2, 2), 2).of(0, 4)
  assert.ok(Math.abs(whole - ((3 / 8) * Math.log(3 / 2) + (1 / 8) * Math.log(1 / 2))) < 1e-12)
  // of three bins with one outlier: P = (3, 1, 4)/8, levels of one and two bins: Q = (3, 1.5, 1.5)/6
  const part = new Divergence(Float64Array.of(3, 1, 2, 2), 2).of(0, 3)
  const expected =
    (3 / 8) * Math.log(3 / 8 / 0.5) + (1 / 8) * Math.log(1 / 8 / 0.25) + (4 / 8) * Math.log(4 / 8 / 0.25)
  assert.ok(Math.abs(part - expected) < 1e-12)
})

const normal = (next: () => number) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())

function histogramOf(count: number, make: (next: () => number) => number): Histogram {
  const next = randomNumbers(3)
  const histogram = new Histogram('t')
  histogram.observe(Float32Array.from({ length: count }, () => make(next)))
  return histogram
}

test('outliers are cut, wherever they are', () => {
  const far = (next: () => number) => (next() < 1e-5 ? 60 : 1)
  const both = histogramOf(200_000, (next) => far(next) * normal(next))
  const symmetric = entropyRange(both, { dtype: 'int8', symmetric: true })
  assert.equal(symmetric.min, -symmetric.max)
  assert.ok(symmetric.max > 2.5 && symmetric.max < 12, `${symmetric.max} of ${both.max}`)
  const ends = entropyRange(both, { dtype: 'int8' })
  for (const end of [-ends.min, ends.max]) assert.ok(end > 2.5 && end < 12, `${end}`)
  const rectified = histogramOf(200_000, (next) => Math.max(0, far(next) * normal(next)))
  const { min, max } = entropyRange(rectified, { dtype: 'uint8' })
  assert.equal(min, 0)
  assert.ok(max > 2.5 && max < 12, `${max} of ${rectified.max}`)
})

test('nothing is cut where a part would say less: a uniform tensor, two levels far apart', () => {
  const uniform = histogramOf(100_000, (next) => 2 * next() - 1)
  const whole = entropyRange(uniform, { dtype: 'int8' })
  assert.ok(whole.max > 0.98 * uniform.max && whole.min < 0.98 * uniform.min, JSON.stringify(whole))
  const steps = histogramOf(10_000, (next) => (next() < 0.5 ? 0.1 : 100))
  assert.equal(entropyRange(steps, { dtype: 'uint8' }).max, Math.fround(100))
})

test('zeros of a sparse tensor do not pull its range together', () => {
  const dense = histogramOf(100_000, (next) => Math.abs(normal(next)))
  const sparse = histogramOf(1_000_000, (next) => (next() < 0.1 ? Math.abs(normal(next)) : 0))
  const [a, b] = [dense, sparse].map((histogram) => entropyRange(histogram, { dtype: 'uint8' }).max) as [
    number,
    number,
  ]
  assert.ok(b > 0.7 * a, `${b} beside ${a}`)
})

test('kl is a method like the others, and all zeros need none', () => {
  const histogram = histogramOf(1000, normal)
  const range = { min: histogram.min, max: histogram.max, histogram }
  assert.deepEqual(
    activationRange(range, { kind: 'kl' }, { dtype: 'int8' }),
    entropyRange(histogram, { dtype: 'int8' }),
  )
  const zeros = histogramOf(10, () => 0)
  assert.deepEqual(activationRange({ min: 0, max: 0, histogram: zeros }, { kind: 'kl' }, { dtype: 'int8' }), {
    min: 0,
    max: 0,
  })
})

test('in a histogram of full size the threshold is within 2 % of the best of all in divergence', () => {
  const makers = [
    normal,
    (next: () => number) => (next() < 1e-3 ? 20 : 1) * normal(next),
    (next: () => number) => Math.exp(1.2 * normal(next)),
  ]
  for (const make of makers) {
    const { positive, negative } = histogramOf(100_000, make)
    const bins = positive.map((count, i) => count + (negative?.[i] ?? 0))
    const divergence = new Divergence(bins, 128)
    let least = Number.POSITIVE_INFINITY
    for (let end = 128; end <= bins.length; end++) least = Math.min(least, divergence.of(0, end))
    const found = divergence.of(0, bestThreshold(bins, 128))
    assert.ok(found <= least * 1.02 + 1e-5, `${found} against ${least}`)
  }
})

test('a value that comes very often does not draw the whole range around itself', () => {
  const histogram = new Histogram('background')
  // nine of ten pixels are a background of 0.05, the rest reaches 8
  histogram.observe(
    Float32Array.from({ length: 20_000 }, (_, i) => (i % 10 === 0 ? (8 * (i / 10)) / 2_000 : 0.05)),
  )
  const { min, max } = entropyRange(histogram, { dtype: 'int8' })
  assert.equal(min, 0)
  assert.ok(max > 7, `${max}`)
})
