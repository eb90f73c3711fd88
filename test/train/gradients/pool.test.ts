import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { OpOf } from '../../../src/graph/ops.ts'
import { gradientsAt } from './exact.ts'
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
  'side by side, rounded up': window([2, 2], [2, 2], [0, 0], [0, 0], true),
  'rounded up and padded': window([3, 3], [2, 2], [1, 1], [1, 1], true),
  'longer than high': window([1, 3], [1, 2]),
  'one picture': window([7, 6], [7, 6]),
}

for (const [name, settings] of Object.entries(windows)) {
  test(`max pool: ${name}`, () =>
    checkGradients({
      shapes: [[2, 3, 7, 6]],
      domain: spread,
      build: (b, x) => b.op({ kind: 'MaxPool', ...settings }, [x]),
      tfjs: (x) => {
        const padded = paddedInTfjs(settings, x!, -1000)
        return channelsFirst(tf.maxPool(padded, pair(settings.kernel), pair(settings.strides), 'valid'))
      },
    }))

  for (const countIncludePad of [false, true])
    test(`average pool: ${name}, padding ${countIncludePad ? 'counts' : 'does not count'}`, () =>
      checkGradients({
        shapes: [[2, 3, 7, 6]],
        build: (b, x) => b.op({ kind: 'AveragePool', ...settings, countIncludePad }, [x]),
        tfjs: (x) => {
          const mean = (values: tf.Tensor4D) =>
            tf.avgPool(values, pair(settings.kernel), pair(settings.strides), 'valid')
          const counted = paddedInTfjs(settings, tf.onesLike(x!), countIncludePad ? 1 : 0, 0)
          return channelsFirst(mean(paddedInTfjs(settings, x!, 0)).div(mean(counted)))
        },
      }))
}

test('dilated pools', async () => {
  const dilated = { ...window([2, 3], [1, 2], [1, 1]), dilations: [3, 2] }
  const shapes = [[2, 3, 7, 8]]
  await checkGradients({
    shapes,
    domain: spread,
    build: (b, x) => b.op({ kind: 'MaxPool', ...dilated }, [x]),
  })
  for (const countIncludePad of [false, true])
    await checkGradients({
      shapes,
      build: (b, x) => b.op({ kind: 'AveragePool', ...dilated, countIncludePad }, [x]),
    })
})

test('pools along one dimension', async () => {
  const one = { kernel: [3], strides: [2], dilations: [1], padsBegin: [1], padsEnd: [0], ceilMode: false }
  const aside = { ...one, kernel: [2], padsBegin: [0] }
  const layout = 'channels-first'
  for (const settings of [one, aside])
    await checkGradients({
      shapes: [[2, 3, 9]],
      domain: spread,
      build: (b, x) => b.op({ kind: 'MaxPool', ...settings, layout }, [x]),
    })
  await checkGradients({
    shapes: [[2, 3, 9]],
    build: (b, x) => b.op({ kind: 'AveragePool', ...one, layout, countIncludePad: false }, [x]),
  })
})

test('of equal largest elements of a window the first gets the gradient, all of it', async () => {
  const flat = { shape: [1, 1, 4, 4], data: new Array<number>(16).fill(-3) }
  const by = async (settings: ReturnType<typeof window>) => {
    const [gradient] = await gradientsAt([flat], (b, x) => b.op({ kind: 'MaxPool', ...settings }, [x]))
    return [...gradient!]
  }
  assert.deepEqual(await by(windows['side by side']), [1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0])
  const overlapping = window([2, 2], [1, 1])
  assert.deepEqual(await by(overlapping), [1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0])
  // zeros of the padding must not win over what is below zero
  const padded = window([3, 3], [3, 3], [1, 1], [1, 1])
  assert.deepEqual(await by(padded), [1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0])
})

test('equal largest elements share the gradient of a global max pool', async () => {
  const [gradient] = await gradientsAt([{ shape: [1, 2, 1, 3], data: [5, 1, 5, 0, 2, 1] }], (b, x) =>
    b.op({ kind: 'GlobalMaxPool', layout: 'channels-first' }, [x]),
  )
  assert.deepEqual([...gradient!], [0.5, 0, 0.5, 0, 1, 0])
})

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

/** The windows of ONNX as valid ones: padded by a value, and by another where the size was rounded up. */
function paddedInTfjs(
  { kernel, strides, padsBegin, padsEnd, ceilMode }: ReturnType<typeof window>,
  x: tf.Tensor,
  value: number,
  beyond = value,
): tf.Tensor4D {
  const sides = kernel.map((_, i): [number, number] => [padsBegin[i]!, padsEnd[i]!])
  const padded = channelsLast<tf.Tensor4D>(x).pad([[0, 0], ...sides, [0, 0]], value)
  const missing = kernel.map((extent, i): [number, number] => {
    const left = padded.shape[i + 1]! - extent
    // a window that would begin in the padding at the end is left out
    const steps = Math.ceil(left / strides[i]!)
    const starts = steps * strides[i]! < x.shape[i + 2]! + padsBegin[i]!
    return [0, ceilMode && starts ? steps * strides[i]! - left : 0]
  })
  return padded.pad([[0, 0], ...missing, [0, 0]], beyond) as tf.Tensor4D
}

function pair(numbers: readonly number[]): [number, number] {
  return [numbers[0]!, numbers[1]!]
}
