import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { type OpOf, reduceFunctions } from '../../../src/graph/ops.ts'
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
