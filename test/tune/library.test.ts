import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { testDigits, pixelsOf } from '../../examples/mnist/digits.ts'
import { givenDataset } from '../../src/tune/given-samples.ts'
import {
  compareForms,
  EdgewrightError,
  fromTfjs,
  memoryDataset,
  openModel,
  renderTuneTable,
  tune,
} from '../../src/index.ts'
import { temporaryFolder } from '../data/temporary.ts'

const { images, labels, count } = testDigits()
const few = { count, images: images.subarray(0, 80 * 784), labels }

const samples = { x: { data: pixelsOf(few), shape: [80, 28, 28, 1] }, labels: labels.subarray(0, 80) }

function network(name = 'image'): tf.Sequential {
  const kernelInitializer = tf.initializers.heNormal({ seed: 1 })
  return tf.sequential({
    layers: [
      tf.layers.inputLayer({ inputShape: [28, 28, 1], name }),
      tf.layers.conv2d({
        filters: 4,
        kernelSize: 5,
        strides: 4,
        activation: 'relu',
        kernelInitializer,
      }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 10, kernelInitializer }),
    ],
  })
}

test('a network of TensorFlow.js is tuned by the snippet of the documentation, its data being tensors', async (t) => {
  const out = join(await temporaryFolder(t), 'tuned')
  const model = network()
  const data = {
    x: tf.tensor4d(pixelsOf(few), [80, 28, 28, 1]),
    labels: tf.oneHot(tf.tensor1d([...labels.subarray(0, 80)], 'int32'), 10),
  }
  const tuned = await tune(await fromTfjs(model), {
    method: 'qat',
    target: 'litert',
    data,
    device: null,
    out,
    training: { epochs: 1 },
  })
  assert.deepEqual(
    tuned.report.rows.map(({ stage, form }) => [stage, form]),
    [
      ['float', 'float'],
      ['float', 'int8, PTQ'],
      ['qat', 'float'],
      ['qat', 'int8, QAT'],
    ],
  )
  assert.ok(tuned.report.rows[0]!.accuracy, 'one-hot labels are read')
  assert.match(tuned.quantized!, /\.tflite$/)
  const [graph] = (await openModel(tuned.quantized!)).graphs.values()
  assert.equal(graph!.inputs.length, 1)
  assert.ok(existsSync(join(out, 'report.html')))
  assert.match(renderTuneTable(tuned.report, { color: false, width: 120 }), /int8, QAT/)
})

test('the same seed gives the same network, another seed another one', async (t) => {
  const folder = await temporaryFolder(t)
  const model = await fromTfjs(network())
  const trained = async (seed: number, name: string) => {
    const training = { epochs: 1, augment: 'shift:2' }
    const more = { scheme: 'float', device: null, out: join(folder, name), training } as const
    const tuned = await tune(model, { method: 'train', data: samples, seed, ...more })
    return readFileSync(tuned.model).toString('base64')
  }
  const first = await trained(1, 'first')
  assert.equal(await trained(1, 'again'), first)
  assert.notEqual(await trained(2, 'other'), first)
})

test('a list of methods, a data set and an observer are taken; warnings reach both it and the report', async (t) => {
  const stages: string[] = []
  const warned: string[] = []
  const [spec] = [{ name: 'image', dtype: 'float32' as const, shape: [1, 28, 28, 1] }]
  const tuned = await tune(await fromTfjs(network()), {
    method: ['train', 'distill'],
    data: memoryDataset(samples, [spec]),
    scheme: 'float',
    device: null,
    out: await temporaryFolder(t),
    training: { epochs: 1, learnFrom: 'both' },
    progress: { stage: (name) => stages.push(name), warn: ({ code }) => warned.push(code) },
  })
  assert.ok(stages.includes('train') && stages.includes('distill'), stages.join())
  assert.deepEqual(
    tuned.report.warnings.map(({ code }) => code),
    warned,
  )
  assert.deepEqual(
    tuned.report.rows.map(({ stage }) => stage),
    ['float', 'train', 'distill'],
  )
})

test('its signal ends a tuning', async (t) => {
  const controller = new AbortController()
  const progress = { signal: controller.signal, tick: () => controller.abort() }
  const more = { scheme: 'float', device: null, out: await temporaryFolder(t), progress } as const
  await assert.rejects(
    tune(await fromTfjs(network()), { method: 'train', data: samples, ...more }),
    failsAs('INTERRUPTED'),
  )
})

for (const [what, given, code] of [
  ['labels that are not one-hot', { x: samples.x, labels: tf.ones([80, 10]) }, 'DATA_LABELS'],
  ['fewer labels than samples', { x: samples.x, labels: [1, 2] }, 'DATA_LABELS'],
  ['labels beyond the classes', { x: samples.x, labels: Array(80).fill(10) }, 'DATA_LABELS'],
  ['another shape', { x: tf.zeros([80, 27, 28, 1]) }, 'DATA_SHAPE'],
  ['no samples', {}, 'DATA_SHAPE'],
] as const)
  test(`${what} in memory are refused`, async (t) => {
    const out = await temporaryFolder(t)
    const model = await fromTfjs(network())
    await assert.rejects(tune(model, { method: 'distill', data: given, device: null, out }), failsAs(code))
  })

test('an augmentation moves pictures in memory along their own axes, whichever way a network takes them', async () => {
  const shape = { first: [1, 1, 28, 28], last: [1, 28, 28, 1] }
  for (const [layout, of] of [
    ['NCHW', shape.first],
    ['NHWC', shape.last],
  ] as const) {
    const dataset = await givenDataset({ x: { data: pixelsOf(few), shape: [80, ...of.slice(1)] } }, [
      { name: 'image', dtype: 'float32', shape: of },
    ])
    assert.equal(dataset.preprocessing.layout, layout)
  }
})

test('a network that calls its output otherwise stands beside the original', async (t) => {
  const kernelInitializer = tf.initializers.heNormal({ seed: 2 })
  const other = tf.sequential({
    layers: [
      tf.layers.inputLayer({ inputShape: [28, 28, 1], name: 'image' }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 10, kernelInitializer, name: 'scores' }),
    ],
  })
  const networks = [
    { name: 'float', network: await fromTfjs(network()) },
    { name: 'other', network: await fromTfjs(other) },
  ]
  const options = { data: samples, target: 'litert', device: null, out: await temporaryFolder(t) }
  const { report } = await compareForms(networks, options)
  assert.deepEqual(
    report.rows.map(({ stage }) => stage),
    ['float', 'float', 'other', 'other'],
  )
  assert.ok(Math.abs(report.rows[3]!.accuracy!.value - report.rows[2]!.accuracy!.value) < 0.2)
})

test('forms of several networks are rows of one table, held against the first, with files', async (t) => {
  const out = await temporaryFolder(t)
  const shared = { data: samples, target: 'litert', device: null } as const
  const model = await fromTfjs(network())
  const qat = await tune(model, { method: 'qat', ...shared, training: { epochs: 1 }, out: join(out, 'qat') })
  const { report, forms } = await compareForms(
    [
      { name: 'float', network: model, schemes: ['dynamic', 'full-int8'] },
      { name: 'qat', network: qat, schemes: ['full-int8'] },
      { name: 'again', network: qat.model, schemes: ['float'] },
    ],
    { ...shared, out },
  )
  assert.deepEqual(
    report.rows.map(({ stage, form }) => `${stage}: ${form}`),
    ['float: float', 'float: int8, PTQ dynamic', 'float: int8, PTQ static', 'qat: int8, QAT', 'again: float'],
  )
  assert.equal(report.rows[0]!.sqnrDb, null, 'the first is what it is held against')
  assert.equal(report.rows[3]!.accuracy!.pValue !== null, true)
  const [, , , artifact] = forms
  assert.deepEqual(
    readFileSync(artifact!.path),
    readFileSync(qat.quantized!),
    'what was trained, not compiled again',
  )
  const others = [
    { name: 'float', network: model },
    { name: 'other', network: await fromTfjs(network('picture')) },
  ]
  await assert.rejects(compareForms(others, { ...shared, out }), failsAs('MODEL_SHAPE_INVALID'))
  const elsewhere = { ...shared, target: 'onnxruntime', out }
  await assert.rejects(
    compareForms(
      [
        { name: 'float', network: model },
        { name: 'qat', network: qat },
      ],
      elsewhere,
    ),
    failsAs('USAGE'),
  )
  await assert.rejects(compareForms([], { ...shared, out }), failsAs('USAGE'))
})

function failsAs(code: string): (error: unknown) => boolean {
  return (error) => error instanceof EdgewrightError && error.code === code
}
