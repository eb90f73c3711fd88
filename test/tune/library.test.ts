import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { testDigits, pixelsOf } from '../../examples/mnist/digits.ts'
import { fromTfjs, openModel, renderTuneTable, tune } from '../../src/index.ts'
import { temporaryFolder } from '../data/temporary.ts'

const { images, labels, count } = testDigits()
const few = { count, images: images.subarray(0, 80 * 784), labels }

function network(): tf.Sequential {
  const kernelInitializer = tf.initializers.heNormal({ seed: 1 })
  return tf.sequential({
    layers: [
      tf.layers.conv2d({
        inputShape: [28, 28, 1],
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
