import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clockFall } from '../../../src/measure/conditions/clock-fall.ts'
import { isPinned, pinsFor } from '../../../src/measure/conditions/pin-choice.ts'
import { parseSurvey } from '../../../src/measure/conditions/parse-survey.ts'
import type { SensorSeries } from '../../../src/measure/conditions/sensors.ts'
import { stabilityOf } from '../../../src/measure/conditions/stability.ts'
import { conditionWarnings, type WarningFacts } from '../../../src/measure/conditions/warnings.ts'

const always = [{ startNs: 0, endNs: Infinity }]
const series = (name: string, values: number[]): SensorSeries => ({
  name,
  path: `/sys/${name}`,
  unit: 'kHz',
  tNs: values.map((_, i) => i * 5e8),
  values,
})

test('a clock that comes up with the load has not fallen, one reading below is no fall, two are', () => {
  const fall = (values: number[]) => clockFall([series('clock:policy0', values)], always, false)
  assert.equal(fall([600, 600, 1800, 1800, 1800, 1800]), null)
  assert.equal(fall([1800, 1800, 1800, 600, 1800, 1800]), null)
  assert.equal(fall([1800, 1800, 1790, 1760, 1780, 1750]), null, 'within 5 %')
  const found = fall([1800, 1800, 1800, 1500, 1500, 1500])
  assert.deepEqual([found!.what, found!.fromKHz, found!.toKHz, found!.atNs], ['clock', 1800, 1500, 1.5e9])
})

test('with two groups of CPUs the one that rests is no fall, and at a fixed rate only a limit counts', () => {
  const big = series('clock:policy4', [2400, 2400, 2400, 2400, 2400])
  const little = series('clock:policy0', [1800, 1800, 600, 600, 600])
  assert.equal(clockFall([little, big], always, false), null)
  const resting = series('clock:policy0', [1800, 1800, 600, 600, 600])
  assert.equal(clockFall([resting], always, true), null)
  const limit = series('clock-limit:policy0', [1800, 1800, 1400, 1400])
  assert.equal(clockFall([limit], always, true)!.what, 'limit')
})

const steady = { state: 'steady', slopePerMinute: 0, sentence: 'No change.' } as const
const drifting = { state: 'drifting', slopePerMinute: 0.1, sentence: 'It rose.' } as const
const calm = { throttle: null, clock: null, temperature: null }
const hot = { start: 60_000, end: 82_000, min: 60_000, max: 82_000, limitMilliC: 80_000 }
const noFlags = {
  underVoltage: false,
  frequencyCapped: false,
  throttled: false,
  softTemperatureLimit: false,
  source: 'vcgencmd get_throttled',
}

test('steady needs every witness clean', () => {
  assert.equal(stabilityOf({ ...calm, latency: [steady, steady] }).state, 'steady')
  assert.equal(stabilityOf({ ...calm, latency: [steady, drifting] }).state, 'drifting')
  assert.equal(stabilityOf({ ...calm, latency: [] }).state, 'unknown')
  assert.equal(stabilityOf({ ...calm, latency: [steady], temperature: hot }).state, 'unknown')
  assert.equal(stabilityOf({ ...calm, latency: [drifting], temperature: hot }).state, 'throttled')
  const faster = { ...drifting, slopePerMinute: -0.1, sentence: 'It fell.' }
  const both = stabilityOf({ ...calm, latency: [faster, drifting], temperature: hot })
  assert.deepEqual(
    [both.state, both.reason.endsWith('It rose.')],
    ['throttled', true],
    'what rose is the witness',
  )
  const flagged = stabilityOf({
    ...calm,
    latency: [steady],
    throttle: { ...noFlags, softTemperatureLimit: true },
  })
  assert.deepEqual(flagged, {
    state: 'throttled',
    reason: 'The soft temperature limit was active (vcgencmd get_throttled).',
  })
})

const facts: WarningFacts = {
  device: 'pi',
  emulated: false,
  throttle: noFlags,
  stability: { state: 'steady', reason: 'No change.' },
  clockKHz: { min: 600_000, max: 2_400_000 },
  pinned: false,
  pinAsked: false,
  fixedRate: false,
  hottestMilliC: 50_000,
  limitMilliC: 80_000,
  cooled: false,
  otherCpus: { before: 0, during: 0.1 },
  latencies: [{ name: 'int8', firstNs: 2e6, p50Ns: 1e6, count: 1000, severeOutliers: 2 }],
  edgeTpuLinks: [480],
  usesEdgeTpu: false,
  missingSensors: [],
}
const codes = (changed: Partial<WarningFacts>) =>
  conditionWarnings({ ...facts, ...changed }).map(({ code }) => code)

test('warnings say what was seen, and advise nothing that was done already', () => {
  assert.deepEqual(codes({}), ['CLOCK_NOT_PINNED'])
  assert.deepEqual(codes({ pinned: true }), [])
  assert.deepEqual(codes({ pinAsked: true }), [], 'PIN_REFUSED has been said')
  assert.deepEqual(codes({ clockKHz: { min: 2_400_000, max: 2_400_000 } }), [], 'it did not vary')
  const quiet = { clockKHz: null }
  assert.deepEqual(codes({ ...quiet, usesEdgeTpu: true }), ['USB2_LINK'])
  assert.deepEqual(codes({ ...quiet, otherCpus: { before: null, during: 0.9 } }), ['BACKGROUND_LOAD'])
  assert.deepEqual(codes({ ...quiet, hottestMilliC: 81_000 }), ['TEMPERATURE_LIMIT'])
  assert.deepEqual(codes({ ...quiet, missingSensors: ['temperature'] }), ['SENSOR_MISSING'])
  const latency = facts.latencies[0]!
  assert.deepEqual(codes({ ...quiet, latencies: [{ ...latency, firstNs: 200e6 }] }), ['SLOW_FIRST_INFERENCE'])
  assert.deepEqual(codes({ ...quiet, latencies: [{ ...latency, severeOutliers: 50 }] }), ['MANY_OUTLIERS'])
  const throttled = { ...quiet, stability: { state: 'throttled', reason: 'It fell.' } } as const
  const hint = (cooled: boolean) => conditionWarnings({ ...facts, ...throttled, cooled })[0]!.hint
  assert.match(hint(false), /--cool-to/)
  assert.doesNotMatch(hint(true), /--cool-to/)
})

test('only what is not held already is pinned', () => {
  const policy = (name: string, governor: string) =>
    `cpufreq /sys/devices/system/cpu/cpufreq/${name} scaling_governor ${governor}\n`
  const survey = parseSurvey(
    `${policy('policy0', 'ondemand')}${policy('policy4', 'performance')}may direct\n`,
  )
  const { pins } = pinsFor({ performance: true, powerMode: undefined }, survey, 'pi')
  assert.deepEqual(pins, [
    { what: 'governor', path: '/sys/devices/system/cpu/cpufreq/policy0/scaling_governor', to: 'performance' },
  ])
  assert.equal(isPinned(survey, []), false)
  assert.equal(isPinned(survey, pins), true)
})
