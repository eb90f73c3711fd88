import assert from 'node:assert/strict'
import { test } from 'node:test'
import { layerRows } from '../../src/quantize/gram-rows.ts'
import { biasShifts, MeanInput, meanOutputs } from '../../src/quantize/sequential-bias.ts'

test('the mean output of a convolution, padding as it stands: by hand', () => {
  const op = {
    kind: 'Conv',
    group: 2,
    layout: 'channels-last',
    strides: [2],
    dilations: [1],
    padsBegin: [1],
    padsEnd: [1],
  } as const
  const rows = layerRows({ op }, [2, 1, 3], [1, 4, 2], [1, 2, 2])!
  // channel 0 reads 1 2 3 4 behind a zero: windows 0 1 2 and 2 3 4; channel 1 reads 10 20 30 40
  const means = meanOutputs(rows, [1, 10, 100, 1, 10, 100], [1, 10, 2, 20, 3, 30, 4, 40])
  assert.deepEqual([...means], [(210 + 432) / 2, (2_100 + 4_320) / 2])
})

test('a mean input is taken once', () => {
  const input = new MeanInput(2)
  input.add([1, 5])
  input.add([3, 6])
  assert.deepEqual([...input.take()], [2, 5.5])
  input.add([7, 1])
  assert.deepEqual([...input.take()], [7, 1])
})

test('an error that is alike in all folds is taken back whole, one as wide as chance not at all', () => {
  const errors = [
    [0.5, 0.3, 0.6],
    [0.5, -0.3, 0.2],
    [0.5, 0.2, 0.4],
    [0.5, -0.1, 0.4],
  ]
  const [sure, chance, between] = biasShifts(errors, [0.01])
  assert.equal(sure, -0.5)
  assert.equal(chance, 0)
  // mean 0.4, squared standard error 0.08 / 12: 1 − 0.00667 / 0.16 of it
  assert.ok(Math.abs(between! + 0.4 * (1 - 0.08 / 12 / 0.16)) < 1e-12)
})

test('a shift under half a step of the stored bias is none', () => {
  const errors = [
    [0.4, 0.4],
    [0.4, 0.4],
  ]
  assert.deepEqual([...biasShifts(errors, [1, 0.5])], [0, -0.4])
  assert.deepEqual([...biasShifts(errors, [0.5])], [-0.4, -0.4])
})
