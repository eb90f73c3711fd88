import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { resample } from '../../src/data/resample.ts'
import { decodeWav } from '../../src/data/wav.ts'
import { tone, wav } from './wav-file.ts'

// Expected values: scipy.signal.resample_poly 1.17 with its default filter, on the same samples in 64 bits.
test('8 kHz to 16 kHz is what scipy resamples', () => {
  const out = resample(tone(4000, 8000), 8000, 16000)
  assert.equal(out.length, 8000)
  near(
    [0, 1, 2, 500, 501, 7999].map((i) => out[i]!),
    [-0.150078, 0.026561, 0.26133, -0.325168, -0.340327, -0.121571],
    2e-6,
  )
  assert.ok(Math.abs(energy(out) - 700.203) < 1e-3)
})

test('44.1 kHz to 16 kHz is what scipy resamples', () => {
  const out = resample(tone(4000, 8000), 44100, 16000)
  assert.equal(out.length, 1452)
  near(
    [0, 1, 2, 500, 501, 1451].map((i) => out[i]!),
    [0.022895, 0.417032, 0.389222, -0.411276, -0.237663, -0.165261],
    2e-6,
  )
  assert.ok(Math.abs(energy(out) - 124.6994) < 1e-3)
})

for (const [bits, values, expected] of [
  [8, [0, 128, 255], [-1, 0, 127 / 128]],
  [16, [-32768, 0, 32767], [-1, 0, 32767 / 32768]],
  [24, [-8388608, 1, 8388607], [-1, 2 ** -23, 8388607 / 8388608]],
  [32, [-2147483648, 0, 1073741824], [-1, 0, 0.5]],
] as const)
  test(`PCM of ${bits} bits divides by its full scale`, () => {
    assert.deepEqual([...decodeWav(wav(values, { bits }), 'a.wav').samples], expected.map(Math.fround))
  })

test('32-bit float passes through and two channels are averaged', () => {
  assert.deepEqual(
    [...decodeWav(wav([0.5, -0.25, 1, 0], { bits: 32, float: true, channels: 2 }), 'a.wav').samples],
    [0.125, 0.5],
  )
})

test('an extensible header and an unknown odd-sized chunk before the sound are understood', () => {
  const bytes = wav([100, -100], { bits: 16, extensible: true, chunkBefore: 3 })
  assert.deepEqual([...decodeWav(bytes, 'a.wav').samples], [100 / 32768, -100 / 32768])
})

test('a recording cut in the middle of a sample gives the samples that are there', () => {
  const whole = wav([1, 2, 3, 4], { bits: 16 })
  assert.equal(decodeWav(whole.subarray(0, whole.length - 3), 'a.wav').samples.length, 2)
})

test('compressed, empty and hostile .wav files are refused by name', () => {
  const adpcm = wav([1, 2], { bits: 16 })
  new DataView(adpcm.buffer).setUint16(20, 2, true)
  const huge = wav([1], { bits: 16 })
  new DataView(huge.buffer).setUint32(16, 0xffffffff, true)
  const noChannels = wav([1], { bits: 16 })
  new DataView(noChannels.buffer).setUint16(22, 0, true)
  for (const bytes of [
    adpcm,
    huge,
    noChannels,
    new Uint8Array(0),
    new TextEncoder().encode('RIFF----WAVEdata'),
  ])
    assert.throws(
      () => decodeWav(bytes, 'bad.wav'),
      (error) =>
        error instanceof EdgewrightError && error.code === 'DATA_BROKEN' && error.where === 'bad.wav',
    )
})

function near(seen: readonly number[], expected: readonly number[], tolerance: number): void {
  seen.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) <= tolerance, `${i}: ${value} beside ${expected[i]}`)
  })
}

function energy(samples: Float32Array): number {
  return samples.reduce((sum, value) => sum + value * value, 0)
}
