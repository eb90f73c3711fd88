import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realsOf, storedAs, TensorMeter } from '../../../src/compile/diagnose/tensor-meter.ts'
import { dequantizeTensor, quantizeTensor } from '../../../src/data/quantize-tensor.ts'
import { ChannelStatistics } from '../../../src/quantize/channel-statistics.ts'

/** Steps of 0.5 from −64 to 63.5. */
const type = { dtype: 'int8', scale: 0.5, zeroPoint: 0 } as const

test('storing costs rounding and clipping, counted apart', () => {
  const meter = new TensorMeter('t', type, {})
  const reals = Float32Array.of(1.2, -0.2, 100, 0)
  const { reals: stored, tensor } = storedAs(type, reals, [4])
  assert.deepEqual([...(tensor.data as Int8Array)], [2, 0, 127, 0])
  assert.deepEqual(realsOf(tensor, type), stored)
  assert.deepEqual([...stored], [1, 0, 63.5, 0])
  meter.addFloat(reals, stored)
  assert.equal(meter.clipped, 1)
  assert.equal(meter.clippedNoise, 36.5 ** 2)
  assert.ok(Math.abs(meter.storage.noise - (36.5 ** 2 + 0.04 + 0.04)) < 1e-5)
  assert.deepEqual([meter.zeroed, meter.negatives], [1, 1])
})

test('a tensor is stored as every other room quantizes it, halves to even', () => {
  const reals = Float32Array.from({ length: 4001 }, (_, i) => (i - 2000) / 16)
  for (const dtype of ['int8', 'uint8', 'int16'] as const) {
    const odd = { dtype, scale: 0.37, zeroPoint: dtype === 'uint8' ? 120 : 3 }
    for (const one of [odd, { ...odd, scale: 0.125 }]) {
      const reference = quantizeTensor({ dtype: 'float32', shape: [4001], data: reals }, one)
      const { tensor, reals: kept } = storedAs(one, reals, [4001])
      assert.deepEqual(tensor.data, reference.data)
      assert.deepEqual(kept, dequantizeTensor(reference, one).data)
    }
  }
})

test('half a step beyond the end is rounding, not clipping', () => {
  const meter = new TensorMeter('t', type, {})
  const reals = Float32Array.of(63.7, -64.2)
  meter.addFloat(reals, storedAs(type, reals, [2]).reals)
  assert.equal(meter.clipped, 0)
})

test('SQNR and cosine over several samples are those over all their elements', () => {
  const meter = new TensorMeter('t', null, {})
  for (const [x, y] of [
    [3, 3],
    [4, 5],
  ] as const) {
    meter.addFloat(Float32Array.of(x), Float32Array.of(x))
    meter.addQuantized(Float32Array.of(x), Float32Array.of(y))
  }
  assert.equal(meter.whole.db, 10 * Math.log10(25))
  assert.equal(meter.whole.cosine, 29 / Math.sqrt(25 * 34))
  assert.equal(meter.own.db, Number.POSITIVE_INFINITY)
})

test('a shift of each channel shows though the channels cancel', () => {
  const errors = new ChannelStatistics([1, 2], 1)
  const meter = new TensorMeter('t', null, { errors })
  for (let sample = 0; sample < 2; sample++) meter.addOwn(Float32Array.of(1, 1), Float32Array.of(1.5, 0.5))
  assert.equal(meter.ownShiftShare, 1)
  const noise = new TensorMeter('t', null, { errors: new ChannelStatistics([1, 2], 1) })
  for (const sign of [1, -1])
    noise.addOwn(Float32Array.of(1, 1), Float32Array.of(1 + sign * 0.5, 1 - sign * 0.5))
  assert.equal(noise.ownShiftShare, 0)
})

test('a tensor with an infinite element is given up, without a word about its finite ones', () => {
  const meter = new TensorMeter('t', null, {})
  const reals = Float32Array.of(1, Number.NEGATIVE_INFINITY)
  meter.addFloat(reals, reals)
  assert.equal(meter.isFinite, false)
  meter.addQuantized(reals, reals)
  assert.equal(meter.whole.count, 0)
})
