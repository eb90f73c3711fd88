import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { OpOf } from '../../../src/graph/ops.ts'
import { channelsFirst, channelsLast, checkGradients } from './oracle.ts'

/** All elements differ by more than a difference quotient moves them: no maximum changes hands. */
const spread = (value: number, index: number) => Math.round(value * 4) + ((index * 7919) % 101) / 101

const window = (
  kernel: readonly number[],
  strides: readonly number[],
  padsBegin: readonly number[] = [0, 0],
  padsEnd: readonly number[] = padsBegin,
  ceilMode = false,
) => ({ kernel, strides, dilations: [1, 1], padsBegin, padsEnd, ceilMode, layout: 'channels-first' as const })

const windows = {
  'side by side': window([2, 2], [2, 2]),
  overlapping: window([3, 3], [2, 2]),
  'overlapping and padded': window([3, 3], [2, 2], [1, 1]),
  'padded on one side': window([3, 3], [2, 2], [0, 0], [1, 1]),
  'with gaps': window([2, 2], [3, 3]),
  'rounded up': window([3, 3], [2, 2], [0, 0], [0, 0], true),
  'one picture': window([7, 6], [7, 6]),
}

for (const [name, settings] of Object.entries(windows)) {
  test(`max pool: ${name}`, async () => {
    const op: OpOf<'MaxPool'> = { kind: 'MaxPool', ...settings }
    await checkGradients({
      shapes: [[2, 3, 7, 6]],
      domain: spread,
      build: (b, x) => b.op(op, [x]),
      ...(plain(op) && {
        tfjs: (x) =>
          channelsFirst(
            tf.maxPool(channelsLast<tf.Tensor4D>(x!), pair(op.kernel), pair(op.strides), 'valid'),
          ),
      }),
    })
  })

  for (const countIncludePad of [false, true])
    test(`average pool: ${name}, padding ${countIncludePad ? 'counts' : 'does not count'}`, async () => {
      const op: OpOf<'AveragePool'> = { kind: 'AveragePool', ...settings, countIncludePad }
      await checkGradients({
        shapes: [[2, 3, 7, 6]],
        build: (b, x) => b.op(op, [x]),
        ...(plain(op) && {
          tfjs: (x) =>
            channelsFirst(
              tf.avgPool(channelsLast<tf.Tensor4D>(x!), pair(op.kernel), pair(op.strides), 'valid'),
            ),
        }),
      })
    })
}

test('global pools', async () => {
  await checkGradients({
    shapes: [[2, 3, 4, 5]],
    build: (b, x) => b.op({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [x]),
    tfjs: (x) => x!.mean([2, 3], true),
  })
  await checkGradients({
    shapes: [[2, 3, 4, 5]],
    domain: spread,
    build: (b, x) => b.op({ kind: 'GlobalMaxPool', layout: 'channels-first' }, [x]),
    tfjs: (x) => x!.max([2, 3], true),
  })
})

function plain({
  padsBegin,
  padsEnd,
  ceilMode,
}: {
  padsBegin: readonly number[]
  padsEnd: readonly number[]
  ceilMode: boolean
}) {
  return !ceilMode && [...padsBegin, ...padsEnd].every((pad) => pad === 0)
}

function pair(numbers: readonly number[]): [number, number] {
  return [numbers[0]!, numbers[1]!]
}
