import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { checkGradients } from './oracle.ts'

const epsilon = 1e-3
const positive = (value: number) => Math.abs(value) + 0.3

test('batch normalization in inference form, by its statistics too', () =>
  checkGradients({
    shapes: [[2, 3, 4, 4], [3], [3], [3], [3]],
    domain: positive,
    build: (b, ...inputs) => b.op({ kind: 'BatchNormalization', epsilon, layout: 'channels-first' }, inputs),
    tfjs: (...inputs) => {
      const [x, ...vectors] = inputs
      const [scale, bias, mean, variance] = vectors.map((vector) => vector.reshape([1, 3, 1, 1]))
      return x!.sub(mean!).mul(scale!).div(variance!.add(epsilon).sqrt()).add(bias!)
    },
  }))

test('layer normalization over one axis and over two', async () => {
  await checkGradients({
    shapes: [[2, 3, 5], [5], [5]],
    build: (b, ...inputs) => b.op({ kind: 'LayerNormalization', axis: 2, epsilon }, inputs),
    tfjs: (x, scale, bias) => {
      const { mean, variance } = tf.moments(x!, 2, true)
      return x!.sub(mean).div(variance.add(epsilon).sqrt()).mul(scale!).add(bias!)
    },
  })
  await checkGradients({
    shapes: [
      [2, 3, 5],
      [3, 5],
    ],
    build: (b, ...inputs) => b.op({ kind: 'LayerNormalization', axis: 1, epsilon }, inputs),
    tfjs: (x, scale) => {
      const { mean, variance } = tf.moments(x!, [1, 2], true)
      return x!.sub(mean).div(variance.add(epsilon).sqrt()).mul(scale!)
    },
  })
})

test('instance normalization', () =>
  checkGradients({
    shapes: [[2, 3, 4, 4], [3], [3]],
    build: (b, ...inputs) => b.op({ kind: 'InstanceNormalization', epsilon }, inputs),
    tfjs: (x, scale, bias) => {
      const { mean, variance } = tf.moments(x!, [2, 3], true)
      const normalized = x!.sub(mean).div(variance.add(epsilon).sqrt())
      return normalized.mul(scale!.reshape([1, 3, 1, 1])).add(bias!.reshape([1, 3, 1, 1]))
    },
  }))

test('batch normalization of rows, and normalizations along one dimension', async () => {
  await checkGradients({
    shapes: [[6, 4], [4], [4], [4], [4]],
    domain: positive,
    build: (b, ...inputs) => b.op({ kind: 'BatchNormalization', epsilon, layout: 'channels-first' }, inputs),
    tfjs: (x, scale, bias, mean, variance) =>
      x!.sub(mean!).mul(scale!).div(variance!.add(epsilon).sqrt()).add(bias!),
  })
  await checkGradients({
    shapes: [[2, 3, 7], [3], [3]],
    build: (b, ...inputs) => b.op({ kind: 'InstanceNormalization', epsilon }, inputs),
    tfjs: (x, scale, bias) => {
      const { mean, variance } = tf.moments(x!, 2, true)
      const normalized = x!.sub(mean).div(variance.add(epsilon).sqrt())
      return normalized.mul(scale!.reshape([1, 3, 1])).add(bias!.reshape([1, 3, 1]))
    },
  })
})

test('a normalization far from zero keeps its gradient', () =>
  checkGradients({
    shapes: [[2, 8], [8], [8]],
    domain: (value, index) => value + (index % 3) + 30,
    build: (b, ...inputs) => b.op({ kind: 'LayerNormalization', axis: 1, epsilon }, inputs),
    tfjs: (x, scale, bias) => {
      const { mean, variance } = tf.moments(x!, 1, true)
      return x!.sub(mean).div(variance.add(epsilon).sqrt()).mul(scale!).add(bias!)
    },
  }))
