import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { OpOf } from '../../../src/graph/ops.ts'
import type { GraphBuilder } from '../../../src/train/builder.ts'
import { gradientTable } from '../../../src/train/gradients/index.ts'
import { opTable } from '../../../src/graph/table/index.ts'
import { gradientsAt, row } from './exact.ts'
import { checkGradients } from './oracle.ts'

/** Nothing within a difference quotient of zero, of ±1/2 or of ±3, where functions have their kinks. */
const smooth = (value: number) => {
  const sign = value < 0 ? -1 : 1
  const moved = Math.abs(value) + 0.1
  return sign * (Math.abs(moved - 0.5) < 0.07 ? moved + 0.15 : moved)
}
const positive = (value: number) => Math.abs(value) + 0.5

const shape = [2, 3, 4]

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

for (const exponent of [-2, -1, 0, 0.5, 1, 2, 3, 4])
  test(`Pow: a fixed exponent of ${exponent}`, () =>
    checkGradients({
      shapes: [[2, 3]],
      domain: positive,
      build: (b, x) => b.binary('Pow', x, b.scalar(exponent)),
      tfjs: (x) => tf.pow(x!, exponent),
    }))

test('Pow: at zero, of negative bases, by whole exponents', async () => {
  const power = (exponents: readonly number[]) => (b: GraphBuilder, x: string) =>
    b.binary('Pow', x, b.floats(exponents))
  const [at] = await gradientsAt([row(0, 0, 0, -2, -2)], power([0, 1, 2, 3, 2]))
  assert.deepEqual([...at!], [0, 1, 0, 12, -4])
  const [integers] = await gradientsAt([row(-2, 0, 3)], (b, x) => b.binary('Pow', x, b.integers([3, 2, 4])))
  assert.deepEqual([...integers!], [12, 0, 108])
  // no logarithm: no gradient by the exponent
  const [, byExponent] = await gradientsAt([row(-2, 0, 1), row(2, 2, 5)], (b, x, y) => b.binary('Pow', x, y))
  assert.deepEqual([...byExponent!], [0, 0, 0])
})

test('Min and Max: of equal operands the first has the gradient', async () => {
  for (const fn of ['Min', 'Max'] as const) {
    const [left, right] = await gradientsAt([row(1, 2, 3), row(1, 0, 5)], (b, x, y) => b.binary(fn, x, y))
    assert.deepEqual([...left!], fn === 'Max' ? [1, 1, 0] : [1, 0, 1])
    assert.deepEqual([...right!], fn === 'Max' ? [0, 0, 1] : [0, 1, 0])
  }
})

test('an operand that is used on both sides has both gradients', async () => {
  const [square] = await gradientsAt([row(3, -2)], (b, x) => b.mul(x, x))
  assert.deepEqual([...square!], [6, -4])
  const [none] = await gradientsAt([row(3, -2)], (b, x) => b.div(x, x))
  assert.deepEqual([...none!], [0, 0])
})

test('what is constant piece by piece has no gradient and stops none', async () => {
  for (const fn of ['Ceil', 'Floor', 'Round', 'Sign'] as const) {
    const [gradient] = await gradientsAt([row(0.3, -1.2)], (b, x) => b.add(b.unary(fn, x), b.mul(x, x)))
    assert.deepEqual([...gradient!], [Math.fround(0.6), Math.fround(-2.4)], fn)
  }
  const [abs] = await gradientsAt([row(-1, 0, 2)], (b, x) => b.unary('Abs', x))
  assert.deepEqual([...abs!], [-1, 0, 1])
})

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
