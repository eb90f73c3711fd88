import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { silentProgress } from '../../src/progress.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import { parseBudget } from '../../src/run/budget.ts'
import type { RunRequest } from '../../src/run/request.ts'
import { runMainJob } from '../../src/run/run.ts'
import { runDocumentSchema } from '../../src/store/document.ts'
import { loadSeries } from '../../src/store/runs.ts'
import { repositoryRoot } from '../fixtures.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
const folder = mkdtempSync(join(tmpdir(), 'edgewright-run-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function request(change: Partial<RunRequest> = {}): RunRequest {
  return {
    model: join(example, 'mnist.onnx'),
    shapes: {},
    data: join(example, 'data.yaml'),
    calibrationData: join(example, 'calibration.yaml'),
    metric: undefined,
    recipe: parseRecipe({ calibration: { method: 'min-max' }, evaluationSamples: 100 }, 'test'),
    schemes: ['full-int8'],
    edgetpuCompiler: undefined,
    devices: [{ device: 'local:', profile: undefined, target: undefined, optional: false }],
    threads: [1],
    affinity: [],
    rateHz: 0,
    preset: 'quick',
    report: join(folder, 'report.html'),
    budgets: [],
    connection: { ...noQuestions, root: join(folder, 'board') },
    store: join(folder, 'store'),
    ...change,
  }
}

test('the main job on this computer gives every figure of the published document', async () => {
  const { document, failure } = await runMainJob(
    request({ budgets: [parseBudget('accuracy.drop > 5%')] }),
    silentProgress(),
  )
  assert.equal(failure, null)
  assert.deepEqual(runDocumentSchema.parse(document), document)
  const [result] = document.results
  assert.equal(result!.status, 'ok')
  assert.ok(result!.latency!.p50Ns > 0 && result!.baseline!.latency!.p50Ns > 0)
  assert.equal(result!.speedup, result!.baseline!.latency!.p50Ns / result!.latency!.p50Ns)
  assert.ok(result!.accuracy!.int8! >= 0.95)
  assert.equal(result!.parity!.ok, true)
  assert.ok(result!.memory!.peakRssBytes! > 1e6)
  assert.equal(result!.energy.value, null)
  assert.ok(result!.operators!.int8.length > 0)
  assert.ok(existsSync(join(folder, 'report.html')))
  const raw = JSON.parse(
    readFileSync(join(folder, 'store', 'runs', document.runId, result!.samples!.int8!), 'utf8'),
  )
  assert.equal(raw.ns.length, result!.latency!.count)
  const series = (await loadSeries(join(folder, 'store'), document))[result!.samples!.series!]!
  assert.deepEqual(
    series.latency.map(({ artifact }) => artifact),
    ['float', 'int8'],
  )
  assert.deepEqual(
    series.steps.map((step) => step.do).filter((kind) => kind !== 'infer'),
    ['warmup', 'warmup', 'interleave'],
  )
  const { intervals, outliers, steady, warmup } = result!.latency!
  assert.ok(
    intervals!.p50!.lowNs <= result!.latency!.p50Ns && result!.latency!.p50Ns <= intervals!.p50!.highNs,
  )
  assert.ok(outliers!.mild + outliers!.severe < result!.latency!.count / 2)
  assert.ok(warmup!.count > 0 && steady!.sentence.endsWith('.'))
  // nothing of a collected run stays on the board
  assert.deepEqual(readdirSync(join(folder, 'board', 'runs')), [])
})

test('a broken budget is a failed gate', async () => {
  const { failure, closing } = await runMainJob(
    request({ budgets: [parseBudget('latency.p50 > 1ns')] }),
    silentProgress(),
  )
  assert.equal(failure, 'gate')
  assert.ok(closing.some((line) => line.startsWith('BROKEN')))
})

test("a board that is not there loses none of the others' results", async () => {
  const devices = [
    { device: 'ssh://nobody@127.0.0.1:1', profile: undefined, target: undefined, optional: false },
    { device: 'local:', profile: undefined, target: undefined, optional: false },
  ]
  const { document, failure } = await runMainJob(request({ devices }), silentProgress())
  assert.deepEqual(
    document.results.map(({ status }) => status),
    ['failed', 'ok'],
  )
  assert.equal(document.results[0]!.error!.code, 'DEVICE_UNREACHABLE')
  assert.equal(failure, 'device')
})

test('an optional board that is not there is skipped, which fails nothing', async () => {
  const devices = [
    { device: 'ssh://nobody@127.0.0.1:1', profile: undefined, target: undefined, optional: true },
    { device: 'local:', profile: undefined, target: undefined, optional: false },
  ]
  const { document, failure } = await runMainJob(request({ devices }), silentProgress())
  assert.deepEqual(
    document.results.map(({ status }) => status),
    ['skipped', 'ok'],
  )
  assert.equal(failure, null)
})

test('Ctrl-C while measuring ends the run on the board and leaves nothing of it', async () => {
  const interrupt = new AbortController()
  const progress = silentProgress(interrupt.signal)
  const stage = (name: string) => {
    if (name === 'measure') setTimeout(() => interrupt.abort(), 700)
  }
  await assert.rejects(
    runMainJob(request({ preset: 'standard' }), { ...progress, signal: interrupt.signal, stage }),
    (error: unknown) => error instanceof EdgewrightError && error.code === 'INTERRUPTED',
  )
  assert.deepEqual(readdirSync(join(folder, 'board', 'runs')), [])
})
