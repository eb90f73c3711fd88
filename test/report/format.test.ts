import assert from 'node:assert/strict'
import test from 'node:test'
import * as format from '../../src/report/format.ts'

test('times have three significant digits and change unit where they round up', () => {
  const cases: [ns: number, text: string][] = [
    [0, '0 ns'],
    [431, '431 ns'],
    [999.4, '999 ns'],
    [999.6, '1.00 µs'],
    [4_310, '4.31 µs'],
    [43_149, '43.1 µs'],
    [999_600, '1.00 ms'],
    [4_310_000, '4.31 ms'],
    [129_400_000, '129 ms'],
    [1_234_000_000, '1.23 s'],
  ]
  for (const [ns, text] of cases) assert.equal(format.formatNs(ns), text)
})

test('sizes are decimal', () => {
  assert.deepEqual([0, 812, 999.9, 38_412, 27_262_976, 3_200_000_000].map(format.formatBytes), [
    '0 B',
    '812 B',
    '1.00 kB',
    '38.4 kB',
    '27.3 MB',
    '3.20 GB',
  ])
})

test('ratios, shares and changes carry their sign and unit', () => {
  assert.deepEqual([0.4, 1.837, 12.34, 123.4].map(format.formatRatio), ['0.40×', '1.84×', '12.3×', '123×'])
  assert.deepEqual([1.84, 0.5, 1.004, 0.998].map(format.formatSpeedup), [
    '1.84× faster',
    '2.00× slower',
    'equal',
    'equal',
  ])
  assert.deepEqual([0.002, -0.0249, 0.0004, -0.0004].map(format.formatPoints), [
    '+0.2 points',
    '−2.5 points',
    '±0.0 points',
    '±0.0 points',
  ])
  assert.equal(format.formatShare(0.9184), '91.8 %')
  assert.equal(format.formatMicrojoules(1234), '1.23 mJ')
})

test('what is not a number is never shown as one', () => {
  assert.deepEqual([Number.NaN, Number.POSITIVE_INFINITY].map(format.formatNs), ['n/a', 'n/a'])
  assert.equal(format.formatRatio(Number.POSITIVE_INFINITY), 'n/a')
})
