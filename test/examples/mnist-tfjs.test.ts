import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs'
import { checkConversion } from '../../examples/mnist-tfjs/check-conversion.ts'
import { side, testDigits } from '../../examples/mnist/digits.ts'
import { loadModel, modelFile } from '../../examples/mnist-tfjs/stored-model.ts'
import { createNetwork } from '../../examples/mnist-tfjs/train.ts'
import { useWasm } from '../../examples/mnist-tfjs/wasm-backend.ts'
import {
  compileModel,
  fromTfjs,
  type Model,
  openModel,
  parseRecipe,
  printGraph,
  silentProgress,
} from '../../src/index.ts'
import { predict } from '../../targets/edgetpu/predict.ts'
import { temporaryFolder } from '../data/temporary.ts'
import { repositoryRoot } from '../fixtures.ts'

/** Of the float network: 121,930 numbers of 4 bytes. */
const weightBytes = 487_720

before(useWasm)

for (const { name, input, filter, strides, pad } of [
  { name: 'the first layer', input: [3, 28, 28, 1], filter: [3, 3, 1, 4], strides: 1, pad: 'valid' },
  { name: 'several channels', input: [2, 7, 9, 3], filter: [3, 2, 3, 5], strides: 1, pad: 'same' },
  {
    name: 'strides that leave a rest',
    input: [2, 8, 11, 3],
    filter: [3, 3, 3, 4],
    strides: [2, 3],
    pad: 'valid',
  },
  { name: 'strides with padding', input: [2, 9, 8, 2], filter: [4, 3, 2, 3], strides: 2, pad: 'same' },
  {
    name: 'explicit padding',
    input: [1, 5, 6, 2],
    filter: [3, 3, 2, 2],
    strides: 1,
    pad: [
      [0, 0],
      [1, 2],
      [0, 1],
      [0, 0],
    ],
  },
  { name: 'a 1×1 filter', input: [2, 4, 4, 3], filter: [1, 1, 3, 2], strides: 1, pad: 'valid' },
] as const)
  test(`the gradient by the filter on WebAssembly is that of TensorFlow.js on the CPU: ${name}`, async () => {
    const gradientOn = async (backend: string): Promise<Float32Array> => {
      await tf.setBackend(backend)
      return tf.tidy(() => {
        const x = tf.randomUniform([...input], -1, 1, 'float32', 1) as tf.Tensor4D
        const w = tf.randomUniform([...filter], -1, 1, 'float32', 2) as tf.Tensor4D
        const convolve = (weights: tf.Tensor) => {
          const y = tf.conv2d(x, weights as tf.Tensor4D, strides as never, pad as never)
          // Squared, so that the gradient of the output differs from place to place
          return y.square().sum()
        }
        return tf.grad(convolve)(w).dataSync() as Float32Array
      })
    }
    const expected = await gradientOn('cpu')
    const actual = await gradientOn('wasm')
    const largest = Math.max(...expected.map(Math.abs))
    assert.ok(largest > 1)
    for (const [index, value] of expected.entries())
      assert.ok(
        Math.abs(actual[index]! - value) <= 1e-5 * largest,
        `${index}: ${actual[index]}, not ${value}`,
      )
  })

test('training on WebAssembly keeps no tensor', async () => {
  await tf.setBackend('wasm')
  const network = createNetwork()
  network.compile({ optimizer: tf.train.sgd(0.01), loss: tf.losses.softmaxCrossEntropy as never })
  const images = tf.randomUniform([4, side, side, 1], 0, 1, 'float32', 3)
  const labels = tf.oneHot([1, 2, 3, 4], 10)
  const held = () => [tf.memory().numTensors, tf.memory().numDataBuffers, tf.backend().numDataIds()]
  await network.trainOnBatch(images, labels)
  const first = held()
  for (let step = 0; step < 3; step++) await network.trainOnBatch(images, labels)
  assert.deepEqual(held(), first)
})

test('the trained network gets at least 97 % of the test digits right, and so does what is read of it', async () => {
  const network = await loadModel()
  const check = await checkConversion(network, testDigits())
  assert.ok(check.tfjsAccuracy >= 0.97, `${check.tfjsAccuracy}`)
  assert.ok(check.accuracy >= 0.97, `${check.accuracy}`)
  assert.ok(check.largestDifference <= 1e-5, `${check.largestDifference}`)
})

test('the files of the trained network and its memory read as the same graph', async () => {
  const stored = await openModel(fileURLToPath(modelFile))
  const live = await fromTfjs(await loadModel())
  const print = (model: Model) => [...model.graphs.values()].map((graph) => printGraph(graph))
  assert.deepEqual(print(stored), print(live))
  assert.deepEqual(digests(stored), digests(live))
})

for (const target of ['litert', 'onnxruntime'])
  test(`full-int8 for ${target} is a quarter of the size, answers as float does and is integers only`, async (context) => {
    const { quality, manifest, folder } = await compileModel(
      {
        model: fileURLToPath(modelFile),
        shapes: {},
        data: join(repositoryRoot, 'examples/mnist/data.yaml'),
        calibrationData: join(repositoryRoot, 'examples/mnist/calibration.yaml'),
        metric: undefined,
        // Float inputs and outputs would leave a QUANTIZE and a DEQUANTIZE to the CPU of an Edge TPU's board
        recipe: parseRecipe({ io: 'int8' }, 'the test'),
        profile: 'raspberry-pi-5',
        target,
        out: join(await temporaryFolder(context), 'artifact'),
      },
      silentProgress(),
    )
    assert.equal(quality.samples, 1000)
    assert.ok(quality.float! - quality.compiled! <= 0.006, `${quality.float} to ${quality.compiled}`)
    assert.ok(quality.agreement! >= 0.99, `${quality.agreement}`)
    assert.ok(quality.sqnrDb > 30, `${quality.sqnrDb} dB`)
    const { bytes } = manifest.files.find(({ path }) => path === manifest.model)!
    assert.ok(bytes <= 0.28 * weightBytes, `${bytes} of ${weightBytes} bytes`)
    assert.equal(manifest.integerOnly, true)
    if (target !== 'litert') return
    const compiled = await openModel(join(folder, manifest.model))
    const prediction = predict([...compiled.graphs.values()][0]!, { assumeInt8: false })
    assert.deepEqual(
      prediction.operators.filter(({ mapped }) => !mapped).map(({ reason }) => reason),
      [],
      'the Edge TPU takes all of it',
    )
    assert.ok(prediction.mappedCount >= 7)
  })

function digests(model: Model): string[] {
  const [graph] = [...model.graphs.values()]
  return [...graph!.values.values()].flatMap(({ name, constant }) =>
    constant ? [`${name} ${constant.digest}`] : [],
  )
}
