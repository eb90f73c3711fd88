import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { type OpOf, reduceFunctions } from '../../../src/graph/ops.ts'
import { gradientsAt, row } from './exact.ts'
import { checkGradients } from './oracle.ts'

const positive = (value: number) => Math.abs(value) + 0.5
const apart = (value: number, index: number) => Math.round(value * 4) + ((index * 7919) % 101) / 101 + 0.13

const theirs: Partial<
  Record<OpOf<'Reduce'>['fn'], (x: tf.Tensor, axes: number[], keep: boolean) => tf.Tensor>
> = {
  Mean: tf.mean,
  Sum: tf.sum,
  Max: tf.max,
  Min: tf.min,
  LogSumExp: tf.logSumExp,
  LogSum: (x, axes, keep) => tf.log(tf.sum(x, axes, keep)),
  SumSquare: (x, axes, keep) => tf.sum(tf.square(x), axes, keep),
  L1: (x, axes, keep) => tf.sum(tf.abs(x), axes, keep),
  L2: (x, axes, keep) => tf.sqrt(tf.sum(tf.square(x), axes, keep)),
}

for (const fn of reduceFunctions)
  for (const [axes, keepDims] of [
    [[1], false],
    [[0, 2], true],
    [[0, 1, 2], false],
  ] as const)
    test(`${fn} over axes ${axes.join(', ')}${keepDims ? ', kept' : ''}`, () => {
      const tfjs = theirs[fn]
      return checkGradients({
        shapes: [[2, 3, 2]],
        domain: fn === 'Max' || fn === 'Min' || fn === 'L1' ? apart : positive,
        build: (b, x) => b.reduce(fn, x, axes, keepDims),
        ...(tfjs && { tfjs: (x) => tfjs(x!, [...axes], keepDims) }),
      })
    })

test('a product with a zero in it', () =>
  checkGradients({
    shapes: [[2, 3]],
    domain: (value, index) => (index === 1 ? 0 : Math.abs(value) + 0.5),
    build: (b, x) => b.reduce('Prod', x, [1]),
  }))

for (const count of [1, 2, 3, 4, 5, 8, 33])
  test(`a product of ${count}`, () =>
    checkGradients({
      shapes: [[count, 2]],
      domain: (value) => 1 + 0.1 * value,
      build: (b, x) => b.reduce('Prod', x, [0], true),
      tfjs: (x) => tf.prod(x!, 0, true),
    }))

test('products with one zero and with two', async () => {
  const [one] = await gradientsAt([row(2, 0, 3, 5)], (b, x) => b.reduceAll('Prod', x))
  assert.deepEqual([...one!], [0, 30, 0, 0])
  const [two] = await gradientsAt([row(2, 0, 0, 5)], (b, x) => b.reduceAll('Prod', x))
  assert.deepEqual([...two!], [0, 0, 0, 0])
})

test('equal largest elements share the gradient', async () => {
  const data = { shape: [2, 3], data: [4, 4, 1, 0, 7, 7] }
  const [most] = await gradientsAt([data], (b, x) => b.reduce('Max', x, [1]))
  assert.deepEqual([...most!], [0.5, 0.5, 0, 0, 0.5, 0.5])
  const [least] = await gradientsAt([row(1, 1, 2, 1)], (b, x) => b.reduceAll('Min', x))
  const third = Math.fround(1 / 3)
  assert.deepEqual([...least!], [third, third, 0, third])
})

test('gradients stay finite: a norm of zeros, a logarithm of sums of large exponents', async () => {
  const [norm] = await gradientsAt([row(0, 0)], (b, x) => b.reduceAll('L2', x))
  assert.deepEqual([...norm!], [0, 0])
  const [large] = await gradientsAt([row(1000, 1000, -1000)], (b, x) => b.reduceAll('LogSumExp', x))
  // to the precision of a float near 1000
  assert.deepEqual(
    [...large!].map((value) => Number(value.toFixed(4))),
    [0.5, 0.5, 0],
  )
})
