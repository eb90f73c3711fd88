import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parityOf, stepOf } from '../../src/run/parity.ts'
import type { Tensor } from '../../src/tensor.ts'

const float = (...numbers: number[]): Tensor => ({ dtype: 'float32', shape: [numbers.length], data: Float32Array.from(numbers) })
const int8 = (...numbers: number[]): Tensor => ({ dtype: 'int8', shape: [numbers.length], data: Int8Array.from(numbers) })

test('equal outputs are bit-identical', () => {
  const parity = parityOf([{ sample: '0', name: 'y', board: int8(1, -2, 3), host: int8(1, -2, 3), step: 1 }], 1, true)
  assert.deepEqual(parity, { samples: 1, maxSteps: 0, identicalShare: 1, tolerance: 0, ok: true })
})

test('one step is too much where the network is wholly integer, and is named', () => {
  const parity = parityOf([{ sample: '7', name: 'y', board: int8(1, -1, 3), host: int8(1, -2, 3), step: 1 }], 1, true)
  assert.equal(parity.ok, false)
  assert.equal(parity.maxSteps, 1)
  assert.equal(parity.firstDivergence, 'sample 7, output y[1]: board -1, host -2')
})

test('one step is allowed where float kernels take part', () => {
  const parity = parityOf([{ sample: '0', name: 'y', board: float(0.1, 0.5), host: float(0.1, 0.6), step: Math.fround(0.6) - 0.5 }], 1, false)
  assert.equal(parity.ok, true)
  assert.equal(parity.identicalShare, 0.5)
})

test('a NaN from the board is a divergence, not an equality', () => {
  const parity = parityOf([{ sample: '0', name: 'y', board: float(Number.NaN), host: float(1), step: 1 }], 1, false)
  assert.equal(parity.ok, false)
})

test('outputs that the board did not send are a divergence', () => {
  const parity = parityOf([{ sample: '0', name: 'y', board: float(), host: float(1, 2), step: 1 }], 1, false)
  assert.equal(parity.ok, false)
})

test("a float output's step is an 8-bit step of its range, an integer's is one", () => {
  assert.equal(stepOf(int8(1, 2), null), 1)
  assert.ok(Math.abs(stepOf(float(-1, 1.55), null) - 0.01) < 1e-6)
  assert.equal(stepOf(float(-1, 1), 0.25), 0.25)
})
