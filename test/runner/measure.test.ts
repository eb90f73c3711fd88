import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseOperatorProfile } from '../../src/measure/operators.ts'
import { fixturesMissing } from '../fixtures.ts'
import {
  artifact,
  execute,
  kws,
  library,
  mnist,
  plan,
  runnerMissing,
  runPlan,
  temporaryFolder,
} from './run-runner.ts'

const skip = fixturesMissing || runnerMissing

test('the library is opened and says its version', { skip: runnerMissing }, async () => {
  const { version } = JSON.parse(readFileSync('node_modules/onnxruntime-node/package.json', 'utf8')) as {
    version: string
  }
  const good = await execute(['--check-library', library()])
  assert.equal(good.status, 0)
  assert.equal((JSON.parse(good.stdout) as { version: string }).version, version)
  const bad = await execute(['--check-library', '/nowhere/libonnxruntime.so.1'])
  assert.equal(bad.status, 4)
  assert.equal((JSON.parse(bad.stdout) as { code: string }).code, 'LIBRARY_OPEN')
  const other = await execute(['--check-library', 'libm.so.6'])
  assert.match((JSON.parse(other.stdout) as { message: string }).message, /not an ONNX Runtime library/)
})

test('the model’s inputs and outputs are discovered with dtype and shape', { skip }, async (t) => {
  const { collected, status } = await runPlan(
    temporaryFolder(t),
    plan([artifact('kws', kws), artifact('mnist', mnist)], []),
  )
  assert.equal(status, 0)
  assert.deepEqual(collected.end, { state: 'complete' })
  assert.deepEqual(collected.artifacts.get('kws')?.loaded?.inputs, [
    { name: 'input_1', dtype: 'float32', shape: [1, 49, 10, 1] },
  ])
  assert.deepEqual(collected.artifacts.get('kws')?.loaded?.outputs, [
    { name: 'probs', dtype: 'float32', shape: [1, 12] },
  ])
  assert.deepEqual(collected.artifacts.get('mnist')?.loaded?.inputs, [
    { name: 'Input3', dtype: 'float32', shape: [1, 1, 28, 28] },
  ])
})

test('four bounds: minimum count rules where the minimum time is short', { skip }, async (t) => {
  const bounds = { minCount: 37, minSeconds: 0, maxCount: 1000, maxSeconds: 30 }
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan([artifact('a', mnist)], [{ do: 'measure', artifact: 'a', rateHz: 0, ...bounds }]),
  )
  const measured = collected.artifacts.get('a')!
  assert.equal(measured.latencyNs.length, 37)
  assert.equal(collected.steps[0]!.count, 37)
  assert.ok(measured.firstNs! > 0, 'the first inference stands apart')
  assert.ok(measured.latencyNs.every((ns) => ns > 1000 && ns < 1e9))
  const sum = measured.latencyNs.reduce((a, b) => a + b)
  assert.ok(sum <= collected.steps[0]!.elapsedNs!, 'the timed calls lie inside the step')
})

test('four bounds: minimum time rules where the minimum count is small, across several batches', {
  skip,
}, async (t) => {
  const bounds = { minCount: 1, minSeconds: 1.3, maxCount: 1_000_000, maxSeconds: 30 }
  const { collected, events } = await runPlan(
    temporaryFolder(t),
    plan([artifact('a', mnist)], [{ do: 'measure', artifact: 'a', rateHz: 0, ...bounds }]),
  )
  const [step] = collected.steps
  assert.ok(step!.elapsedNs! >= 1.3e9 && step!.elapsedNs! < 5e9, `${step!.elapsedNs}`)
  assert.equal(collected.artifacts.get('a')!.latencyNs.length, step!.count)
  const batches = Buffer.from(events)
    .toString()
    .split('\n')
    .filter((line) => line.includes('"latency"'))
  assert.ok(batches.length >= 2, 'samples reach the disk while the step runs')
})

test('four bounds: maximum count and maximum time end a step whose minima are not met', {
  skip,
}, async (t) => {
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', mnist)],
      [
        { do: 'measure', artifact: 'a', rateHz: 0, minCount: 5, minSeconds: 20, maxCount: 5, maxSeconds: 20 },
        {
          do: 'measure',
          artifact: 'a',
          rateHz: 0,
          minCount: 1e9,
          minSeconds: 0.1,
          maxCount: 1e9,
          maxSeconds: 0.1,
        },
      ],
    ),
  )
  assert.equal(collected.steps[0]!.count, 5)
  assert.ok(collected.steps[1]!.elapsedNs! >= 0.1e9 && collected.steps[1]!.elapsedNs! < 2e9)
})

test('a fixed rate is kept by absolute times', { skip }, async (t) => {
  const bounds = { minCount: 41, minSeconds: 0, maxCount: 41, maxSeconds: 30 }
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', mnist)],
      [
        { do: 'warmup', artifact: 'a', minCount: 1, minSeconds: 0, maxCount: 1, maxSeconds: 1 },
        { do: 'measure', artifact: 'a', rateHz: 100, ...bounds },
      ],
    ),
  )
  // 41 inferences at 100 Hz: the last begins 400 ms after the first, and no error adds up.
  const elapsedMs = collected.steps[1]!.elapsedNs! / 1e6
  assert.ok(elapsedMs >= 400 && elapsedMs < 800, `${elapsedMs} ms`)
})

test('warm-up is kept apart from what is measured, and its first inference from both', {
  skip,
}, async (t) => {
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', kws)],
      [
        { do: 'warmup', artifact: 'a', minCount: 3, minSeconds: 0, maxCount: 3, maxSeconds: 5 },
        { do: 'measure', artifact: 'a', rateHz: 0, minCount: 9, minSeconds: 0, maxCount: 9, maxSeconds: 5 },
      ],
    ),
  )
  const { warmupNs, latencyNs, firstNs } = collected.artifacts.get('a')!
  assert.deepEqual([warmupNs.length, latencyNs.length, firstNs! > 0], [3, 9, true])
  assert.ok(collected.peakRssBytes! > 10e6 && collected.peakRssBytes! < 500e6)
})

test('interleaved artifacts take turns and get equal counts', { skip }, async (t) => {
  const { collected, events } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', kws), artifact('b', mnist)],
      [
        {
          do: 'interleave',
          artifacts: ['a', 'b', 'b', 'a'],
          block: 4,
          minCount: 20,
          minSeconds: 0,
          maxCount: 100,
          maxSeconds: 20,
        },
      ],
    ),
  )
  assert.equal(collected.artifacts.get('a')!.latencyNs.length, 24)
  assert.equal(collected.artifacts.get('b')!.latencyNs.length, 24)
  assert.equal(collected.steps[0]!.count, 48)
  assert.ok(Buffer.from(events).toString().includes('"type":"end"'))
})

test('an interleaved step never passes its maximum count', { skip }, async (t) => {
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', mnist), artifact('b', mnist)],
      [
        {
          do: 'interleave',
          artifacts: ['a', 'b'],
          block: 8,
          minCount: 3,
          minSeconds: 0,
          maxCount: 3,
          maxSeconds: 20,
        },
      ],
    ),
  )
  assert.deepEqual(
    [...collected.steps[0]!.latencyNs.values()].map((ns) => ns.length),
    [3, 3],
  )
})

test('a profiled session gives times of every operator', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const { collected } = await runPlan(
    folder,
    plan(
      [artifact('profiled', kws, { profile: true })],
      [
        {
          do: 'measure',
          artifact: 'profiled',
          rateHz: 0,
          minCount: 10,
          minSeconds: 0,
          maxCount: 10,
          maxSeconds: 20,
        },
      ],
    ),
  )
  const [operators] = collected.operators
  assert.equal(operators?.artifact, 'profiled')
  assert.ok(operators.file.startsWith(join(folder, 'profile-profiled_')), operators.file)
  const table = parseOperatorProfile(readFileSync(operators.file))
  assert.equal(table.runs, 10, 'eleven inferences, the first one left out')
  // DS-CNN: one standard and eight depthwise or pointwise convolutions
  assert.equal(table.byOperator.find(({ operator }) => operator === 'Conv')?.nodes, 9)
  assert.ok(Math.abs(table.byOperator.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9)
})

test('sensors are sampled on the run’s own clock', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'temp'), '48312\n')
  const { collected } = await runPlan(
    folder,
    plan([], [{ do: 'idle', seconds: 0.5 }], {
      sensors: [
        { name: 'temperatureMilliC', path: join(folder, 'temp') },
        { name: 'missing', path: join(folder, 'nothing') },
      ],
      sensorPeriodMs: 50,
    }),
  )
  assert.ok(collected.sensors.length >= 4 && collected.sensors.length <= 12, `${collected.sensors.length}`)
  assert.ok(collected.sensors.every(({ name, value }) => name === 'temperatureMilliC' && value === 48312))
  const { startNs, elapsedNs } = collected.steps[0]!
  assert.ok(collected.sensors.every(({ tNs }) => tNs > startNs - 1e8 && tNs <= startNs + elapsedNs! + 1e8))
})

test('a planned shape must agree with what the model fixes', { skip }, async (t) => {
  const shaped = artifact('a', kws, { shapes: [[1, 49, 10, 1]] })
  assert.equal((await runPlan(temporaryFolder(t), plan([shaped], []))).status, 0)
  const { status, collected } = await runPlan(
    temporaryFolder(t),
    plan([artifact('a', kws, { shapes: [[1, 50, 10, 1]] })], []),
  )
  assert.equal(status, 4)
  assert.equal(collected.end.state === 'failed' && collected.end.code, 'INPUT_SHAPE')
})

test('pinned to one CPU, the process runs there', { skip }, async (t) => {
  const { collected, status } = await runPlan(
    temporaryFolder(t),
    plan(
      [artifact('a', mnist, { affinity: [0] })],
      [{ do: 'warmup', artifact: 'a', minCount: 1, minSeconds: 0, maxCount: 1, maxSeconds: 5 }],
    ),
  )
  assert.equal(status, 0)
  assert.equal(collected.end.state, 'complete')
  const impossible = await runPlan(temporaryFolder(t), plan([artifact('a', mnist, { affinity: [1023] })], []))
  assert.equal(impossible.collected.end.state === 'failed' && impossible.collected.end.code, 'AFFINITY')
})
