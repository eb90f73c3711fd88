import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { PlanArtifact } from '../../src/measure/plan.ts'
import { runnerFailure } from '../../src/measure/runner-failure.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { here, litertLibrary, litertMissing } from './litert-library.ts'
import { openInWasm } from './litert-wasm.ts'
import { artifact, execute, library, plan, runnerMissing, runPlan, temporaryFolder } from './run-runner.ts'

const skip = runnerMissing || litertMissing() || fixturesMissing
const kws = fixture('mlperf-tiny/kws_dscnn_int8.tflite')
const once = { minCount: 3, minSeconds: 0, maxCount: 3, maxSeconds: 30 }

function litert(model: string, rest: Partial<PlanArtifact> = {}): PlanArtifact {
  return artifact('a', model, { backend: 'litert', library: litertLibrary(here), ...rest })
}

/** TfLiteType: elements whose every bit pattern is a number that a quantized network may meet. */
const anyBits = new Set([3, 7, 9])
const float32 = 1

/** Whole-range integers, floats in −1 to 1, indexes 0. */
function randomTensor(element: number, bytes: number): Uint8Array {
  if (anyBits.has(element)) return new Uint8Array(randomBytes(bytes))
  if (element !== float32) return new Uint8Array(bytes)
  return new Uint8Array(Float32Array.from({ length: bytes / 4 }, () => Math.random() * 2 - 1).buffer)
}

/** Runs a model natively and in WebAssembly on the same random bytes; pairs of outputs, matched by name. */
async function both(
  t: TestContext,
  model: string,
): Promise<{ element: number; native: Uint8Array; wasm: Uint8Array }[]> {
  const folder = temporaryFolder(t)
  const reference = await openInWasm(model)
  const loaded = (await runPlan(temporaryFolder(t), plan([litert(model)], []))).collected.artifacts.get('a')!
    .loaded!
  const order = (names: readonly { name: string }[], among: readonly { name: string }[]): number[] =>
    names.map(({ name }, i) =>
      among.length === 1
        ? 0
        : Math.max(
            among.findIndex((other) => other.name === name),
            names.every((one) => !among.some((other) => other.name === one.name)) ? i : -1,
          ),
    )
  const inputs = reference.inputs.map(({ element, bytes }) => randomTensor(element, bytes))
  const inputOrder = order(loaded.inputs, reference.inputs)
  const outputOrder = order(loaded.outputs, reference.outputs)
  const inputFiles = inputOrder.map((at, i) => {
    const path = join(folder, `in${i}`)
    writeFileSync(path, inputs[at]!)
    return path
  })
  const outputFiles = loaded.outputs.map((_, i) => join(folder, `out${i}`))
  const { status, collected, stderr } = await runPlan(
    folder,
    plan(
      [litert(model)],
      [{ do: 'infer', artifact: 'a', inputs: inputFiles, outputs: outputFiles, count: 1 }],
    ),
  )
  assert.equal(status, 0, `${basename(model)}: ${JSON.stringify(collected.end)} ${stderr}`)
  const wasm = await reference.run(inputs)
  return outputOrder.map((at, i) => ({
    element: reference.outputs[at]!.element,
    native: new Uint8Array(readFileSync(outputFiles[i]!)),
    wasm: wasm[at]!,
  }))
}

const quantized = [
  'mlperf-tiny/kws_dscnn_int8.tflite',
  'mlperf-tiny/ic_resnet8_int8.tflite',
  'mlperf-tiny/vww_int8.tflite',
  'mlperf-tiny/ad_int8.tflite',
]

for (const path of quantized) {
  test(`${path}: native outputs are bit-identical to LiteRT’s WebAssembly build’s`, { skip }, async (t) => {
    const [pair] = await both(t, fixture(path))
    assert.ok(pair!.native.length > 0)
    assert.deepEqual(pair!.native, pair!.wasm)
  })
}

test('every whole-integer network of the Edge TPU’s test set is bit-identical too', { skip }, async (t) => {
  const seen: string[] = []
  for (const year of ['2019', '2021']) {
    if (!existsSync(fixture(`edgetpu/${year}`))) continue
    for (const name of readdirSync(fixture(`edgetpu/${year}`)).filter(
      (file) => /quant.*\.tflite$/.test(file) && !file.includes('_edgetpu'),
    )) {
      // custom operators; state tensors
      if (/posenet|lstm/.test(name)) continue
      for (const { element, native, wasm } of await both(t, fixture(`edgetpu/${year}/${name}`))) {
        if (!anyBits.has(element)) continue
        assert.deepEqual(native, wasm, name)
        seen.push(name)
      }
    }
  }
  assert.ok(seen.length >= 2, `${seen}`)
})

test('a float network agrees with the WebAssembly build to rounding', { skip }, async (t) => {
  const [pair] = await both(t, fixture('mlperf-tiny/ic_resnet8_float.tflite'))
  const [native, wasm] = [pair!.native, pair!.wasm].map((bytes) => new Float32Array(bytes.slice().buffer))
  assert.ok(native!.length === 10)
  for (const [i, value] of native!.entries()) assert.ok(Math.abs(value - wasm![i]!) < 1e-5)
})

test('LiteRT is told apart from ONNX Runtime, and each from a library that is neither', {
  skip,
}, async (t) => {
  const found = await execute(['--check-library', litertLibrary(here)])
  assert.equal((JSON.parse(found.stdout) as { backend: string }).backend, 'litert')
  const wrong = await runPlan(temporaryFolder(t), plan([litert(kws, { library: library() })], []))
  assert.ok(wrong.collected.end.state === 'failed' && wrong.collected.end.code === 'LIBRARY_OPEN')
  assert.equal(runnerFailure(wrong.collected.end, 'board', wrong.status)?.code, 'RUNTIME_MISSING')
})

test('inputs, outputs and latencies come as with ONNX Runtime; the first inference stands apart', {
  skip,
}, async (t) => {
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan([litert(kws)], [{ do: 'measure', artifact: 'a', rateHz: 0, ...once }]),
  )
  const { loaded, latencyNs, firstNs } = collected.artifacts.get('a')!
  assert.deepEqual(loaded!.inputs, [{ name: 'input_1', dtype: 'int8', shape: [1, 49, 10, 1] }])
  assert.deepEqual(loaded!.outputs, [{ name: 'Identity', dtype: 'int8', shape: [1, 12] }])
  assert.deepEqual([latencyNs.length, firstNs! > 0], [3, true])
})

test('both runtimes take turns in one process', { skip }, async (t) => {
  const other = artifact('b', fixture('mlperf-tiny/kws_dscnn_float.onnx'))
  const { collected } = await runPlan(
    temporaryFolder(t),
    plan(
      [litert(kws), other],
      [
        {
          do: 'interleave',
          artifacts: ['a', 'b', 'b', 'a'],
          block: 2,
          minCount: 8,
          minSeconds: 0,
          maxCount: 8,
          maxSeconds: 30,
        },
      ],
    ),
  )
  assert.deepEqual(
    [collected.artifacts.get('a')!.latencyNs.length, collected.artifacts.get('b')!.latencyNs.length],
    [8, 8],
  )
})

test('threads: four compute what one does', { skip }, async (t) => {
  const answers = await Promise.all(
    [1, 4].map(async (threads) => {
      const folder = temporaryFolder(t)
      writeFileSync(join(folder, 'x'), new Uint8Array(490).fill(3))
      await runPlan(
        folder,
        plan(
          [litert(kws, { threads })],
          [
            {
              do: 'infer',
              artifact: 'a',
              inputs: [join(folder, 'x')],
              outputs: [join(folder, 'y')],
              count: 1,
            },
          ],
        ),
      )
      return readFileSync(join(folder, 'y'))
    }),
  )
  assert.equal(answers[0]!.length, 12)
  assert.deepEqual(answers[0], answers[1])
})

test('a truncated or foreign model is refused, never a crash', { skip }, async (t) => {
  const whole = readFileSync(kws)
  for (const share of [0, 0.001, 0.3, 0.7, 0.99]) {
    const folder = temporaryFolder(t)
    writeFileSync(join(folder, 'cut.tflite'), whole.subarray(0, Math.floor(whole.length * share)))
    const { status, signal, collected } = await runPlan(
      folder,
      plan([litert(join(folder, 'cut.tflite'))], []),
    )
    assert.deepEqual([status, signal], [4, null], `${share}`)
    assert.ok(collected.end.state === 'failed' && collected.end.code === 'MODEL_LOAD')
  }
})

test('what LiteRT’s own API cannot do is refused in words: delegates, operator times', {
  skip,
}, async (t) => {
  for (const [rest, words] of [
    [
      { delegate: { library: '/usr/lib/libedgetpu.so.1', options: {} } },
      /delegate needs a library with TFLite's C API/,
    ],
    [{ profile: true }, /operator times need a library with TFLite's C API/],
  ] as const) {
    const { status, collected } = await runPlan(temporaryFolder(t), plan([litert(kws, rest)], []))
    assert.equal(status, 4)
    assert.ok(collected.end.state === 'failed')
    assert.match(collected.end.message, words)
  }
})

test('a delegate is refused in a plan for ONNX Runtime', { skip: runnerMissing }, async (t) => {
  const { status, collected } = await runPlan(
    temporaryFolder(t),
    plan([artifact('a', 'x.onnx', { delegate: { library: 'x', options: {} } })], []),
  )
  assert.equal(status, 3)
  assert.ok(collected.end.state === 'failed' && /delegate: is for `litert` only/.test(collected.end.message))
})
