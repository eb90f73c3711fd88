import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import { checkGradients } from './oracle.ts'

for (const transA of [false, true])
  for (const transB of [false, true])
    test(`Gemm${transA ? ', a turned' : ''}${transB ? ', b turned' : ''}, with factors`, () =>
      checkGradients({
        shapes: [transA ? [4, 3] : [3, 4], transB ? [5, 4] : [4, 5], [5]],
        build: (b, x, y, c) => b.op({ kind: 'Gemm', alpha: 0.5, beta: 2, transA, transB }, [x, y, c]),
        tfjs: (x, y, c) => tf.matMul(x!, y!, transA, transB).mul(0.5).add(c!.mul(2)),
      }))

for (const c of [[], [1], [5], [3, 1], [1, 5], [3, 5]])
  test(`Gemm: an offset of shape [${c}]`, () =>
    checkGradients({
      shapes: [[3, 4], [4, 5], c],
      build: (b, x, y, z) =>
        b.op({ kind: 'Gemm', alpha: 1, beta: 0.5, transA: false, transB: false }, [x, y, z]),
      tfjs: (x, y, z) => tf.matMul(x!, y!).add(z!.mul(0.5)),
    }))

test('Gemm without an offset', () =>
  checkGradients({
    shapes: [
      [3, 4],
      [4, 2],
    ],
    build: (b, x, y) => b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }, [x, y, null]),
    tfjs: (x, y) => tf.matMul(x!, y!),
  }))

const products: Record<string, readonly [readonly number[], readonly number[]]> = {
  matrices: [
    [3, 4],
    [4, 2],
  ],
  'a batch and one matrix': [
    [2, 5, 3, 4],
    [4, 2],
  ],
  'a batch of both': [
    [2, 3, 4],
    [2, 4, 5],
  ],
  'batches that broadcast': [
    [2, 1, 3, 4],
    [5, 4, 2],
  ],
  'one matrix and a batch': [
    [3, 4],
    [2, 5, 4, 2],
  ],
  'a row and one column': [
    [1, 1, 4],
    [4, 1],
  ],
  'two vectors': [[4], [4]],
  'a vector and a batch': [[4], [2, 4, 3]],
  'a vector on the left': [[4], [4, 3]],
  'a vector on the right': [[2, 3, 4], [4]],
}
for (const [name, shapes] of Object.entries(products))
  test(`MatMul: ${name}`, () => {
    const plain = shapes.every((shape) => shape.length > 1)
    return checkGradients({
      shapes,
      build: (b, x, y) => b.matMul(x, y),
      ...(plain && shapes[0]!.length === shapes[1]!.length && { tfjs: (x, y) => tf.matMul(x!, y!) }),
    })
  })
