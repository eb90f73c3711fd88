import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { testDigits, pixelsOf } from '../../examples/mnist/digits.ts'
import { openModel, tune } from '../../src/index.ts'
import { temporaryFolder } from '../data/temporary.ts'
import { repositoryRoot } from '../fixtures.ts'

const { images, labels } = testDigits()
const few = { count: 160, images: images.subarray(0, 160 * 784), labels }
const samples = {
  x: { data: pixelsOf(few), shape: [160, 1, 28, 28] },
  labels: labels.subarray(0, 160),
}

const model = join(repositoryRoot, 'examples/mnist/mnist.onnx')

async function quantized(
  out: string,
  training: { epochs: number; learningRate?: number },
  more: {
    target?: string
    scheme?: 'weight-only' | 'dynamic'
    qat?: { weightBits: number }
  } = {},
) {
  return tune(await openModel(model), {
    method: 'qat',
    target: 'litert',
    data: samples,
    device: null,
    out,
    training,
    ...more,
  })
}

test('a training that loses on what it did not learn from is not kept, and a warning says so', async (t) => {
  const folder = await temporaryFolder(t)
  const { report, stages } = await quantized(join(folder, 'wild'), { epochs: 2, learningRate: 0.3 })
  assert.deepEqual(
    report.warnings.map(({ code }) => code),
    ['TRAINING_NO_GAIN'],
  )
  const forms = new Map(report.rows.map(({ form, ...row }) => [form, row]))
  assert.equal(forms.get('int8, QAT')!.sqnrDb, forms.get('int8, PTQ')!.sqnrDb)
  assert.ok(stages.at(-1)!.notes.some((note) => note.startsWith('Stays as it was before training')))
})

test('a training that gains says by how much on what it did not learn from', async (t) => {
  const out = await temporaryFolder(t)
  const { report, stages } = await quantized(out, { epochs: 2 }, { qat: { weightBits: 3 } })
  assert.deepEqual(report.warnings, [])
  const note = stages.at(-1)!.notes.find((one) => one.startsWith('Kept: '))!
  const [, before, after] = /loss ([\d.e-]+) → ([\d.e-]+) on 16 samples/.exec(note)!
  assert.ok(Number(after) < Number(before), note)
  const [ptq, qat] = report.rows.slice(-2)
  assert.ok(qat!.sqnrDb! > ptq!.sqnrDb!, `${ptq!.sqnrDb} to ${qat!.sqnrDb} dB`)
})

for (const [target, scheme, form] of [
  ['litert', 'weight-only', 'int8 weights, QAT'],
  ['onnxruntime', 'dynamic', 'int8, QAT dynamic'],
] as const)
  test(`${scheme} weights for ${target} are trained, and stored as training saw them`, async (t) => {
    const training = { epochs: 1, learningRate: 1e-5 }
    const out = await temporaryFolder(t)
    const { report, quantized: file } = await quantized(out, training, { target, scheme })
    assert.equal(report.rows.at(-1)!.form, form)
    assert.ok(report.warnings.every(({ code }) => code !== 'QAT_DEVIATION'))
    assert.ok(statSync(file!).size < 0.3 * statSync(model).size)
  })
