import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import { writeTflite } from '../../src/formats/tflite/write.ts'
import { compileModel } from '../../src/compile/compile.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { openSource } from '../../src/compile/source.ts'
import type { Graph } from '../../src/graph/types.ts'
import { convertLayout } from '../../src/passes/layout.ts'
import { silentProgress } from '../../src/progress.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import type { Latency } from '../../src/store/document.ts'
import { rebatch } from '../../src/train/rebatch.ts'
import { latencyRow, measureLatencies, type MeasuredModel } from '../../src/tune/latency.ts'
import { tuneDeviceSchema } from '../../src/tune/report/document.ts'
import { rowLatencySchema } from '../../src/tune/report/rows.ts'
import { repositoryRoot } from '../fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'edgewright-tune-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const mnist = join(repositoryRoot, 'examples', 'mnist')
const root = join(folder, 'board')
const connection = { ...noQuestions, root }
const needsLinux = { skip: process.platform !== 'linux' && 'the runner needs Linux' }
const float = readFileSync(join(mnist, 'mnist.onnx'))

test(
  'three forms of a network are measured in turns in one run, each beside the first',
  needsLinux,
  async () => {
    const models: MeasuredModel[] = [
      { id: 'float', bytes: float },
      { id: 'int8', bytes: await quantized() },
      { id: 'batch', label: 'four at once', bytes: await fourAtOnce() },
    ]
    const progress = silentProgress()
    const { rows, device } = await measureLatencies(
      { models, engine: 'onnxruntime', preset: 'quick', connection },
      progress,
    )
    assert.deepEqual([...rows.keys()], ['float', 'int8', 'batch'])
    for (const row of rows.values()) {
      assert.deepEqual(rowLatencySchema.parse(row), row)
      assert.ok(row.p50Ns! > 0 && row.p90Ns! >= row.p50Ns!)
      assert.ok(row.interval!.lowNs <= row.p50Ns! && row.p50Ns! <= row.interval!.highNs)
      assert.ok(row.peakRssBytes! > 1e6)
    }
    const [first, , batch] = [...rows.values()]
    assert.equal(first!.speedup, 1)
    assert.equal(first!.apart, null)
    assert.equal(batch!.speedup, first!.p50Ns! / batch!.p50Ns!)
    // four times the work: told apart on any machine, also a loaded one
    assert.equal(batch!.apart, true)
    assert.ok(batch!.speedup < 1)
    assert.deepEqual(tuneDeviceSchema.parse(device), device)
    assert.equal(device.conditions.order, 'interleaved')
    assert.equal(device.conditions.emulated, null)
    assert.equal(device.runtime.name, 'onnxruntime')
    assert.deepEqual(readdirSync(join(root, 'runs')), [])
  },
)

test('LiteRT measures its own files', needsLinux, async () => {
  const lite = await litertFile()
  const { rows, device } = await measureLatencies(
    { models: [{ id: 'alone', bytes: lite }], engine: 'litert', preset: 'quick', memory: false, connection },
    silentProgress(),
  )
  assert.ok(rows.get('alone')!.p50Ns! > 0)
  assert.equal(rows.get('alone')!.peakRssBytes, null)
  assert.equal(device.conditions.order, 'sequential')
})

test(
  'a network that the runtime refuses is named as its user knows it, and leaves no run behind',
  needsLinux,
  async () => {
    const models = [
      { id: 'a', bytes: float },
      { id: 'b', label: 'pruned, int8', bytes: Buffer.from('no network') },
    ]
    await assert.rejects(
      measureLatencies({ models, engine: 'onnxruntime', preset: 'quick', connection }, silentProgress()),
      (error: unknown) =>
        error instanceof EdgewrightError &&
        error.code === 'RUNNER_FAILED' &&
        error.where === 'pruned, int8' &&
        !error.saw!.includes('model-1'),
    )
    assert.deepEqual(readdirSync(join(root, 'runs')), [])
  },
)

test('an interrupted measurement ends on the board and leaves nothing of its run', needsLinux, async () => {
  const abort = new AbortController()
  const progress = {
    ...silentProgress(abort.signal),
    tick: (_done: number, _total: number, unit: string) => {
      if (unit === 'inferences') abort.abort()
    },
  }
  const models = [
    { id: 'a', bytes: float },
    { id: 'b', bytes: float },
  ]
  const began = performance.now()
  await assert.rejects(
    measureLatencies({ models, engine: 'onnxruntime', preset: 'sustained', connection }, progress),
    (error: unknown) => error instanceof EdgewrightError && error.code === 'INTERRUPTED',
  )
  assert.ok(performance.now() - began < 60_000, 'half an hour was asked for')
  assert.deepEqual(readdirSync(join(root, 'runs')), [])
})

test('what cannot be measured side by side is refused before a board is opened', async () => {
  const refuse = (models: MeasuredModel[], code: string, saw: RegExp) =>
    assert.rejects(
      measureLatencies(
        { models, engine: 'onnxruntime', device: 'ssh://nobody@nowhere.invalid' },
        silentProgress(),
      ),
      (error: unknown) =>
        error instanceof EdgewrightError && error.code === code && saw.test(error.saw ?? ''),
    )
  await refuse([], 'USAGE', /no network/)
  await refuse(
    [
      { id: 'a', bytes: float },
      { id: 'a', bytes: float },
    ],
    'USAGE',
    /"a" twice/,
  )
  const lite = await litertFile()
  await refuse(
    [
      { id: 'a', bytes: float },
      { id: 'b', bytes: lite },
    ],
    'MODEL_FORMAT_UNSUPPORTED',
    /litert/,
  )
})

test('of an emulated board only ratios are told', () => {
  const first = latency(4e6, 3.9e6, 4.1e6)
  const second = latency(2e6, 1.9e6, 2.1e6)
  assert.deepEqual(latencyRow(second, first, 9e6, true), {
    p50Ns: null,
    p90Ns: null,
    interval: null,
    speedup: 2,
    apart: true,
    peakRssBytes: 9e6,
  })
  assert.equal(latencyRow(second, first, 9e6, false).p50Ns, 2e6)
  assert.equal(latencyRow(latency(4.2e6, 4e6, 4.4e6), first, null, false).apart, false)
})

function latency(p50Ns: number, lowNs: number, highNs: number): Latency {
  const none = null
  return {
    p50Ns,
    p90Ns: p50Ns * 1.1,
    p99Ns: null,
    meanNs: p50Ns,
    minNs: lowNs,
    count: 100,
    firstNs: null,
    intervals: { p50: { lowNs, highNs }, p90: none, p99: none },
  }
}

async function quantized(): Promise<Uint8Array> {
  const { folder: made, manifest } = await compileModel(
    {
      model: join(mnist, 'mnist.onnx'),
      data: join(mnist, 'calibration.yaml'),
      calibrationData: undefined,
      metric: undefined,
      shapes: {},
      profile: 'generic-x64',
      target: 'onnxruntime',
      recipe: parseRecipe(
        { calibration: { method: 'min-max', samples: 16 }, evaluationSamples: 8, selectionSamples: 8 },
        'test',
      ),
      out: join(folder, 'int8'),
    },
    silentProgress(),
  )
  return readFileSync(join(made, manifest.model))
}

async function fourAtOnce(): Promise<Uint8Array> {
  return writeOnnx(rebatch(await network(), 4))
}

async function litertFile(): Promise<Uint8Array> {
  return writeTflite(convertLayout(await network(), 'channels-last'))
}

async function network(): Promise<Graph> {
  return (await openSource({ model: join(mnist, 'mnist.onnx'), shapes: {} }, silentProgress())).graph
}
