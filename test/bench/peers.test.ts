import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Row } from '../../bench/peers/compare.ts'
import { largestDifference, qualityOf, significance } from '../../bench/peers/outputs.ts'
import { verdictOf } from '../../bench/peers/table.ts'

const row = (name: string, differs: Partial<Row> = {}): Row => ({
  name,
  ours: name.startsWith('edgewright'),
  bytes: 1000,
  seconds: 1,
  cpuSeconds: 1,
  peakRssBytes: 1e6,
  sqnrDb: 20,
  agree: 95,
  right: 90,
  scoreError: null,
  pAgainstFloat: 1,
  pAgainstOurs: 1,
  latencyNs: 1e6,
  oursToThis: 1,
  ...differs,
})

const verdict = (...rows: Row[]) =>
  verdictOf({ floatRight: 0, floatLatencyNs: 1, oursToFloat: 1, rows, failures: [] })

test('a peer within the limits is not ahead', () => {
  const near = row('near', { sqnrDb: 20.09, agree: 96, right: 99, pAgainstOurs: 0.06, oursToThis: 1.02 })
  assert.equal(verdict(near, row('edgewright-best')), 'No peer is ahead of edgewright-best.')
})

test('a peer that is ahead in anything is named with by how much', () => {
  const rows = [
    row('sharp', { sqnrDb: 20.3 }),
    row('alike', { agree: 97 }),
    row('right', { right: 95, pAgainstOurs: 0.01 }),
    row('fast', { latencyNs: 9e5, oursToThis: 1.1 }),
  ]
  assert.equal(
    verdict(...rows, row('edgewright-best')),
    '**A peer is ahead of edgewright-best:** SQNR: sharp by 0.30 dB; agreement: alike by 2 samples; accuracy: right, p = 0.010; latency: fast, ours takes 1.100 of it.',
  )
})

test('a peer that left the network in float is not ahead by it', () => {
  const float = row('idle', { sqnrDb: 111, agree: 100, latencyNs: 1e5, oursToThis: 10 })
  assert.equal(verdict(float, row('int8'), row('edgewright-best')), 'No peer is ahead of edgewright-best.')
})

test('the verdict is about the last of our presets', () => {
  assert.match(
    verdict(row('sharp', { sqnrDb: 30 }), row('edgewright-fast', { sqnrDb: 31 }), row('edgewright-best')),
    /sharp by 10\.00 dB/,
  )
})

test('an autoencoder is judged by how far its reconstruction error moves', () => {
  const float = [Float32Array.of(1, 0)]
  const quality = qualityOf([Float32Array.of(0.9, 0)], float, [null], [Float32Array.of(0, 0)])
  assert.ok(Math.abs(quality.sqnrDb - 20) < 1e-4)
  assert.equal(quality.agree, null)
  // (0.9² − 1²) / 2
  assert.ok(Math.abs(quality.scoreError! - 0.095) < 1e-6)
})

test('samples without a label count for agreement, not for accuracy', () => {
  const float = [Float32Array.of(1, 0), Float32Array.of(0, 1), Float32Array.of(1, 0)]
  const swapped = qualityOf([float[0]!, float[0]!, float[1]!], float, [0, null, 0], null)
  assert.equal(swapped.agree, 1)
  assert.deepEqual(swapped.right, [true, false])
  const exact = qualityOf(float, float, [0, null, 0], null)
  // one discordant pair
  assert.equal(significance(swapped, exact), 1)
})

test('a conversion that moves one element of one sample is seen', () => {
  const outputs = [Float32Array.of(4, 1), Float32Array.of(2, 3)]
  assert.equal(largestDifference(outputs, [outputs[0]!, Float32Array.of(2, 3.5)]), 0.125)
})
