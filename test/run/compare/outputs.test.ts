import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareOutputs, type OutputCheck } from '../../../src/run/compare/outputs.ts'
import type { LoadedNetwork } from '../../../src/run/evaluate.ts'

const network = {
  outputs: [{ name: 'scores', dtype: 'float32', shape: [1, 2], stored: null }],
} as unknown as LoadedNetwork
const check: OutputCheck = {
  obstacle: null,
  inputs: 'random',
  samples: 2,
  files: new Map(),
  fetch: [],
  steps: () => [],
}
const files = (a: number[], b: number[]) =>
  new Map([
    ['a-output-0.bin', new Uint8Array(Float32Array.from(a).buffer)],
    ['b-output-0.bin', new Uint8Array(Float32Array.from(b).buffer)],
  ])
const compared = (of: ReadonlyMap<string, Uint8Array>) => compareOutputs(check, network, network, of)

test('what both answered is held against each other, value by value', () => {
  const same = compared(files([1, 2, 3, 4], [1, 2, 3, 4]))
  assert.ok(same.comparable && same.identicalShare === 1)
  const other = compared(files([1, 2, 3, 4], [1, 2, 3, 5]))
  assert.ok(other.comparable && other.identicalShare === 0.75 && other.maxDifference === 1)
})

test('outputs that the board did not give, or not whole, are never identical', () => {
  for (const given of [files([], []), files([1, 2, 3], [1, 2, 3]), files([1, 2], [1, 2, 3, 4]), new Map()])
    assert.throws(() => compared(given), { code: 'DEVICE_ANSWER_INVALID' })
})
