import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOutliers, outlierFences } from '../../src/measure/outliers.ts'
import { median, percentile, summary, supports } from '../../src/measure/statistics.ts'
import { type Draw, normal, random } from './noise.ts'

const oneTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

test('percentiles are nearest ranks: always a sample, never between two', () => {
  // The worked example of nearest rank on Wikipedia's Percentile page.
  const example = Float64Array.of(15, 20, 35, 40, 50)
  for (const [p, value] of [
    [0.05, 15],
    [0.3, 20],
    [0.4, 20],
    [0.5, 35],
    [0.999, 50],
  ] as const)
    assert.equal(percentile(example, p).value, value)
  assert.equal(summary(oneTo(100))!.p99Ns, 99)
  assert.equal(summary(oneTo(100))!.p90Ns, 90)
  assert.equal(median([3, 1, 2, 4]), 2)
})

test('a rank that floating point would raise by one is not', () => {
  assert.equal(percentile(Float64Array.from(oneTo(100)), 0.29).value, 29)
  assert.equal(percentile(Float64Array.from(oneTo(1000)), 0.57).value, 570)
})

test('mean and deviation of nanoseconds far from zero lose nothing', () => {
  const { meanNs, sdNs, minNs, maxNs, count } = summary([1e12 + 4, 1e12 + 7, 1e12 + 13, 1e12 + 16])!
  assert.deepEqual([meanNs, minNs, maxNs, count], [1e12 + 10, 1e12 + 4, 1e12 + 16, 4])
  assert.ok(Math.abs(sdNs - Math.sqrt(30)) < 1e-9)
})

test('p99 is stated from 299 samples on, p90 from 29, p50 from 6', () => {
  for (const [p, n] of [
    [0.99, 299],
    [0.9, 29],
    [0.5, 6],
  ] as const) {
    assert.equal(supports(n, p), true)
    assert.equal(supports(n - 1, p), false)
  }
  assert.deepEqual(summary(oneTo(30))!.unsupported, ['p99'])
  assert.deepEqual(summary(oneTo(300))!.unsupported, [])
})

test('the interval of a median is that of the published table of order statistics', () => {
  // n = 10: ranks 2 and 9 (97.9 %); n = 20: ranks 6 and 15 (95.9 %), n = 100: 40 and 61 (96.5 %):
  // Conover, Practical Nonparametric Statistics.
  assert.deepEqual(
    [percentile(Float64Array.from(oneTo(10)), 0.5).low, percentile(Float64Array.from(oneTo(10)), 0.5).high],
    [2, 9],
  )
  assert.deepEqual(
    [percentile(Float64Array.from(oneTo(20)), 0.5).low, percentile(Float64Array.from(oneTo(20)), 0.5).high],
    [6, 15],
  )
  assert.deepEqual(
    [percentile(Float64Array.from(oneTo(100)), 0.5).low, percentile(Float64Array.from(oneTo(100)), 0.5).high],
    [40, 61],
  )
  const small = percentile(Float64Array.from(oneTo(50)), 0.99)
  assert.deepEqual([small.enough, small.high], [false, null])
})

/** What is drawn from, by the value that the share p of all draws does not exceed. */
const distributions: Record<string, { draw(next: Draw): number; quantile(p: number): number }> = {
  normal: { draw: normal, quantile: normalQuantile },
  lognormal: {
    draw: (next) => Math.exp(normal(next)),
    quantile: (p) => Math.exp(normalQuantile(p)),
  },
  // two modes far apart: the lower third and the upper two
  bimodal: {
    draw: (next) => (next() < 1 / 3 ? next() : 10 + next()),
    quantile: (p) => (p < 1 / 3 ? 3 * p : 10 + (p - 1 / 3) * 1.5),
  },
  // a clock of coarse ticks: geometric, most values are equal
  'heavy ties': {
    draw: (next) => Math.floor(Math.log(1 - next()) / Math.log(0.45)),
    quantile: (p) => Math.ceil(Math.log(1 - p) / Math.log(0.45) - 1e-9) - 1,
  },
}

for (const [name, { draw, quantile }] of Object.entries(distributions))
  test(`intervals hold the true percentile in 95 % of 10,000 draws or more: ${name}`, () => {
    const draws = 10_000
    for (const [p, n] of [
      [0.5, 6],
      [0.5, 101],
      [0.9, 29],
      [0.9, 150],
      [0.99, 299],
    ] as const) {
      const next = random(n * 1000 + p * 100)
      const truth = quantile(p)
      let held = 0
      for (let i = 0; i < draws; i++) {
        const { low, high } = percentile(Float64Array.from({ length: n }, () => draw(next)).sort(), p)
        if (low! <= truth && high! >= truth) held++
      }
      // three standard errors of the simulation itself
      assert.ok(held / draws >= 0.95 - 3 * Math.sqrt((0.95 * 0.05) / draws), `p${p * 100} of ${n}: ${held}`)
      if (name !== 'heavy ties') assert.ok(held / draws <= 0.985, `p${p * 100} of ${n}: ${held}, too wide`)
    }
  })

test('an interval too narrow by one rank would not have held', () => {
  const next = random(5)
  let held = 0
  for (let i = 0; i < 10_000; i++) {
    const sorted = Float64Array.from({ length: 101 }, next).sort()
    const { low, high } = percentile(sorted, 0.5)
    const [inside, before] = [sorted[sorted.indexOf(low!) + 1]!, sorted[sorted.indexOf(high!) - 1]!]
    if (inside <= 0.5 && before >= 0.5) held++
  }
  assert.ok(held < 9_435, `${held}`)
})

test('samples that hang together get wider intervals, which hold in nine of ten draws where plain ones do in two thirds', () => {
  const next = random(11)
  const held = { plain: 0, stated: 0 }
  const draws = 1000
  for (let i = 0; i < draws; i++) {
    let value = normal(next)
    const latencyNs = Float64Array.from({ length: 1000 }, () => {
      value = 0.9 * value + Math.sqrt(1 - 0.81) * normal(next)
      return 100 + value
    })
    const plain = percentile(Float64Array.from(latencyNs).sort(), 0.5)
    if (plain.low! <= 100 && plain.high! >= 100) held.plain++
    const stated = summary(latencyNs)!.intervals.p50
    if (stated && stated.lowNs <= 100 && stated.highNs >= 100) held.stated++
  }
  assert.ok(held.plain < 0.7 * draws, `${held.plain}`)
  assert.ok(held.stated >= 0.9 * draws, `${held.stated}`)
})

test('a percentile is stated where it has an interval, and nowhere else', () => {
  for (const p of [0.5, 0.9, 0.99])
    for (let n = 1; n <= 400; n++) {
      const { enough, low, high } = percentile(Float64Array.from(oneTo(n)), p)
      assert.deepEqual([low !== null, high !== null], [enough, enough], `p${p * 100} of ${n}`)
    }
  const { intervals, unsupported } = summary(oneTo(100).map((i) => (i * 37) % 101))!
  assert.deepEqual(unsupported, ['p99'])
  assert.equal(intervals.p99, null)
  assert.deepEqual(intervals.p50, { lowNs: 40, highNs: 61 })
})

test('ranks of ten million samples are those of the normal approximation, at once', () => {
  const sorted = Float64Array.from({ length: 1e7 }, (_, i) => i + 1)
  const { low, high } = percentile(sorted, 0.99)
  const half = 1.959964 * Math.sqrt(1e7 * 0.99 * 0.01)
  assert.ok(Math.abs(low! - (9_900_000 - half)) < 3, `${low}`)
  assert.ok(Math.abs(high! - (9_900_000 + half)) < 3, `${high}`)
})

test('outliers begin at 3.5 and at 10 modified z-scores, and each is counted once', () => {
  // MAD of 1 … 101 is 25: fences at 51 + 3.5 · 1.4826 · 25 and 51 + 14.826 · 25
  const { mildNs, severeNs } = outlierFences(oneTo(101))
  assert.ok(Math.abs(mildNs - 180.7275) < 1e-9 && Math.abs(severeNs - 421.65) < 1e-9, `${mildNs} ${severeNs}`)
  assert.deepEqual(countOutliers([...oneTo(101), 200, 5000]), { mild: 1, severe: 1 })
  assert.deepEqual(countOutliers(oneTo(101)), { mild: 0, severe: 0 })
})

test('where most latencies are equal, deviations are those from the mean, and one value alone has no outliers', () => {
  // mean absolute deviation (9 · 1 + 100) / 100
  const ticks = [...Array(90).fill(50), ...Array(9).fill(51), 150]
  assert.deepEqual(countOutliers(ticks), { mild: 0, severe: 1 })
  assert.deepEqual(countOutliers(Array(20).fill(7)), { mild: 0, severe: 0 })
  assert.deepEqual(countOutliers([]), { mild: 0, severe: 0 })
})

test('without samples there is no summary', () => {
  assert.equal(summary([]), null)
  assert.equal(summary([5])!.sdNs, 0)
})

/** Of the standard normal distribution, from tables. */
function normalQuantile(p: number): number {
  const known: Record<number, number> = { 0.5: 0, 0.9: 1.2815515655, 0.99: 2.326347874 }
  return known[p]!
}
