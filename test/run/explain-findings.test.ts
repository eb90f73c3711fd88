import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ExplainedUnit, findingsOf } from '../../src/run/explain/findings.ts'

const unit = (name: string, change: Partial<ExplainedUnit> = {}): ExplainedUnit => ({
  name,
  operator: 'Conv + Relu',
  precision: 'int8',
  reason: '',
  remedy: null,
  floatNs: 1000,
  int8Ns: 500,
  sqnrDb: 30,
  note: null,
  ...change,
})
const whole = { float: 3000, int8: 1600, conversions: 0, runtime: 0, inPlace: true }

test('a network whose operators all gain has nothing to explain', () => {
  const units = [unit('a'), unit('b'), unit('c', { int8Ns: 550 })]
  assert.deepEqual(findingsOf(units, whole), [])
})

test('what is left in float is told with the reason and the remedy of the target, what is slower with its ratio', () => {
  const units = [
    unit('a'),
    unit('erf', {
      operator: 'Erf',
      precision: 'float',
      reason: 'There is no kernel.',
      remedy: 'Use Gelu.',
      int8Ns: 400,
    }),
    unit('dw1', { int8Ns: 400, floatNs: 300, note: 'it is depthwise' }),
    unit('dw2', { int8Ns: 300, floatNs: 200, note: 'it is depthwise' }),
  ]
  const findings = findingsOf(units, whole)
  assert.deepEqual(
    findings.map(({ kind, where }) => [kind, where]),
    [
      ['slower in int8', '2 operators'],
      ['left in float', 'erf'],
    ],
  )
  assert.match(
    findings[0]!.message,
    /^dw1 1\.33 ×, dw2 1\.50 × float's time, 43\.8 % of an inference: it is depthwise\.$/,
  )
  assert.match(findings[1]!.message, /There is no kernel\./)
  assert.equal(findings[1]!.remedy, 'Use Gelu.')
})

test('conversions name the operators in float that they stand around', () => {
  const units = [unit('a'), unit('erf', { operator: 'Erf', precision: 'float', int8Ns: 10 })]
  const [conversions] = findingsOf(units, { ...whole, conversions: 800 })
  assert.equal(conversions!.kind, 'conversions')
  assert.match(conversions!.message, /50\.0 %/)
  assert.match(conversions!.remedy, /Erf "erf"/)
})

test('a tiny network is ruled by what the runtime does around its operators', () => {
  const findings = findingsOf([unit('a', { int8Ns: 200 })], { ...whole, int8: 1600 })
  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['overhead'],
  )
  // units measured by themselves say nothing of the rest
  assert.deepEqual(findingsOf([unit('a', { int8Ns: 200 })], { ...whole, inPlace: false }), [])
})
