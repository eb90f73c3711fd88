import * as tf from '@tensorflow/tfjs'
import { type Digits, firstOf, pixelsOf, side, trainingDigits } from './digits.ts'

const seed = 20261122
const epochs = 10
const batchSize = 32
const learningRate = 2e-3
/** Each digit is moved by up to so many pixels, anew in each epoch. */
const largestShift = 2

/** The network: 121,930 weights. It ends in logits; a softmax would not change which digit is the likeliest. */
export function createNetwork(): tf.Sequential {
  const seeds = seedSequence()
  const weights = () => tf.initializers.heNormal({ seed: seeds() })
  return tf.sequential({
    name: 'mnist',
    layers: [
      tf.layers.conv2d({
        inputShape: [side, side, 1],
        filters: 32,
        kernelSize: 3,
        activation: 'relu',
        kernelInitializer: weights(),
      }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.conv2d({ filters: 64, kernelSize: 3, activation: 'relu', kernelInitializer: weights() }),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.flatten(),
      tf.layers.dense({ units: 64, activation: 'relu', kernelInitializer: weights() }),
      tf.layers.dense({ units: 10, kernelInitializer: weights() }),
    ],
  })
}

/** Trains on 5,000 digits; the rate falls along half a cosine. The same weights each time on one computer. */
export async function train(say: (line: string) => void): Promise<tf.Sequential> {
  const network = createNetwork()
  const digits = firstOf(trainingDigits(), 5_000)
  const optimizer = tf.train.adam(learningRate)
  network.compile({ optimizer, loss: (label, logits) => tf.losses.softmaxCrossEntropy(label, logits) })
  const random = randomNumbers(seed)
  const steps = Math.ceil(digits.count / batchSize)
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffled(digits.count, random)
    let loss = 0
    for (let step = 0; step < steps; step++) {
      setLearningRate(
        optimizer,
        (learningRate / 2) * (1 + Math.cos((Math.PI * (epoch + step / steps)) / epochs)),
      )
      const batch = batchOf(digits, order.slice(step * batchSize, (step + 1) * batchSize), random)
      loss += ((await network.trainOnBatch(batch.images, batch.labels)) as number) / steps
      tf.dispose([batch.images, batch.labels])
    }
    say(`epoch ${epoch + 1} of ${epochs}: loss ${loss.toFixed(4)}`)
  }
  return network
}

/** The network's ten logits for each digit, one row after the other. */
export function logitsOf(network: tf.LayersModel, digits: Digits): Float32Array {
  return tf.tidy(() => {
    const images = tf.tensor4d(pixelsOf(digits), [digits.count, side, side, 1])
    return (network.predict(images) as tf.Tensor).dataSync() as Float32Array
  })
}

/** The picked digits, each moved a little; labels one-hot. */
function batchOf({ images, labels }: Digits, picked: readonly number[], random: () => number) {
  const pixels = side * side
  const values = new Float32Array(picked.length * pixels)
  const shift = () => Math.floor(random() * (2 * largestShift + 1)) - largestShift
  for (const [row, index] of picked.entries()) {
    const [down, right] = [shift(), shift()]
    for (let y = Math.max(0, down); y < Math.min(side, side + down); y++)
      for (let x = Math.max(0, right); x < Math.min(side, side + right); x++)
        values[row * pixels + y * side + x] = images[index * pixels + (y - down) * side + x - right]! / 255
  }
  return {
    images: tf.tensor4d(values, [picked.length, side, side, 1]),
    labels: tf.tidy(() =>
      tf
        .oneHot(
          tf.tensor1d(
            picked.map((index) => labels[index]!),
            'int32',
          ),
          10,
        )
        .toFloat(),
    ),
  }
}

/** TensorFlow.js has no schedules: its optimizers read this field at each step. */
function setLearningRate(optimizer: tf.Optimizer, rate: number): void {
  ;(optimizer as unknown as { learningRate: number }).learningRate = rate
}

function seedSequence(): () => number {
  let next = seed
  return () => next++
}

function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    ;[order[last], order[other]] = [order[other]!, order[last]!]
  }
  return order
}

/** Numbers in [0, 1): mulberry32, so that training can be repeated. */
function randomNumbers(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
