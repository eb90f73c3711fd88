import * as tf from '@tensorflow/tfjs'
import { side } from './digits.ts'

/** Of the initial weights: with the same seed the example gives the same networks on one computer. */
const seed = 2

/** The network: three convolutions with batch norm, two dense layers, 225 thousand weights. It ends in logits. */
export function createNetwork(): tf.Sequential {
  const weights = initializers(seed)
  const convolution = (filters: number) => [
    tf.layers.conv2d({
      filters,
      kernelSize: 3,
      padding: 'same',
      useBias: false,
      kernelInitializer: weights(),
    }),
    normalization(),
    tf.layers.reLU(),
  ]
  return tf.sequential({
    name: 'mnist',
    layers: [
      image(),
      ...convolution(16),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      ...convolution(32),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      ...convolution(64),
      tf.layers.flatten(),
      tf.layers.dense({ units: 64, activation: 'relu', kernelInitializer: weights() }),
      tf.layers.dense({ units: 10, kernelInitializer: weights() }),
    ],
  })
}

/** A student of another architecture: strides in place of pooling (Springenberg et al. 2015), 37 thousand weights. */
export function createStudent(): tf.Sequential {
  const weights = initializers(seed + 1000)
  const convolution = (filters: number, kernelSize: number, strides: number) => [
    tf.layers.conv2d({
      filters,
      kernelSize,
      strides,
      padding: 'same',
      useBias: false,
      kernelInitializer: weights(),
    }),
    normalization(),
    tf.layers.reLU(),
  ]
  return tf.sequential({
    name: 'student',
    layers: [
      image(),
      ...convolution(12, 5, 2),
      ...convolution(24, 3, 2),
      ...convolution(48, 3, 1),
      tf.layers.flatten(),
      tf.layers.dense({ units: 10, kernelInitializer: weights() }),
    ],
  })
}

/** Teacher and student take what they are compared on under one name. */
function image(): tf.layers.Layer {
  return tf.layers.inputLayer({ inputShape: [side, side, 1], name: 'image' })
}

/** Statistics that follow within the few hundred steps that the example trains for. */
function normalization(): tf.layers.Layer {
  return tf.layers.batchNormalization({ momentum: 0.9 })
}

function initializers(first: number): () => ReturnType<typeof tf.initializers.heNormal> {
  let next = first
  return () => tf.initializers.heNormal({ seed: next++ })
}
