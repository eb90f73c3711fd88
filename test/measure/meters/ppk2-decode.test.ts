import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBins } from '../../../src/measure/meters/bins.ts'
import { metadataEnd, parsePpk2Metadata } from '../../../src/measure/meters/ppk2-calibration.ts'
import { createPpk2Decoder } from '../../../src/measure/meters/ppk2-decode.ts'
import { coefficients, words } from './ppk2-simulator.ts'

const ranges = [0, 1, 2, 3, 4].map((range) => ({
  resistanceOhm: coefficients.R[range]!,
  gainSlope: coefficients.GS[range]!,
  gain: coefficients.GI[range]!,
  offsetAdc: coefficients.O[range]!,
  offsetPerVolt: coefficients.S[range]!,
  offsetAmps: coefficients.I[range]!,
  userGain: coefficients.UG[range]!,
}))

test('the formula of the documentation, worked by hand for one word of each range', () => {
  // adc = 4·2000; r = (adc − O)·(1.8/163840)/R; UG·(r·(GS·r + GI) + S·3.3 + I)
  for (const range of [0, 1, 2, 3, 4]) {
    const r = ((8000 - coefficients.O[range]!) * (1.8 / 163_840)) / coefficients.R[range]!
    const expected =
      coefficients.UG[range]! *
      (r * (coefficients.GS[range]! * r + coefficients.GI[range]!) +
        coefficients.S[range]! * 3.3 +
        coefficients.I[range]!)
    const decoder = createPpk2Decoder(ranges, 3.3)
    decoder.push(wordBytes(2000 | (range << 14)))
    assert.ok(Math.abs(decoder.current.result().sum[0]! / expected - 1) < 1e-12)
  }
})

test('however its bytes are cut, the stream gives the same samples', () => {
  const word = words(5, {})
  const stream = Buffer.alloc(40_000)
  for (let i = 0; i < 10_000; i++) stream.writeUInt32LE(word(i), 4 * i)
  const whole = createPpk2Decoder(ranges, 5)
  whole.push(stream)
  for (const size of [1, 2, 3, 5, 7, 4093]) {
    const cut = createPpk2Decoder(ranges, 5)
    for (let at = 0; at < stream.length; at += size) cut.push(stream.subarray(at, at + size))
    assert.deepEqual(cut.current.result(), whole.current.result())
    assert.equal(cut.samples, 10_000)
  }
})

test('a counter that flickers loses nothing; one that jumps tells how many are missing', () => {
  const decode = (counters: readonly number[]) => {
    const decoder = createPpk2Decoder(ranges, 5)
    for (const counter of counters) decoder.push(wordBytes(2000 | ((counter & 63) << 18)))
    return {
      samples: decoder.samples,
      gaps: decoder.gaps.map(({ samples }) => samples),
      index: decoder.index,
    }
  }
  const counting = Array.from({ length: 300 }, (_, i) => i)
  assert.deepEqual(decode(counting.with(100, 7).with(101, 9)), { samples: 300, gaps: [], index: 300 })
  assert.deepEqual(decode(counting.map((i) => (i < 150 ? i : i + 21))), {
    samples: 300,
    gaps: [21],
    index: 321,
  })
})

test('after a change of range the first samples are smoothed, as the vendor’s application does', () => {
  const decoder = createPpk2Decoder(ranges, 5, 0, createBins(1, 1 << 10))
  const low = 2000 | (1 << 14)
  const high = 4000 | (2 << 14)
  for (const [i, word] of [low, low, high, high, high, high].entries())
    decoder.push(wordBytes(word | (i << 18)))
  const [before, , first, second, third, fourth] = decoder.current.result().sum
  const step = fourth! - before!
  for (const [i, value] of [first!, second!, third!].entries())
    assert.ok(Math.abs(value - (before! + step * (1 - 0.82 ** (i + 1)))) < 1e-9 * step, `sample ${i}`)
})

test('bins never hold more than they may: neighbours are joined, sums stay', () => {
  const bins = createBins(10, 64)
  for (let i = 0; i < 10_000; i++) bins.add(i, i, 1)
  const { samplesPerBin, bin, sum, count, min, max, uncertaintySum } = bins.result()
  assert.equal(samplesPerBin, 160)
  assert.equal(bin.length, 63)
  assert.equal(
    sum.reduce((a, b) => a + b, 0),
    (9_999 * 10_000) / 2,
  )
  assert.equal(
    uncertaintySum.reduce((a, b) => a + b, 0),
    10_000,
  )
  assert.deepEqual([...count.slice(0, -1)], Array(62).fill(160))
  assert.deepEqual([min[1], max[1]], [160, 319])
})

test('calibration ends at END on a line of its own, however it came', () => {
  const text = 'R0: 1.0\nUGEND: 3\nEND\n'
  const answer = Buffer.from(text)
  for (let length = 0; length < text.length - 1; length++)
    assert.equal(metadataEnd(answer.subarray(0, length)), null)
  assert.notEqual(metadataEnd(answer), null)
  assert.throws(() => parsePpk2Metadata(Buffer.from('R0: 1\nEND'), 'here'), { code: 'METER_FAILED' })
})

function wordBytes(word: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(word >>> 0)
  return bytes
}
