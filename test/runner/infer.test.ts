import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as ort from 'onnxruntime-node'
import { silentProgress } from '../../src/progress.ts'
import { measureInProcess } from '../../src/measure/in-process.ts'
import { createRandomTensor } from '../../src/measure/random-input.ts'
import type { Plan } from '../../src/measure/plan.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { artifact, kws, mnist, plan, runnerMissing, runPlan, temporaryFolder } from './run-runner.ts'
import { reluModel } from './tiny-model.ts'

const skip = fixturesMissing || runnerMissing

/** Sample-by-sample outputs of onnxruntime-node on the same bytes. */
async function reference(
  model: string,
  shape: number[],
  samples: Float32Array,
  outputs: number,
): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const size = shape.reduce((a, b) => a * b)
  const results = new Float32Array((samples.length / size) * outputs)
  for (let i = 0; i * size < samples.length; i++) {
    const feed = new ort.Tensor('float32', samples.slice(i * size, (i + 1) * size), shape)
    const answer = await session.run({ [session.inputNames[0]!]: feed })
    results.set(answer[session.outputNames[0]!]!.data as Float32Array, i * outputs)
  }
  await session.release()
  return results
}

function inferPlan(folder: string, model: string, count: number): Plan {
  const io = { inputs: [join(folder, 'x')], outputs: [join(folder, 'y')] }
  return plan([artifact('a', model)], [{ do: 'infer', artifact: 'a', ...io, count }])
}

test('outputs on digits are bit-identical to onnxruntime-node’s', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const pixels = readFileSync(fixture('data/mnist_images.idx3-ubyte')).subarray(16, 16 + 784 * 50)
  const samples = Float32Array.from(pixels)
  writeFileSync(join(folder, 'x'), samples)
  const { status, collected } = await runPlan(folder, inferPlan(folder, mnist, 50))
  assert.equal(status, 0)
  assert.equal(collected.steps[0]!.inferred, 50)
  assert.deepEqual(
    new Uint8Array(readFileSync(join(folder, 'y'))),
    bytes(await reference(mnist, [1, 1, 28, 28], samples, 10)),
  )
})

test('outputs on keyword features are bit-identical to onnxruntime-node’s and to the in-process measurement’s', {
  skip,
}, async (t) => {
  const folder = temporaryFolder(t)
  const samples = Float32Array.from(createRandomTensor('float32', [20, 49, 10, 1], 3) as Float32Array)
  writeFileSync(join(folder, 'x'), samples)
  await runPlan(folder, inferPlan(folder, kws, 20))
  const runner = new Uint8Array(readFileSync(join(folder, 'y')))
  assert.deepEqual(runner, bytes(await reference(kws, [1, 49, 10, 1], samples, 12)))
  const inProcess = await measureInProcess(inferPlan(folder, kws, 20), { progress: silentProgress(), folder })
  assert.equal(inProcess.measuredBy, 'process')
  assert.deepEqual(new Uint8Array(readFileSync(join(folder, 'y'))), runner)
})

test('inferring leaves the inputs that are measured with untouched', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'x'), new Float32Array(784 * 3).fill(9))
  const infer = inferPlan(folder, mnist, 3).steps[0]!
  const measure = {
    do: 'measure',
    artifact: 'a',
    rateHz: 0,
    minCount: 3,
    minSeconds: 0,
    maxCount: 3,
    maxSeconds: 5,
  } as const
  const { collected } = await runPlan(folder, plan([artifact('a', mnist)], [measure, infer, measure]))
  assert.equal(collected.end.state, 'complete')
  assert.equal(collected.artifacts.get('a')!.latencyNs.length, 6)
})

test('a sample file of the wrong size is refused before anything is inferred', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'x'), new Float32Array(784 * 2 + 1))
  const { status, collected } = await runPlan(folder, inferPlan(folder, mnist, 2))
  assert.equal(status, 4)
  assert.ok(collected.end.state === 'failed' && collected.end.code === 'INPUT_FILE')
  assert.match(collected.end.message, /holds 6276 bytes, 6272 are needed/)
})

test('an open dimension becomes 1, or what the plan says', { skip: runnerMissing }, async (t) => {
  const folder = temporaryFolder(t)
  const model = join(folder, 'relu.onnx')
  writeFileSync(model, reluModel(['N', 3]))
  const open = await runPlan(folder, plan([artifact('a', model)], []), {})
  assert.deepEqual(open.collected.artifacts.get('a')?.loaded?.inputs[0]?.shape, [1, 3])
  assert.deepEqual(open.collected.artifacts.get('a')?.loaded?.outputs[0]?.shape, [-1, 3])

  const inner = temporaryFolder(t)
  writeFileSync(join(inner, 'x'), Float32Array.of(-1, 2, -3, 4, -5, 6))
  const { steps } = inferPlan(inner, model, 1)
  const { collected } = await runPlan(inner, plan([artifact('a', model, { shapes: [[2, 3]] })], steps))
  assert.deepEqual(collected.artifacts.get('a')?.loaded?.inputs[0]?.shape, [2, 3])
  assert.deepEqual(new Uint8Array(readFileSync(join(inner, 'y'))), bytes(Float32Array.of(0, 2, 0, 4, 0, 6)))
})

test('a name with control characters and broken UTF-8 cannot break a line', {
  skip: runnerMissing,
}, async (t) => {
  const folder = temporaryFolder(t)
  const model = join(folder, 'relu.onnx')
  writeFileSync(model, reluModel([1, 3], Buffer.from([0x61, 0x0a, 0x22, 0x1b, 0x5b, 0xc3, 0x28])))
  const { collected, status } = await runPlan(folder, plan([artifact('a', model)], []))
  // ONNX Runtime may refuse such a name; whichever, the answer is one that parses.
  if (status === 0) assert.equal(collected.artifacts.get('a')?.loaded?.inputs[0]?.name, 'a\n"\u001b[\ufffd(')
  else assert.equal(collected.end.state, 'failed')
})

test('without room for the outputs the run says that the disk is full', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'x'), new Float32Array(784))
  const io = { inputs: [join(folder, 'x')], outputs: ['/dev/full'] }
  const { status, collected } = await runPlan(
    folder,
    plan([artifact('a', mnist)], [{ do: 'infer', artifact: 'a', ...io, count: 1 }]),
  )
  assert.equal(status, 4)
  assert.equal(collected.end.state === 'failed' && collected.end.code, 'DISK_FULL')
})

test('without room for the events the exit status says so', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const { status, stderr } = await runPlan(folder, plan([], []), { events: '/dev/full' })
  assert.equal(status, 7)
  assert.match(stderr, /No space left on device/)
  assert.ok(statSync(join(folder, 'plan.json')).size > 0)
})

function bytes(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}
