import assert from 'node:assert/strict'
import { test } from 'node:test'
import { absorbedConstants } from '../../src/quantize/bias-absorption.ts'

const relu = { max: Number.POSITIVE_INFINITY }

/** Channels as [min, max, mean, variance]. */
function seen(...channels: [number, number, number, number][]) {
  return {
    min: channels.map(([min]) => min),
    max: channels.map(([, max]) => max),
    mean: channels.map(([, , mean]) => mean),
    meanOfSquares: channels.map(([, , mean, variance]) => mean * mean + variance),
  }
}

test('of a channel behind ReLU what no sample went below is absorbed, a tenth of its width less', () => {
  const constants = absorbedConstants(seen([5, 9, 7, 1], [0, 3, 1, 1]), relu, 'observed')!
  assert.deepEqual([...constants], [4.6, 0])
})

test('three standard deviations below the mean, where that is above zero', () => {
  const constants = absorbedConstants(seen([0.5, 9, 7, 1], [0, 3, 1, 1]), relu, 'three-sigma')!
  assert.ok(Math.abs(constants[0]! - 4) < 1e-12)
  assert.equal(constants[1], 0)
})

test('without a function between the layers the middle is absorbed', () => {
  assert.deepEqual([...absorbedConstants(seen([4, 10, 7, 1], [-6, -2, -4, 1]), null, 'observed')!], [7, -4])
})

test('nothing is taken where the range is no narrower for it, or a clip is near', () => {
  assert.equal(absorbedConstants(seen([0, 9, 1, 1], [1, 2, 1.5, 0.1]), relu, 'observed'), null)
  assert.equal(absorbedConstants(seen([3, 5.8, 4, 0.1]), { max: 6 }, 'observed'), null)
  assert.equal(absorbedConstants(seen([-3, 3, 0, 1], [-1, 1, 0, 1]), null, 'observed'), null)
})
