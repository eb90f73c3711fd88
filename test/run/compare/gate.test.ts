import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseLimit } from '../../../src/run/budget.ts'
import { type GateEvidence, judgeLimit, needsRepeat } from '../../../src/run/compare/gate.ts'
import type { ComparisonPass } from '../../../src/store/comparison.ts'
import { passWith, sampleComparison, sideWith } from './sample-comparison.ts'

function evidence(passes: readonly ComparisonPass[], changes: Partial<GateEvidence> = {}): GateEvidence {
  const { a, b, outputs } = sampleComparison()
  return {
    passes: passes.map((pass) => ({
      latency: pass as GateEvidence['passes'][number]['latency'],
      peakRssBytes: pass.peakRssBytes,
      energy: { a: a.energy, b: b.energy },
    })),
    a,
    b,
    accuracy: { change: -0.02, pValue: 0.004 },
    outputs,
    emulated: false,
    ...changes,
  }
}

const status = (written: string, given: GateEvidence) => judgeLimit(parseLimit(written), given).status

describe('a limit of a comparison', () => {
  const slow = passWith(0.05, { seed: 1 })
  const slowAgain = passWith(0.05, { seed: 2 })
  const equal = passWith(0, { seed: 3 })
  // a draw of much noise that shows a change without proving it
  const noisy = Array.from({ length: 50 }, (_, seed) => passWith(0.05, { noise: 2, seed })).find(
    ({ changes: { p50 } }) => p50!.estimate > 0.04 && p50!.pValue! > 0.1,
  )!

  test('is broken only by a proved change beyond it that a second run confirms', () => {
    assert.equal(status('latency.p50 > +3%', evidence([slow, slowAgain])), 'broken')
    assert.equal(status('latency.p50 > +3%', evidence([slow, equal])), 'inconclusive')
    assert.equal(status('latency.p50 > +3%', evidence([slow])), 'inconclusive')
    assert.equal(status('latency.p50 > +10%', evidence([slow])), 'kept')
    assert.equal(status('latency.p50 > +3%', evidence([equal])), 'kept')
  })

  test('asks for a second run only where the first seems to break it', () => {
    const wants = (written: string, pass: ComparisonPass) =>
      needsRepeat([parseLimit(written)], evidence([pass]))
    assert.equal(wants('latency.p50 > +3%', slow), true)
    assert.equal(wants('latency.p50 > +10%', slow), false)
    assert.equal(wants('latency.p50 > +3%', equal), false)
    // a file has the same size the second time
    assert.equal(wants('size > +1%', slow), false)
    assert.equal(wants('latency.p50 > 1ms', slow), false)
  })

  test('is inconclusive where a large change is not proved', () => {
    assert.equal(status('latency.p50 > +3%', evidence([noisy, noisy])), 'inconclusive')
  })

  test('is inconclusive where the device tells two loads of one network apart', () => {
    const unfit = passWith(0.2, { control: 0.04 })
    const outcome = judgeLimit(parseLimit('latency.p50 > +3%'), evidence([unfit, unfit]))
    assert.equal(outcome.status, 'inconclusive')
    assert.match(outcome.reason, /loaded a second time/)
  })

  test('below the band is as wide as the band: half a percent is not told apart from none', () => {
    const little = passWith(0.007, { noise: 0.0005 })
    assert.ok(little.changes.p50!.pValue! < 0.01)
    assert.equal(status('latency.p50 > +0.5%', evidence([little, little])), 'kept')
  })

  test('that asks for a gain is broken where the gain is not there', () => {
    const gain = passWith(-0.08, { seed: 5 })
    const gainAgain = passWith(-0.08, { seed: 6 })
    assert.equal(status('latency.p50 > -5%', evidence([gain, gainAgain])), 'kept')
    assert.equal(status('latency.p50 > -5%', evidence([equal, passWith(0, { seed: 7 })])), 'broken')
  })

  test('of other percentiles, size, memory, accuracy and energy is held too', () => {
    const both = evidence([slow, slowAgain])
    assert.equal(status('latency.mean > +3%', both), 'broken')
    assert.equal(status('latency.p99 > +3%', both), 'broken')
    assert.equal(status('size > +9%', both), 'broken')
    assert.equal(status('size > +11%', both), 'kept')
    assert.equal(status('memory.peak > +3%', both), 'broken')
    assert.equal(status('memory.peak > +4%', both), 'kept')
    assert.equal(status('accuracy < -1%', both), 'broken')
    assert.equal(status('accuracy < -3%', both), 'kept')
    assert.equal(status('energy > +3%', both), 'broken')
    assert.equal(status('energy > +5%', both), 'kept')
  })

  test('of accuracy needs its paired test, of energy a change beyond its uncertainty', () => {
    const chance = evidence([slow], { accuracy: { change: -0.02, pValue: 0.3 } })
    assert.equal(status('accuracy < -1%', chance), 'inconclusive')
    const vague = { value: 2600, uncertainty: 400, reason: null }
    const given = evidence([slow, slowAgain])
    const passes = given.passes.map((pass) => ({ ...pass, energy: { ...pass.energy, b: vague } }))
    assert.equal(status('energy > +3%', { ...given, passes }), 'inconclusive')
    // A's doubt of 60 % is one of 120 % in a change of 100 %
    const wide = { a: { value: 2500, uncertainty: 1500, reason: null }, b: { value: 5000, reason: null } }
    const doubtful = given.passes.map((pass) => ({ ...pass, energy: wide }))
    assert.equal(status('energy > +3%', { ...given, passes: doubtful }), 'inconclusive')
  })

  test('of what was not measured is inconclusive, never kept', () => {
    const bare = evidence([passWith(0)], { accuracy: null, b: sideWith(4e6, { accuracy: null }) })
    const none = { value: null, reason: 'no sensor' }
    const passes = bare.passes.map((pass) => ({
      ...pass,
      energy: { a: none, b: none },
      peakRssBytes: { a: null, b: 1 },
    }))
    for (const written of ['accuracy < -1%', 'accuracy < 90%', 'energy > +3%', 'memory.peak > +3%'])
      assert.equal(status(written, { ...bare, passes }), 'inconclusive', written)
  })

  test('that is absolute is of B, and of an emulated board never a time', () => {
    const given = evidence([slow])
    assert.equal(status('latency.p50 > 4ms', given), 'broken')
    assert.equal(status('latency.p50 > 5ms', given), 'kept')
    assert.equal(status('accuracy < 95%', given), 'broken')
    assert.equal(status('speedup < 0.9', given), 'kept')
    assert.equal(status('latency.p50 > 4ms', { ...given, emulated: true }), 'inconclusive')
    assert.equal(status('size > 105kB', { ...given, emulated: true }), 'broken')
  })
})
