import assert from 'node:assert/strict'
import test from 'node:test'
import { energyCell, energyText } from '../../src/report/energy-text.ts'
import { renderTable } from '../../src/report/table.ts'
import type { Energy, RunDocument, RunResult } from '../../src/store/document.ts'
import { sampleRun } from '../store/sample-run.ts'

const { document } = sampleRun()
const [first] = document.results as [RunResult]

const measured = (value: number, scope: 'board' | 'rail-sum', covers: string): Energy => ({
  value,
  reason: null,
  uncertainty: value * 0.031,
  dynamic: { value: value * 0.6, uncertainty: value * 0.04 },
  measured: {
    ...{ source: 'ina3221 VDD_IN', scope, covers, sync: 'same-clock', syncBoundNs: 7e6, sampleHz: 20.4 },
    ...{ samples: 408, windowNs: 20e9, inferences: 4000, rateHz: 0, activeMilliW: 7250 },
    idleMilliW: { before: 2900, after: 2920 },
  },
})

const withEnergy = (float: Energy, int8: Energy, emulated: string | null = null): RunDocument => ({
  ...document,
  results: [
    {
      ...first,
      energy: int8,
      baseline: { ...first.baseline!, energy: float },
      conditions: { ...first.conditions!, emulated },
    },
  ],
})

const covers = 'Covers all that the board takes through VDD_IN.'

test('energy stands in its column with its uncertainty; a line says what it covers and rests on', () => {
  const text = renderTable(withEnergy(measured(36_250, 'board', covers), measured(21_000, 'board', covers)), {
    color: false,
    width: 150,
  })
  const lines = text.split('\n')
  const head = lines.findIndex((line) => line.startsWith('device'))
  assert.match(lines[head]!, /energy$/)
  assert.match(lines[head + 1]!, /36\.3 mJ ±3\.1 %$/)
  assert.match(lines[head + 2]!, /21\.0 mJ ±3\.1 %$/)
  const flowing = text.replace(/\s+/g, ' ')
  assert.match(
    flowing,
    /energy per inference: int8 21\.0 mJ ±3\.1 % \(12\.6 mJ ±6\.7 % above idle\), float 36\.3 mJ ±3\.1 % \(21\.8 mJ/,
  )
  assert.match(
    flowing,
    /ina3221 VDD_IN: 7\.25 W flat out, 2\.91 W idle; 408 samples at 20\.4 Hz over 20 s, on the board’s own clock/,
  )
  assert.match(flowing, /Covers all that the board takes through VDD_IN/)
})

test('without a figure the reason stands there; where nobody asked, nothing', () => {
  const none = (reasonCode: string): Energy => ({ value: null, reason: 'The sensor is stuck.', reasonCode })
  const text = (code: string) => renderTable(withEnergy(none(code), none(code)), { color: false, width: 150 })
  assert.match(text('stuck'), /No energy: The sensor is stuck\./)
  assert.doesNotMatch(text('not-asked'), /energy/i)
})

test('an emulated board’s energy is not shown as a board’s', () => {
  const run = withEnergy(measured(36_250, 'board', covers), measured(21_000, 'board', covers), 'QEMU system')
  const text = renderTable(run, { color: false, width: 150 })
  assert.doesNotMatch(text, /mJ/)
  assert.equal(energyText(run.results[0]!), '')
})

test('what is above idle may be below nothing, within its uncertainty', () => {
  assert.equal(energyCell({ value: -40, uncertainty: 90, reason: null }), '−40 µJ ±90 µJ')
})

test('an escape in a sensor’s name reaches no terminal', () => {
  const hostile = measured(21_000, 'board', covers)
  const run = withEnergy(hostile, { ...hostile, measured: { ...hostile.measured!, source: 'ina\u001b[2J' } })
  assert.ok(!renderTable(run, { color: false, width: 150 }).includes('\u001b'))
})
