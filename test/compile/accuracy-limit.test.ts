import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitOf, warnOverLimit } from '../../src/compile/accuracy-limit.ts'
import type { Quality } from '../../src/compile/quality.ts'
import { silentProgress } from '../../src/progress.ts'

function quality(change: Partial<Quality>): Quality {
  return {
    samples: 100,
    sqnrDb: 30,
    agreement: null,
    metric: 'top-1',
    float: null,
    compiled: null,
    floatRight: [],
    compiledRight: [],
    ...change,
  }
}

test('with labels the metric decides, whatever the agreement', () => {
  const limit = limitOf(0.01, true)
  const kept = quality({ float: 0.9, compiled: 0.89, agreement: 0.5 })
  assert.ok(Math.abs(limit.dropOf(kept)! - 0.01) < 1e-12)
  assert.ok(limit.holds(kept))
  assert.ok(!limit.holds(quality({ float: 0.9, compiled: 0.88, agreement: 1 })))
  assert.ok(limit.holds(quality({ float: 0.9, compiled: 0.95 })))
  assert.match(limit.describe(quality({ float: 0.9, compiled: 0.95 })), /loses 0 % \(top-1, 100 samples\)/)
})

test('where lower is better the limit is a share of what float reaches', () => {
  const limit = limitOf(0.05, false)
  assert.ok(limit.holds(quality({ metric: 'error', float: 4, compiled: 4.2 })))
  assert.ok(!limit.holds(quality({ metric: 'error', float: 4, compiled: 4.3 })))
  assert.ok(!limit.holds(quality({ metric: 'error', float: 0, compiled: 0.1 })))
})

test('without labels it is the samples on which the two disagree', () => {
  const limit = limitOf(0.02, true)
  assert.ok(limit.holds(quality({ agreement: 0.98 })))
  assert.ok(!limit.holds(quality({ agreement: 0.97 })))
  assert.equal(limit.dropOf(quality({})), null)
  assert.ok(!limit.holds(quality({})))
})

test('with too few samples for the limit, one that is gained makes up for none that is lost', () => {
  const right = Array.from({ length: 64 }, (_, i) => i !== 0)
  const swapped = right.map((hit, i) => (i < 2 ? !hit : hit))
  const even = quality({ float: 63 / 64, compiled: 63 / 64, floatRight: right, compiledRight: swapped })
  assert.ok(!limitOf(0.005, true).holds(even))
  assert.ok(limitOf(0.02, true).holds(even))
  const gained = quality({
    float: 63 / 64,
    compiled: 1,
    floatRight: right,
    compiledRight: right.map(() => true),
  })
  assert.ok(limitOf(0.005, true).holds(gained))
})

test('a metric that is no number holds no limit', () => {
  assert.ok(!limitOf(0.5, true).holds(quality({ float: Number.NaN, compiled: Number.NaN })))
})

test('evaluation samples on which the limit does not hold are told', () => {
  const progress = silentProgress()
  warnOverLimit(limitOf(0.01, true), quality({ float: 0.9, compiled: 0.89 }), progress)
  assert.equal(progress.warnings.length, 0)
  warnOverLimit(limitOf(0.01, true), quality({ float: 0.9, compiled: 0.87 }), progress)
  assert.deepEqual(
    progress.warnings.map(({ code }) => code),
    ['ACCURACY_LIMIT_EVALUATION'],
  )
  assert.match(progress.warnings[0]!.message, /loses 3 %/)
})
