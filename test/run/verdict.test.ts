import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mediansApart, type VerdictInput, verdictOf, verdictWarnings } from '../../src/run/verdict.ts'
import type { Latency } from '../../src/store/document.ts'

const fast: VerdictInput = {
  name: 'int8',
  speedup: 1.84,
  apart: true,
  sizeRatio: 0.31,
  accuracy: {
    float: 0.92,
    int8: 0.918,
    drop: 0.002,
    agreement: 0.99,
    metric: 'top-1',
    samples: 500,
    measuredOn: 'host',
  },
  mcNemarP: 1,
  int8MayLose: false,
  fixedRate: false,
  emulated: false,
}

test('int8 is chosen where it is faster and loses nothing beyond chance', () => {
  const verdict = verdictOf(fast)
  assert.equal(verdict.choice, 'int8')
  assert.match(verdict.sentence, /1\.84× faster, 0\.31 of the size, top-1 −0\.2 points/)
  assert.deepEqual(verdictWarnings(fast), [])
})

test('float is chosen, and said so, where int8 is slower on that board', () => {
  const slow = { ...fast, speedup: 0.6, int8MayLose: true }
  assert.equal(verdictOf(slow).choice, 'float')
  const [warning] = verdictWarnings(slow)
  assert.equal(warning?.code, 'INT8_SLOWER')
  assert.match(warning!.message, /1\.67×/)
  assert.match(warning!.hint, /dot product/)
})

test('a loss of accuracy beyond chance outweighs any speed', () => {
  const lossy = { ...fast, accuracy: { ...fast.accuracy!, int8: 0.85, drop: 0.07 }, mcNemarP: 0.001 }
  assert.equal(verdictOf(lossy).choice, 'float')
})

test('a loss that chance explains does not decide', () => {
  const noisy = { ...fast, accuracy: { ...fast.accuracy!, int8: 0.9, drop: 0.02 }, mcNemarP: 0.4 }
  assert.equal(verdictOf(noisy).choice, 'int8')
})

test('medians within five per cent are not called a difference', () => {
  assert.equal(verdictOf({ ...fast, speedup: 1.03 }).choice, 'either')
})

test('without a measurement nothing is decided', () => {
  assert.equal(verdictOf({ ...fast, speedup: null }).choice, 'undecided')
})

test('an emulated board decides nothing on speed', () => {
  const verdict = verdictOf({ ...fast, emulated: true })
  assert.equal(verdict.choice, 'undecided')
  assert.doesNotMatch(verdict.sentence, /faster|slower/)
  assert.deepEqual(verdictWarnings({ ...fast, speedup: 0.5, emulated: true }), [])
})

test('medians whose intervals overlap are not told apart, however far their ratio is from one', () => {
  const { choice, sentence } = verdictOf({ ...fast, speedup: 1.3, apart: false })
  assert.equal(choice, 'either')
  assert.match(sentence, /Not told apart.*edgewright compare/)
  assert.deepEqual(verdictWarnings({ ...fast, speedup: 0.6, apart: false }), [])
  const latency = (lowNs: number, highNs: number) =>
    ({ intervals: { p50: { lowNs, highNs }, p90: null, p99: null } }) as Latency
  assert.equal(mediansApart(latency(10, 20), latency(19, 30)), false)
  assert.equal(mediansApart(latency(10, 20), latency(21, 30)), true)
  assert.equal(mediansApart(latency(10, 20), null), null)
})
