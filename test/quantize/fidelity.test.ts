import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agreement, argMax, cosineSimilarity, SqnrMeter, sqnrDb } from '../../src/quantize/fidelity.ts'

test('SQNR is 20 dB where the error is a tenth', () => {
  assert.ok(Math.abs(sqnrDb([1, -1, 2], [0.9, -0.9, 1.8]) - 20) < 1e-9)
  assert.equal(sqnrDb([1, 2], [1, 2]), Number.POSITIVE_INFINITY)
  assert.ok(Number.isNaN(sqnrDb([0], [1])))
})

test('SQNR over parts is that of the whole', () => {
  const meter = new SqnrMeter()
  meter.add([1, 2], [1.1, 2])
  meter.add([3], [2.8])
  assert.ok(Math.abs(meter.db - sqnrDb([1, 2, 3], [1.1, 2, 2.8])) < 1e-12)
})

test('tensors of different sizes are not compared', () => {
  assert.throws(() => sqnrDb([1], [1, 2]), RangeError)
  assert.throws(() => cosineSimilarity([1], [1, 2]), RangeError)
})

test('cosine of parallel, orthogonal and zero vectors', () => {
  assert.ok(Math.abs(cosineSimilarity([1, 2], [2, 4]) - 1) < 1e-12)
  assert.equal(cosineSimilarity([1, 0], [0, 1]), 0)
  assert.equal(cosineSimilarity([0, 0], [0, 0]), 1)
  assert.equal(cosineSimilarity([0, 0], [1, 0]), 0)
})

test('agreement counts pairs with the same largest element, the first of equals', () => {
  assert.equal(argMax([1, 3, 3]), 1)
  assert.equal(
    agreement([
      [
        [0, 1],
        [0, 2],
      ],
      [
        [1, 0],
        [0, 1],
      ],
    ]),
    0.5,
  )
})
