import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latencyLine } from '../../src/report/latency-lines.ts'
import type { Latency } from '../../src/store/document.ts'

const row: Latency = {
  p50Ns: 1e6,
  p90Ns: null,
  p99Ns: null,
  meanNs: 1e6,
  minNs: 9e5,
  count: 40,
  firstNs: 5e6,
}

test('one line tells how sure the median is, the warm-up, the outliers and the verdict', () => {
  const told = latencyLine({
    ...row,
    intervals: { p50: { lowNs: 990_000, highNs: 1_020_000 }, p90: null, p99: null },
    warmup: { meanNs: 1.2e6, count: 30, untilSteady: { seconds: 90, steady: true } },
    outliers: { mild: 0, severe: 1 },
    steady: { state: 'unknown', slopePerMinute: null, sentence: '40 inferences are too few.' },
  })
  assert.equal(
    told,
    'p50 within 990 µs to 1.02 ms (95 %); warm-up 1.20 ms (mean of 30) after 90 s until steady; 1 severe outlier; unknown: 40 inferences are too few.',
  )
  const few = latencyLine({
    ...row,
    intervals: { p50: null, p90: null, p99: null },
    outliers: { mild: 2, severe: 1 },
  })
  assert.equal(few, 'too few for an interval of p50; 2 mild and 1 severe outliers')
  assert.match(
    latencyLine({ ...row, windows: { medianNs: 2e6, meanNs: [1e6, 2e6, 3e6] } }),
    /^median of 3 windows 2.00 ms/,
  )
})
