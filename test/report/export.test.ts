import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'csv-parse/sync'
import { csvLine } from '../../src/report/export/csv.ts'
import { resultsCsv } from '../../src/report/export/results.ts'
import { samplesCsv } from '../../src/report/export/samples.ts'
import type { RawSeries } from '../../src/store/document.ts'
import { sampleRun } from '../store/sample-run.ts'

const read = (csv: string): Record<string, string>[] => parse(csv, { columns: true })

test('a line of CSV reads back whatever its cells hold', () => {
  const cells = ['plain', 'a "word"', 'one, two', 'two\nlines', 'ends\r', ' blank ', 'µ', '']
  const line = csvLine(cells)
  assert.ok(line.endsWith('\n') && !line.endsWith('\r\n'))
  assert.deepEqual(parse(line, { record_delimiter: '\n' }), [cells])
  assert.equal(csvLine([null, undefined, 0, -1.5, true, Number.NaN]), ',,0,-1.5,true,\n')
})

test('text that a spreadsheet would take for a formula is none; numbers keep their sign', () => {
  for (const formula of ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '=HYPERLINK("http://x","y")']) {
    const [[cell]] = parse(csvLine([formula]), { record_delimiter: '\n' }) as [[string]]
    assert.equal(cell, `'${formula}`)
  }
  assert.equal(csvLine([-3]), '-3\n')
})

test('figures of a run: a line a result, names with units, the same columns for each', () => {
  const { document } = sampleRun()
  const csv = resultsCsv(document)
  const rows = read(csv)
  assert.equal(rows.length, document.results.length)
  for (const [i, result] of document.results.entries()) {
    const row = rows[i]!
    assert.equal(row['run_id'], document.runId)
    assert.equal(row['status'], result.status)
    assert.equal(row['latency_p50_ns'], String(result.latency?.p50Ns ?? ''))
    assert.equal(row['latency_p99_ns'], String(result.latency?.p99Ns ?? ''))
    assert.equal(row['float_latency_p50_ns'], String(result.baseline?.latency?.p50Ns ?? ''))
    assert.equal(row['energy_uj'], String(result.energy.value ?? ''))
  }
  const names = csv.split('\n')[0]!.split(',')
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.every((name) => /^[a-z0-9_]+$/.test(name)))
})

test("a board's name and answers stay one cell each", () => {
  const { document } = sampleRun()
  const device = '=cmd|"/c calc"!A1,\n"x"'
  const rows = read(resultsCsv({ ...document, results: [{ ...document.results[0]!, device }] }))
  assert.equal(rows.length, 1)
  assert.equal(rows[0]!['device'], `'${device}`)
})

test('samples: every point of the series on a line of its own, with its unit', () => {
  const { document } = sampleRun()
  const path = 'raw/series-t1-0.json'
  const series: RawSeries = {
    schema: 1,
    device: 'd',
    steps: [],
    latency: [{ artifact: 'int8', tNs: [0, 50], ns: [40, 41] }],
    sensors: [{ name: 'temperature:cpu', unit: 'milliC', tNs: [10], values: [45_000] }],
    power: [{ rail: 'ina3221 VDD_IN', total: true, tNs: [20], milliW: [3000.5] }],
  }
  const result = { ...document.results[0]!, samples: { float: null, int8: null, series: path } }
  const csv = [...samplesCsv({ ...document, results: [result] }, { [path]: series }, {})].join('')
  assert.deepEqual(
    read(csv).map((row) => [row['kind'], row['series'], row['time_ns'], row['value'], row['unit']]),
    [
      ['latency', 'int8', '0', '40', 'ns'],
      ['latency', 'int8', '50', '41', 'ns'],
      ['sensor', 'temperature:cpu', '10', '45000', 'milliC'],
      ['power', 'ina3221 VDD_IN', '20', '3000.5', 'milliW'],
    ],
  )
})

test('a run from before there were series gives its latencies, with their times left empty', () => {
  const { document, raw } = sampleRun()
  const rows = read([...samplesCsv(document, {}, raw)].join(''))
  const kept = document.results.flatMap(({ samples }) =>
    [samples?.float, samples?.int8].flatMap((path) => (path ? raw[path]!.ns : [])),
  )
  assert.ok(kept.length > 0)
  assert.deepEqual(
    rows.map(({ value }) => Number(value)),
    kept,
  )
  assert.ok(rows.every((row) => row['time_ns'] === ''))
})
