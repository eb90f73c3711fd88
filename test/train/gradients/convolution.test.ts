import { test } from 'node:test'
import * as tf from '@tensorflow/tfjs'
import type { Conv } from '../../../src/graph/ops.ts'
import { channelsFirst, channelsLast, checkGradients } from './oracle.ts'

interface Settings {
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly group?: number
  readonly strides?: readonly number[]
  readonly dilations?: readonly number[]
  /** Begin and end of each axis. */
  readonly pads?: readonly (readonly [number, number])[]
  readonly outputPadding?: readonly number[]
}

const convolutions: Record<string, Settings> = {
  'plain 3×3': { x: [2, 3, 6, 5], w: [4, 3, 3, 3] },
  '1×1': { x: [2, 5, 4, 4], w: [3, 5, 1, 1] },
  'stride that leaves a rest': { x: [2, 3, 8, 7], w: [4, 3, 3, 3], strides: [2, 3] },
  'stride and padding on one side': {
    x: [2, 2, 8, 8],
    w: [3, 2, 3, 3],
    strides: [2, 2],
    pads: [
      [0, 1],
      [0, 1],
    ],
  },
  'padding on both sides': {
    x: [1, 2, 5, 6],
    w: [3, 2, 3, 3],
    pads: [
      [1, 1],
      [1, 1],
    ],
  },
  dilations: {
    x: [2, 2, 9, 9],
    w: [3, 2, 3, 3],
    dilations: [2, 3],
    pads: [
      [2, 2],
      [3, 3],
    ],
  },
  'strides and dilations': {
    x: [1, 2, 11, 11],
    w: [2, 2, 3, 3],
    strides: [2, 2],
    dilations: [2, 2],
    pads: [
      [2, 1],
      [2, 1],
    ],
  },
  depthwise: {
    x: [2, 4, 6, 6],
    w: [4, 1, 3, 3],
    group: 4,
    pads: [
      [1, 1],
      [1, 1],
    ],
  },
  'depthwise with stride': {
    x: [2, 4, 7, 7],
    w: [4, 1, 3, 3],
    group: 4,
    strides: [2, 2],
    pads: [
      [1, 1],
      [1, 1],
    ],
  },
  'depthwise with a multiplier': { x: [2, 3, 5, 5], w: [6, 1, 3, 3], group: 3 },
  groups: {
    x: [2, 6, 5, 5],
    w: [4, 3, 3, 3],
    group: 2,
    strides: [2, 1],
    pads: [
      [1, 1],
      [1, 1],
    ],
  },
  'a kernel as large as its input': { x: [2, 3, 4, 4], w: [5, 3, 4, 4] },
  'one dimension': { x: [2, 3, 9], w: [4, 3, 3], strides: [2], pads: [[1, 1]] },
}

for (const [name, settings] of Object.entries(convolutions))
  test(`convolution: ${name}`, async () => {
    const { x, w, group = 1 } = settings
    const op = convOf(settings)
    await checkGradients({
      shapes: [x, w, [w[0]!]],
      build: (b, ...inputs) => b.op(op, inputs),
      ...(x.length === 4 && sameStrides(op) && { tfjs: (...inputs) => inTfjs(op, group, inputs) }),
    })
  })

const transposed: Record<string, Settings> = {
  plain: { x: [2, 3, 4, 4], w: [3, 2, 3, 3] },
  'stride and output padding': {
    x: [2, 3, 4, 4],
    w: [3, 2, 3, 3],
    strides: [2, 2],
    pads: [
      [1, 1],
      [1, 1],
    ],
    outputPadding: [1, 1],
  },
  groups: { x: [1, 4, 4, 4], w: [4, 2, 3, 3], group: 2, strides: [2, 2] },
  dilations: { x: [1, 2, 5, 5], w: [2, 3, 3, 3], dilations: [2, 2] },
}

for (const [name, settings] of Object.entries(transposed))
  test(`transposed convolution: ${name}`, async () => {
    const { x, w, group = 1, outputPadding = [0, 0] } = settings
    await checkGradients({
      shapes: [x, w, [w[1]! * group]],
      build: (b, ...inputs) => b.op({ ...convOf(settings), kind: 'ConvTranspose', outputPadding }, inputs),
    })
  })

function convOf({ w, group = 1, strides, dilations, pads }: Settings): Conv {
  const ones = w.slice(2).map(() => 1)
  const none = ones.map(() => [0, 0] as const)
  return {
    kind: 'Conv',
    group,
    strides: strides ?? ones,
    dilations: dilations ?? ones,
    padsBegin: (pads ?? none).map(([begin]) => begin),
    padsEnd: (pads ?? none).map(([, end]) => end),
    layout: 'channels-first',
  }
}

/** TensorFlow.js has gradients for one of stride and dilation, and in depthwise convolutions for equal strides only. */
function sameStrides({ strides, dilations, group }: Conv): boolean {
  const dilated = dilations.some((by) => by > 1)
  return !dilated && (group === 1 || strides[0] === strides[1])
}

function inTfjs(op: Conv, group: number, [x, w, bias]: tf.Tensor[]): tf.Tensor {
  const pads = op.padsBegin.map((begin, i) => [begin, op.padsEnd[i]!] as [number, number])
  const padded = channelsLast<tf.Tensor4D>(x!).pad([[0, 0], ...pads, [0, 0]]) as tf.Tensor4D
  const strides = op.strides as [number, number]
  const part = (from: tf.Tensor4D, kernel: tf.Tensor) =>
    tf.conv2d(from, kernel.transpose([2, 3, 1, 0]) as tf.Tensor4D, strides, 'valid')
  if (group === 1) return channelsFirst(part(padded, w!).add(bias!))
  if (w!.shape[1] === 1) {
    const [outputs, , height, width] = w!.shape as [number, number, number, number]
    const kernel = w!.reshape([group, outputs / group, height, width]).transpose([2, 3, 0, 1])
    return channelsFirst(tf.depthwiseConv2d(padded, kernel as tf.Tensor4D, strides, 'valid').add(bias!))
  }
  const inputs = tf.split(padded, group, 3)
  const kernels = tf.split(w!, group, 0)
  return channelsFirst(
    tf
      .concat(
        inputs.map((from, i) => part(from, kernels[i]!)),
        3,
      )
      .add(bias!),
  )
}
