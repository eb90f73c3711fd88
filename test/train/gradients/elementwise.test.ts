import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { Op, OpOf } from '../../../src/graph/ops.ts'
import { gradientTable } from '../../../src/train/gradients/index.ts'
import { opTable } from '../../../src/graph/table/index.ts'
import { checkGradients } from './oracle.ts'

/** Nothing within a difference quotient of zero, of ±1/2 or of ±3, where functions have their kinks. */
const smooth = (value: number) => {
  const sign = value < 0 ? -1 : 1
  const moved = Math.abs(value) + 0.1
  return sign * (Math.abs(moved - 0.5) < 0.07 ? moved + 0.15 : moved)
}
const positive = (value: number) => Math.abs(value) + 0.5

const shape = [2, 3, 4]

const activations: readonly [string, Op, ((x: tf.Tensor) => tf.Tensor)?][] = [
  ['relu', { kind: 'Relu' }, tf.relu],
  ['leaky relu', { kind: 'LeakyRelu', alpha: 0.1 }, (x) => tf.leakyRelu(x, 0.1)],
  ['clip', { kind: 'Clip', min: -0.5, max: 0.5 }, (x) => tf.clipByValue(x, -0.5, 0.5)],
  ['clip without an upper end', { kind: 'Clip', min: -0.5, max: Number.POSITIVE_INFINITY }],
  ['sigmoid', { kind: 'Sigmoid' }, tf.sigmoid],
  ['hard sigmoid', { kind: 'HardSigmoid', alpha: 0.2, beta: 0.5 }],
  ['hard swish', { kind: 'HardSwish' }, (x) => x.mul(tf.clipByValue(x.add(3), 0, 6)).div(6)],
  ['tanh', { kind: 'Tanh' }, tf.tanh],
  ['elu', { kind: 'Elu', alpha: 1 }, tf.elu],
  ['elu, another alpha', { kind: 'Elu', alpha: 0.3 }],
  ['gelu', { kind: 'Gelu', approximate: 'none' }, (x) => x.mul(tf.erf(x.mul(Math.SQRT1_2)).add(1)).div(2)],
  ['gelu by tanh', { kind: 'Gelu', approximate: 'tanh' }],
  ['softmax of the last axis', { kind: 'Softmax', axis: 2 }, (x) => tf.softmax(x)],
  [
    'softmax of another axis',
    { kind: 'Softmax', axis: 1 },
    (x) => tf.softmax(x.transpose([0, 2, 1])).transpose([0, 2, 1]),
  ],
  ['log softmax', { kind: 'LogSoftmax', axis: 2 }, (x) => tf.logSoftmax(x)],
]

for (const [name, op, tfjs] of activations)
  test(`activation: ${name}`, () =>
    checkGradients({
      shapes: [shape],
      domain: smooth,
      build: (b, x) => b.op(op, [x]),
      ...(tfjs && { tfjs: (x) => tfjs(x!) }),
    }))

test('activation: PRelu with a slope for each channel', () =>
  checkGradients({
    shapes: [
      [2, 3, 4, 4],
      [3, 1, 1],
    ],
    domain: smooth,
    build: (b, x, slope) => b.op({ kind: 'PRelu' }, [x, slope]),
    tfjs: (x, slope) => tf.prelu(x!, slope!.broadcastTo(x!.shape)),
  }))

const unaries: readonly [
  OpOf<'Unary'>['fn'],
  ((x: tf.Tensor) => tf.Tensor)?,
  ((value: number) => number)?,
][] = [
  ['Abs', tf.abs],
  ['Cos', tf.cos],
  ['Erf'],
  ['Exp', tf.exp],
  ['Log', tf.log, positive],
  ['Neg', tf.neg],
  ['Reciprocal', tf.reciprocal, positive],
  ['Sin', tf.sin],
  ['Softplus', tf.softplus],
  ['Softsign', (x) => x.div(x.abs().add(1))],
  ['Sqrt', tf.sqrt, positive],
]

for (const [fn, tfjs, domain = smooth] of unaries)
  test(`function: ${fn}`, () =>
    checkGradients({
      shapes: [shape],
      domain,
      build: (b, x) => b.unary(fn, x),
      ...(tfjs && { tfjs: (x) => tfjs(x!) }),
    }))

const binaries: Record<OpOf<'Binary'>['fn'], (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
  Add: tf.add,
  Sub: tf.sub,
  Mul: tf.mul,
  Div: tf.div,
  Pow: tf.pow,
  Min: tf.minimum,
  Max: tf.maximum,
}
const broadcasts = {
  'equal shapes': [
    [2, 3, 4],
    [2, 3, 4],
  ],
  'a vector on the right': [[2, 3, 4], [4]],
  'a scalar on the left': [[], [2, 3]],
  'axes of size 1 on both sides': [
    [2, 1, 4],
    [3, 1],
  ],
}

for (const [fn, tfjs] of Object.entries(binaries))
  for (const [how, shapes] of Object.entries(broadcasts))
    test(`${fn}: ${how}`, () =>
      checkGradients({
        shapes,
        domain: fn === 'Pow' || fn === 'Div' ? positive : smooth,
        build: (b, left, right) => b.binary(fn as 'Add', left, right),
        // TensorFlow.js gives the gradients of these two the shape of the result
        ...((how === 'equal shapes' || !/M/.test(fn) || fn === 'Mul') && {
          tfjs: (left, right) => tfjs(left!, right!),
        }),
      }))

test('a choice by a condition', () => {
  const mask = [1, 0, 1, 0, 0, 1]
  return checkGradients({
    shapes: [[3], [2, 1]],
    build: (b, left, right) =>
      b.where(b.compare('Greater', b.floats(mask, [2, 3]), b.scalar(0.5)), left, right),
    tfjs: (left, right) =>
      tf.where(tf.tensor2d(mask, [2, 3], 'bool'), left!.broadcastTo([2, 3]), right!.broadcastTo([2, 3])),
  })
})

test('every kind of operator has a rule, or says why not', () => {
  for (const kind of Object.keys(opTable)) {
    const entry = gradientTable[kind as keyof typeof gradientTable]
    assert.ok(typeof entry === 'function' || entry.none.length > 10, kind)
    assert.ok(typeof entry === 'function' || !/not written/.test(entry.none), kind)
  }
})
