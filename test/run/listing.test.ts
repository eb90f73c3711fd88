import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeRunList } from '../../src/run/listing.ts'

const result = {
  device: 'local:',
  target: 'onnxruntime',
  status: 'ok',
  threads: 1,
  floatP50Ns: 30,
  int8P50Ns: 10,
  speedup: 3,
  emulated: false,
} as const
const row = { runId: 'r', createdAt: null, model: null, problem: null }

test('a list of runs says how int8 compares, and nothing of an emulator’s speed', () => {
  const text = describeRunList([
    { ...row, results: [result, { ...result, speedup: 1 }, { ...result, emulated: true }] },
  ])
  assert.deepEqual(text.split('\n').slice(1), [
    '    local:  ok  int8 3.00× faster than float',
    '    local:  ok  int8 as fast as float',
    '    local:  ok  emulated',
  ])
})
