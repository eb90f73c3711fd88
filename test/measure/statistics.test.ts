import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, percentile, summary, supports } from '../../src/measure/statistics.ts'

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

test('p99 is stated from 299 samples on, p90 from 29, p50 from 5', () => {
  for (const [p, n] of [
    [0.99, 299],
    [0.9, 29],
    [0.5, 5],
  ] as const) {
    assert.equal(supports(n, p), true)
    assert.equal(supports(n - 1, p), false)
  }
  assert.deepEqual(summary(oneTo(30))!.unsupported, ['p99'])
  assert.deepEqual(summary(oneTo(300))!.unsupported, [])
})

test('the interval of a median is that of the published table of order statistics', () => {
  // n = 10: ranks 2 and 9 (97.9 %); n = 20: ranks 6 and 15 (95.9 %): Conover, Practical Nonparametric Statistics.
  assert.deepEqual(
    [percentile(Float64Array.from(oneTo(10)), 0.5).low, percentile(Float64Array.from(oneTo(10)), 0.5).high],
    [2, 9],
  )
  assert.deepEqual(
    [percentile(Float64Array.from(oneTo(20)), 0.5).low, percentile(Float64Array.from(oneTo(20)), 0.5).high],
    [6, 15],
  )
  const small = percentile(Float64Array.from(oneTo(50)), 0.99)
  assert.deepEqual([small.enough, small.high], [false, null])
})

test('the interval holds the true percentile in about 95 of 100 draws', () => {
  let state = 1
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  let held = 0
  for (let draw = 0; draw < 1000; draw++) {
    const { low, high } = percentile(Float64Array.from({ length: 400 }, uniform).sort(), 0.9)
    if (low! <= 0.9 && high! >= 0.9) held++
  }
  assert.ok(held >= 935 && held <= 985, `${held} of 1000`)
})

test('without samples there is no summary', () => {
  assert.equal(summary([]), null)
  assert.equal(summary([5])!.sdNs, 0)
})
