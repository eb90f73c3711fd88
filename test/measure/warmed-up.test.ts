import assert from 'node:assert/strict'
import { test } from 'node:test'
import { collect } from '../../src/measure/collect.ts'
import type { RunnerEvent } from '../../src/measure/plan.ts'
import { warmedUp } from '../../src/measure/warmed-up.ts'
import { type Noise, random, shifted, white } from './noise.ts'

const next = random(17)

/** Some seconds of a busy board in a process of their own. */
function piece(noise: Noise, milliC: readonly number[], atNs: number) {
  const ns = [...noise(1500, next)].map(Math.round)
  const event = (body: object, seq: number) => ({ seq, t: atNs, ...body }) as unknown as RunnerEvent
  return collect(
    [
      { type: 'step', index: 0, do: 'measure', artifact: 'int8-t1' },
      { type: 'latency', step: 0, artifact: 'int8-t1', at: atNs, ns },
      ...milliC.map((value) => ({ type: 'sensor', name: 'temperature:cpu', value })),
    ].map(event),
  )
}

test('a board is warm where two pieces hold one level and one temperature', () => {
  const still = [piece(white(0.01), [60_000, 60_500], 0), piece(white(0.01), [60_400, 60_700], 30e9)]
  assert.equal(warmedUp(still), true)
  // what came before them does not matter
  assert.equal(warmedUp([piece(white(0.3), [40_000, 60_000], -30e9), ...still]), true)
})

test('it is not after one piece, while it slows, or while it warms', () => {
  const [first, second] = [piece(white(0.01), [60_000], 0), piece(white(0.01), [60_000], 30e9)] as const
  assert.equal(warmedUp([]), false)
  assert.equal(warmedUp([first]), false)
  assert.equal(warmedUp([first, piece(shifted(white(0.01), 1.06, 0), [60_000], 30e9)]), false)
  assert.equal(warmedUp([first, piece(white(0.01), [61_500], 30e9)]), false)
  assert.equal(warmedUp([first, second]), true)
})

test('the first second of a process, when its caches are cold, is not judged', () => {
  const cold = shifted(white(0.01), 3, 0, 0.03)
  assert.equal(warmedUp([piece(cold, [], 0), piece(cold, [], 30e9)]), true)
})
