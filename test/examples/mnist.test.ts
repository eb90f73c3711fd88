import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { checkConversion } from '../../examples/mnist-tfjs/check-conversion.ts'
import { useWasm } from '../../examples/mnist-tfjs/wasm-backend.ts'
import {
  type Digits,
  firstOf,
  pixelsOf,
  samplesOf,
  side,
  testDigits,
  trainingDigits,
} from '../../examples/mnist/digits.ts'
import { expectations } from '../../examples/mnist/expectations.ts'
import { quantizationAware, trainNetwork } from '../../examples/mnist/forms.ts'
import { createNetwork, createStudent } from '../../examples/mnist/networks.ts'
import { openIdx } from '../../src/data/idx.ts'
import { compareForms, executeGraph, openEvaluator, openModel, type Tuned } from '../../src/index.ts'
import { temporaryFolder } from '../data/temporary.ts'
import { repositoryRoot } from '../fixtures.ts'

before(useWasm)

test('no test digit is among the 9,000 that are trained on, and no digit is there twice', async () => {
  const { count, images } = trainingDigits()
  const seen = digestsOf(images, count)
  assert.equal(count, 9000)
  assert.equal(seen.size, count)
  const tested = digestsOf(testDigits().images, 1000)
  assert.equal(tested.size, 1000)
  assert.deepEqual(
    [...tested].filter((digest) => seen.has(digest)),
    [],
  )
})

test('all calibration digits are among those that are trained on', async () => {
  const { count, images } = trainingDigits()
  const seen = digestsOf(images, count)
  const stored = await openIdx(join(repositoryRoot, 'examples/mnist/calibration-images.idx3-ubyte'))
  const records = await Promise.all(Array.from({ length: 300 }, async (_, index) => stored.record(index)))
  assert.ok([...digestsOf(Buffer.concat(records), 300)].every((digest) => seen.has(digest)))
})

test('a tenth of the test digits is of each kind, and any part of the training digits holds about its share', () => {
  const tested = testDigits().labels
  const { labels } = trainingDigits()
  for (let digit = 0; digit < 10; digit++) {
    const share = (some: Uint8Array) => some.filter((label) => label === digit).length / some.length
    assert.equal(share(tested), 0.1)
    for (const part of [labels.subarray(0, 500), labels.subarray(4000, 4500)])
      assert.ok(Math.abs(share(part) - share(labels)) < 0.003)
  }
})

test('the networks of the example compute in Edgewright what they compute in TensorFlow.js', async () => {
  for (const network of [createNetwork(), createStudent()]) {
    const { largestDifference } = await checkConversion(network, firstOf(testDigits(), 50))
    assert.ok(largestDifference <= 1e-5, `${largestDifference}`)
  }
})

// what the example shows at length, with fewer epochs
test('trained on 9,000 digits the network gets 98.5 % of 1,000 others right, and int8 is a quarter of it with no loss', async (t) => {
  const out = await temporaryFolder(t)
  const shared = {
    data: samplesOf(trainingDigits()),
    evaluationData: samplesOf(testDigits()),
    target: 'onnxruntime',
    out,
  }
  const trained = await trainNetwork(createNetwork(), shared, 8)
  const qat = await quantizationAware(trained, shared, 1)
  assert.ok(
    (await stepsApart(qat, firstOf(testDigits(), 300))) < 1.001,
    'the artifact answers what training saw',
  )
  const { report, forms, folder } = await compareForms(
    [
      { name: 'float', network: trained, schemes: ['float', 'dynamic', 'full-int8'] },
      { name: 'qat', network: qat, schemes: ['full-int8'] },
    ],
    { ...shared, device: null, out: join(out, 'compared') },
  )
  assert.deepEqual(
    report.rows.map(({ stage, form }) => `${stage}: ${form}`),
    ['float: float', 'float: int8, PTQ dynamic', 'float: int8, PTQ static', 'qat: int8, QAT'],
  )
  assert.equal(report.rows[0]!.samples, 1000)
  const held = expectations(report)
  for (const { what } of held) t.diagnostic(what)
  assert.equal(held.length, 7)
  assert.deepEqual(
    held.filter(({ holds }) => !holds).map(({ what }) => what),
    [],
  )
  assert.deepEqual(
    report.steps.map(({ method, epochs }) => [method, epochs.length]),
    [
      ['float: train', 8],
      ['qat', 1],
    ],
  )
  assert.equal(forms.length, 4)
  for (const { path } of forms) await (await openEvaluator(readFileSync(path))).close()
  assert.ok(existsSync(join(folder, 'report.html')))
})

/** Largest difference of an artifact's logit from what training computed, in steps of the artifact's output. */
async function stepsApart({ stages, quantized }: Tuned, digits: Digits): Promise<number> {
  const { seen } = stages.at(-1)!
  const [artifact] = (await openModel(quantized!)).graphs.values()
  const last = artifact!.nodes.find(({ outputs }) => outputs[0] === artifact!.outputs[0])!
  // ONNX Runtime's last product gives reals: a step is then what its range would be stored in
  const stored = last.op.kind === 'Convert' ? artifact!.values.get(last.inputs[0]!)!.type.quantization : null
  const trained = await executeGraph(seen!())
  const deployed = await openEvaluator(readFileSync(quantized!))
  const pixels = pixelsOf(digits)
  let most = 0
  const range = { min: 0, max: 0 }
  try {
    for (let index = 0; index < digits.count; index++) {
      const data = pixels.subarray(index * side * side, (index + 1) * side * side)
      const feeds = new Map([['image', { dtype: 'float32' as const, shape: [1, side, side, 1], data }]])
      const [ours] = [...(await trained.run(feeds)).values()]
      const [theirs] = [...(await deployed.run(feeds)).values()]
      assert.equal(theirs!.data.length, 10)
      for (const [at, logit] of (theirs!.data as Float32Array).entries()) {
        most = Math.max(most, Math.abs(logit - Number(ours!.data[at])))
        range.min = Math.min(range.min, logit)
        range.max = Math.max(range.max, logit)
      }
    }
  } finally {
    await trained.close()
    await deployed.close()
  }
  return most / (stored?.scales[0] ?? (range.max - range.min) / 255)
}

function digestsOf(images: Uint8Array, count: number): Set<string> {
  const pixels = side * side
  return new Set(
    Array.from({ length: count }, (_, index) =>
      createHash('sha256')
        .update(images.subarray(index * pixels, (index + 1) * pixels))
        .digest('hex'),
    ),
  )
}
