import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { checkBudget, parseBudget, parseLimit } from '../../src/run/budget.ts'

test('a budget is read with its unit taken off', () => {
  assert.deepEqual(parseBudget('latency.p99 > 33ms'), { written: 'latency.p99 > 33ms', metric: 'latency.p99', comparison: '>', limit: 33e6 })
  assert.equal(parseBudget('accuracy.drop>1%').limit, 0.01)
  assert.equal(parseBudget('accuracy.int8 < 0.9').limit, 0.9)
  assert.equal(parseBudget('memory.peak >= 64MiB').limit, 64 * 1024 * 1024)
  assert.equal(parseBudget('speedup < 1.5x').limit, 1.5)
})

for (const [written, saw] of [
  ['latency.p99', /METRIC > NUMBER/],
  ['latency.p42 > 3ms', /latency\.p42/],
  ['latency.p99 > 33', /no unit/],
  ['latency.p99 > 33MB', /MB/],
  ['accuracy.drop > 1ms', /ms/],
] as const)
  test(`a budget that says nothing clear is refused: ${written}`, () => {
    assert.throws(
      () => parseBudget(written),
      (error: unknown) => error instanceof EdgewrightError && error.code === 'USAGE' && error.exitCode === 2 && saw.test(error.saw ?? ''),
    )
  })

test('a relative budget is refused by run, which has nothing to be relative to', () => {
  assert.throws(() => parseBudget('latency.p50 > +3%'), /absolute/)
})

test('a budget is broken by exactly what it forbids', () => {
  const above = parseBudget('latency.p50 > 1ms')
  assert.equal(checkBudget(above, 1e6).status, 'kept')
  assert.equal(checkBudget(above, 1e6 + 1).status, 'broken')
  const below = parseBudget('accuracy.int8 <= 90%')
  assert.equal(checkBudget(below, 0.9).status, 'broken')
  assert.equal(checkBudget(below, 0.91).status, 'kept')
})

test('a figure that a run does not hold neither keeps nor breaks a budget', () => {
  assert.equal(checkBudget(parseBudget('accuracy.drop > 1%'), null).status, 'unknown')
  assert.equal(checkBudget(parseBudget('accuracy.drop > 1%'), Number.NaN).status, 'unknown')
})

test('compare takes a signed number as relative, an unsigned one as of B itself', () => {
  assert.deepEqual(parseLimit('latency.p50 > +3%'), {
    kind: 'relative',
    written: 'latency.p50 > +3%',
    metric: 'latency.p50',
    comparison: '>',
    change: 0.03,
  })
  assert.deepEqual(parseLimit('accuracy < -1%'), {
    kind: 'relative',
    written: 'accuracy < -1%',
    metric: 'accuracy',
    comparison: '<',
    change: -0.01,
  })
  // as a text processor writes the sign
  assert.equal((parseLimit('accuracy < −1%') as { change: number }).change, -0.01)
  assert.equal((parseLimit('size > +10%') as { metric: string }).metric, 'artifact.bytes')
  assert.deepEqual(parseLimit('accuracy < 90%'), {
    kind: 'absolute',
    written: 'accuracy < 90%',
    metric: 'accuracy.int8',
    comparison: '<',
    limit: 0.9,
  })
  assert.equal((parseLimit('energy > 2.5mJ') as { limit: number }).limit, 2500)
})

for (const [written, message] of [
  ['latency.p50 > +3ms', /in percent/],
  ['latency.p50 > +3', /in percent/],
  ['latency.first > +3%', /no relative limit/],
  ['speedup > +3%', /no relative limit/],
  ['latency.p50 > +3points', /in percent/],
  ['latency > +3%', /Not a budget/],
  ['latency.p50 > 3%', /takes one of the units/],
] as const)
  test(`compare refuses ${written}`, () => {
    assert.throws(() => parseLimit(written), (error: unknown) => error instanceof EdgewrightError && error.code === 'USAGE' && message.test(error.message))
  })

test('run points at compare for a relative budget', () => {
  assert.throws(() => parseBudget('latency.p50 > +3%'), (error: unknown) => error instanceof EdgewrightError && /edgewright compare A B/.test(error.hint ?? ''))
})
