import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentProgress } from '../../src/progress.ts'
import { measureInProcess } from '../../src/measure/in-process.ts'
import { parseOperatorProfile } from '../../src/measure/operators.ts'
import { profileId, standardPlan } from '../../src/measure/standard-plan.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'

const subject = (id: string, path: string) => ({ id, library: '', model: fixture(path) })
const kws = subject('kws', 'mlperf-tiny/kws_dscnn_float.onnx')
const mnist = subject('mnist', 'mnist/mnist_cntk.onnx')

test('the same plan runs inside this process, with the same result', { skip: fixturesMissing }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-in-process-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const short = { minCount: 20, minSeconds: 0, maxCount: 40, maxSeconds: 5 }
  const planned = standardPlan({
    subjects: [kws, mnist],
    threads: [1],
    preset: 'quick',
    operators: true,
    rateHz: 200,
  })
  const plan = {
    ...planned,
    steps: planned.steps.map((step) => ('minCount' in step ? { ...step, ...short } : step)),
  }
  const collected = await measureInProcess(plan, { progress: silentProgress(), folder })
  assert.equal(collected.measuredBy, 'process')
  assert.deepEqual(collected.end, { state: 'complete' })
  // 20 interleaved and 20 at the fixed rate
  assert.equal(collected.artifacts.get('kws-t1')!.latencyNs.length, 40)
  assert.equal(collected.artifacts.get('mnist-t1')!.warmupNs.length, 20)
  assert.ok(collected.artifacts.get('kws-t1')!.firstNs! > 0)
  const atRate = collected.steps.find((step) => step.do === 'measure')!
  assert.ok(atRate.elapsedNs! >= (19 / 200) * 1e9, 'a fixed rate is kept')
  const { file } = collected.operators.find(({ artifact }) => artifact === profileId('kws', 1))!
  assert.equal(
    parseOperatorProfile(readFileSync(file)).byOperator.find(({ operator }) => operator === 'Conv')?.nodes,
    9,
  )
})

test('meters cannot be sampled inside this process: a complaint says so, the run goes on', async () => {
  const collected = await measureInProcess(
    {
      schema: 1,
      artifacts: [],
      steps: [{ do: 'idle', seconds: 0.01, meters: true }],
      sensors: [],
      sensorPeriodMs: 100,
      meters: [{ name: 'm', paths: ['/proc/uptime'], periodMs: 10 }],
    },
    { progress: silentProgress(), folder: tmpdir() },
  )
  assert.deepEqual([collected.end.state, collected.meters], ['complete', []])
  assert.deepEqual(
    collected.complaints.map(({ code, message }) => [code, /on Linux only/.test(message)]),
    [['METERS', true]],
  )
})

test('an abort ends it between two inferences', { skip: fixturesMissing }, async () => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 200)
  const plan = standardPlan({ subjects: [mnist], threads: [1], preset: 'standard' })
  await assert.rejects(
    measureInProcess(plan, { progress: silentProgress(controller.signal), folder: tmpdir() }),
    { code: 'INTERRUPTED' },
  )
})

test('a model that does not load is the runtime’s own words', async () => {
  const plan = standardPlan({
    subjects: [{ ...mnist, model: '/nowhere/model.onnx' }],
    threads: [1],
    preset: 'quick',
  })
  await assert.rejects(measureInProcess(plan, { progress: silentProgress(), folder: tmpdir() }), {
    code: 'RUNNER_FAILED',
  })
})
