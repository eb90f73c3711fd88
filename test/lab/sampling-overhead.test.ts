import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBoard } from './board.ts'
import { equip } from './on-board.ts'
import { labMissing } from './requirements.ts'
import { samplingOverhead } from './sampling-overhead.ts'

// On one CPU, whose time both take; the long form is bench/sampling-overhead.ts.
test('power sampled at 100 Hz changes the latency that is measured beside it by less than 1 %', {
  skip: labMissing('system'),
  timeout: 900_000,
}, async (t) => {
  const board = await startBoard({ kind: 'system', instructionClock: true, sensors: true })
  t.after(() => board.stop())
  await board.power.play({ kind: 'constant', watts: 3 })
  const overhead = await samplingOverhead(board, await equip(board), {
    blocks: 2,
    rateHz: 100,
    inferences: 60,
  })
  t.diagnostic(JSON.stringify(overhead))
  assert.ok(overhead.samples > 40, 'it was sampled')
  assert.ok(Math.abs(overhead.p50Ratio - 1) < 0.01, `median: ${overhead.p50Ratio}`)
  // one inference that the kernel held up moves a mean of so few: by how much, the same without sampling tells
  const allowed = Math.max(0.01, Math.abs(overhead.controlRatio - 1))
  assert.ok(Math.abs(overhead.meanRatio - 1) < allowed, `mean: ${overhead.meanRatio}`)
})
