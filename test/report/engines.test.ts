import assert from 'node:assert/strict'
import { test } from 'node:test'
import { engineRows, enginesText } from '../../src/report/engines.ts'
import { renderHtml } from '../../src/report/html.ts'
import { renderTable } from '../../src/report/table.ts'
import type { RunResult } from '../../src/store/document.ts'
import { latencyOf, sampleNs, sampleRun } from '../store/sample-run.ts'

const engine = (
  precision: 'int8' | 'fp16' | 'fp32',
  medianNs: number,
): NonNullable<RunResult['engines']>[number] => ({
  role: precision === 'int8' ? 'artifact' : 'baseline',
  precision,
  bytes: 1_200_000,
  cached: precision === 'fp32',
  buildSeconds: precision === 'fp32' ? null : 41,
  command: 'trtexec',
  latency: latencyOf(sampleNs(400, medianNs, 1), medianNs),
  parts: { computeNs: medianNs * 0.9, toDeviceNs: null, fromDeviceNs: null, enqueueNs: null },
})
const { document } = sampleRun()
const first = document.results[0]!
const engines = [engine('int8', 500_000), engine('fp16', 400_000), engine('fp32', 900_000)]

test('engines stand fastest first, with what each costs', () => {
  const rows = engineRows({ engines, conditions: first.conditions })
  assert.deepEqual(
    rows.map(({ name, build }) => [name, build]),
    [
      ['fp16 of the float network', '41 s'],
      ['int8', '41 s'],
      ['fp32 of the float network', 'was there'],
    ],
  )
  assert.match(rows[0]!.p50, /µs$/)
  const told = { ...document, results: [{ ...first, engines }] }
  assert.match(
    renderTable(told, { color: false, width: 200 }),
    /engines, fastest first: fp16 of the float network/,
  )
  assert.match(renderHtml(told, {}), /<h3>Engines<\/h3>/)
})

test('an emulated board shows ratios of engines only', () => {
  const conditions = { ...first.conditions!, emulated: 'QEMU' }
  const text = enginesText({ engines, conditions })
  assert.match(text, /int8 1\.2\d×/)
  assert.doesNotMatch(text, /\d (ns|µs|ms)\b/)
})

test('a result without engines says nothing of them', () => {
  assert.equal(enginesText(first), '')
})
