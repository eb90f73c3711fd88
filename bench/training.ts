/**
 * Training: one network, one set of weights, the same batches in the same order, in TensorFlow.js (WebAssembly) and in ours
 * (a graph with gradients that ONNX Runtime executes), epochs in turns in one process. Both use one thread: WebAssembly
 * has no more in Node.js. The losses must agree: else the two did not do the same work.
 *
 *     node --import tsx bench/training.ts [epochs] [images]
 */
import * as tf from '@tensorflow/tfjs'
import { pixelsOf, side, trainingDigits } from '../examples/mnist-tfjs/digits.ts'
import { createNetwork } from '../examples/mnist-tfjs/train.ts'
import { useWasm } from '../examples/mnist-tfjs/wasm-backend.ts'
import { fromTfjs } from '../src/formats/tfjs/read.ts'
import type { Tensor } from '../src/tensor.ts'
import { crossEntropy } from '../src/train/losses.ts'
import { openNetwork } from '../src/train/open-network.ts'
import { sgd } from '../src/train/optimizers.ts'
import { buildProgram } from '../src/train/program.ts'
import { openSession } from '../src/train/session.ts'

const epochs = Number(process.argv[2] ?? 3)
const images = Number(process.argv[3] ?? 2_000)
const batchSize = 64
const learningRate = 0.01
const momentum = 0.9

await useWasm()
const network = createNetwork()
const model = await fromTfjs(network)
const [graph] = model.graphs.values()
const digits = trainingDigits()
const pixels = pixelsOf(digits)
const steps = Math.floor(Math.min(images, digits.count) / batchSize)
const area = side * side

const opened = openNetwork(graph!, { batchSize, batchNorm: 'train' })
const program = buildProgram(opened, { loss: crossEntropy(), optimizer: sgd({ momentum }) })
const session = await openSession(program, { threads: 1 })
const optimizer = tf.train.momentum(learningRate, momentum)

const seconds = { tfjs: [] as number[], ours: [] as number[] }
const losses: { tfjs: number; ours: number }[] = []
for (let epoch = 0; epoch < epochs; epoch++) {
  // in turns: what slows the machine down slows both
  const order = epoch % 2 === 0 ? (['ours', 'tfjs'] as const) : (['tfjs', 'ours'] as const)
  const result = { tfjs: [] as number[], ours: [] as number[] }
  for (const engine of order) {
    const began = performance.now()
    for (let step = 0; step < steps; step++)
      result[engine].push(engine === 'ours' ? await ourStep(epoch, step) : tfjsStep(step))
    seconds[engine].push((performance.now() - began) / 1000)
  }
  for (let step = 0; step < steps; step++) losses.push({ tfjs: result.tfjs[step]!, ours: result.ours[step]! })
}
await session.close()

const ratios = seconds.tfjs.map((tfjs, epoch) => tfjs / seconds.ours[epoch]!)
const apart = Math.max(
  ...losses.slice(0, steps).map(({ tfjs, ours }) => Math.abs(tfjs - ours) / Math.max(0.1, tfjs)),
)
console.log(
  `MNIST CNN (121,930 weights), ${steps * batchSize} images an epoch, batch ${batchSize}, one thread`,
)
console.log(`TensorFlow.js on WebAssembly: ${shown(seconds.tfjs)} s an epoch`)
console.log(`ours on ONNX Runtime:         ${shown(seconds.ours)} s an epoch`)
console.log(`times as fast:                ${shown(ratios)}, median ${median(ratios).toFixed(1)} (limit 8)`)
console.log(`losses of the first epoch apart by at most ${(100 * apart).toFixed(3)} %`)
if (!(median(ratios) >= 8) || !(apart < 0.01)) process.exitCode = 1

async function ourStep(epoch: number, step: number): Promise<number> {
  const from = step * batchSize
  const feeds = new Map<string, Tensor>([
    [
      opened.inputs[0]!,
      {
        dtype: 'float32',
        shape: [batchSize, side, side, 1],
        data: pixels.slice(from * area, (from + batchSize) * area),
      },
    ],
    [
      'label',
      {
        dtype: 'int64',
        shape: [batchSize],
        data: BigInt64Array.from(digits.labels.slice(from, from + batchSize), BigInt),
      },
    ],
  ])
  return (await session.step(feeds, learningRate, epoch * steps + step)).loss!
}

function tfjsStep(step: number): number {
  const from = step * batchSize
  return tf.tidy(() => {
    const x = tf.tensor4d(pixels.slice(from * area, (from + batchSize) * area), [batchSize, side, side, 1])
    const y = tf.oneHot(tf.tensor1d(Array.from(digits.labels.slice(from, from + batchSize)), 'int32'), 10)
    const loss = optimizer.minimize(
      () => tf.losses.softmaxCrossEntropy(y, network.apply(x, { training: true }) as tf.Tensor) as tf.Scalar,
      true,
    )!
    return loss.dataSync()[0]!
  })
}

function shown(numbers: readonly number[]): string {
  return numbers.map((number) => number.toFixed(2)).join(', ')
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}
