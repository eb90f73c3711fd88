import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
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
  more: { target?: string; scheme?: 'weight-only' | 'dynamic' } = {},
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
  const [ptq, qat] = [forms.get('int8, PTQ')!.sqnrDb!, forms.get('int8, QAT')!.sqnrDb!]
  assert.ok(Math.abs(qat - ptq) < 0.5, `${ptq} and ${qat} dB`)
  assert.ok(stages.at(-1)!.notes.some((note) => note.startsWith('Stays as it was before training')))
})

test('a training that gains says by how much, and its artifact differs from the compile’s', async (t) => {
  const folder = await temporaryFolder(t)
  const {
    report,
    stages,
    quantized: file,
  } = await quantized(join(folder, 'mild'), { epochs: 4, learningRate: 2e-5 })
  assert.deepEqual(report.warnings, [])
  const note = stages.at(-1)!.notes.find((one) => one.startsWith('Kept: '))!
  const [, before, after] = /loss ([\d.e-]+) → ([\d.e-]+) on/.exec(note)!
  assert.ok(Number(after) < Number(before), note)
  assert.ok(readFileSync(file!).length > 0)
})

for (const [target, scheme, form] of [
  ['litert', 'weight-only', 'int8 weights, QAT'],
  ['onnxruntime', 'dynamic', 'int8, QAT dynamic'],
] as const)
  test(`${scheme} weights for ${target} are trained, and are what training saw`, async (t) => {
    const training = { epochs: 1, learningRate: 1e-5 }
    const out = await temporaryFolder(t)
    const { report, stages, quantized: file } = await quantized(out, training, { target, scheme })
    assert.equal(report.rows.at(-1)!.form, form)
    const said = 'The artifact stores the very integers and scales that training saw.'
    assert.ok(stages.at(-1)!.notes.includes(said))
    assert.ok(statSync(file!).size < 0.3 * statSync(model).size)
  })
