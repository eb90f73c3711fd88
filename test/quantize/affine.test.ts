import assert from 'node:assert/strict'
import { test } from 'node:test'
import { affineOf, quantizeNumber, roundHalfToEven, symmetricAffineOf } from '../../src/quantize/affine.ts'

test('real 0 is stored exactly, whatever the range', () => {
  for (const [min, max] of [
    [-1, 1],
    [0, 6],
    [-0.3, 12.7],
    [-5, -1],
    [2, 3],
    [-1e-9, 4],
  ] as const) {
    for (const dtype of ['int8', 'uint8'] as const) {
      const affine = affineOf(min, max, dtype)
      assert.ok(Number.isInteger(affine.zeroPoint))
      const [low, high] = dtype === 'int8' ? [-128, 127] : [0, 255]
      assert.ok(affine.zeroPoint >= low && affine.zeroPoint <= high)
      assert.equal((quantizeNumber(0, affine, low, high) - affine.zeroPoint) * affine.scale, 0)
    }
  }
})

test('the TFLite specification: [0, 255/256] is scale 1/256 with the lowest zero point', () => {
  assert.deepEqual(affineOf(0, 255 / 256, 'int8'), { scale: 1 / 256, zeroPoint: -128 })
  assert.deepEqual(affineOf(0, 255 / 256, 'uint8'), { scale: 1 / 256, zeroPoint: 0 })
})

test('raw pixels keep their values', () => {
  assert.deepEqual(affineOf(0, 255, 'uint8'), { scale: 1, zeroPoint: 0 })
})

test('symmetric ranges have their zero point in the middle', () => {
  assert.deepEqual(symmetricAffineOf(-127, 3, 'int8'), { scale: 1, zeroPoint: 0 })
  assert.deepEqual(symmetricAffineOf(-127, 3, 'uint8'), { scale: 1, zeroPoint: 128 })
})

test('a range that is empty or far below float32 gets a usable scale', () => {
  assert.equal(affineOf(0, 0, 'int8').scale, 1)
  assert.ok(affineOf(0, 1e-40, 'int8').scale > 1e-16)
})

test('halves round to even, as QuantizeLinear does', () => {
  assert.deepEqual([0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6].map(roundHalfToEven), [0, 2, 2, 0, -2, 2, 3])
})
