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
  'a large map': {
    x: [2, 3, 22, 21],
    w: [4, 3, 3, 2],
    pads: [
      [1, 1],
      [0, 1],
    ],
  },
  'a large map with a stride that leaves a rest': { x: [1, 2, 44, 43], w: [3, 2, 3, 3], strides: [2, 2] },
  '1×1 with stride': { x: [2, 3, 7, 8], w: [4, 3, 1, 1], strides: [2, 2] },
  '1×1 with padding': {
    x: [2, 3, 4, 4],
    w: [4, 3, 1, 1],
    pads: [
      [1, 1],
      [0, 1],
    ],
  },
  '1×1 in groups': { x: [2, 6, 4, 4], w: [4, 3, 1, 1], group: 2 },
  'many taps': {
    x: [2, 2, 11, 9],
    w: [3, 2, 10, 4],
    strides: [2, 2],
    pads: [
      [4, 5],
      [1, 1],
    ],
  },
  'many taps in groups, a stride that leaves a rest': {
    x: [2, 4, 10, 12],
    w: [6, 2, 6, 6],
    group: 2,
    strides: [3, 3],
  },
  'depthwise, dilated and padded on one side': {
    x: [2, 3, 8, 8],
    w: [3, 1, 3, 3],
    group: 3,
    dilations: [2, 2],
    pads: [
      [0, 3],
      [1, 2],
    ],
  },
  'depthwise with other strides along each axis': {
    x: [2, 3, 8, 8],
    w: [3, 1, 3, 2],
    group: 3,
    strides: [2, 1],
  },
  'depthwise on a tiny map': {
    x: [2, 5, 3, 3],
    w: [5, 1, 3, 3],
    group: 5,
    pads: [
      [1, 1],
      [1, 1],
    ],
  },
  'depthwise, many taps': { x: [2, 3, 9, 9], w: [6, 1, 6, 5], group: 3, strides: [2, 2] },
  'one dimension, depthwise and dilated': {
    x: [2, 3, 12],
    w: [3, 1, 3],
    group: 3,
    dilations: [2],
    pads: [[4, 0]],
  },
  'one dimension': { x: [2, 3, 9], w: [4, 3, 3], strides: [2], pads: [[1, 1]] },
}

for (const [name, settings] of Object.entries(convolutions))
  test(`convolution: ${name}`, async () => {
    const { x, w } = settings
    const op = convOf(settings)
    await checkGradients({
      shapes: [x, w, [w[0]!]],
      build: (b, ...inputs) => b.op(op, inputs),
      ...(x.length === 4 && known(op) && { tfjs: (...inputs) => inTfjs(op, inputs) }),
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
  depthwise: {
    x: [2, 3, 5, 5],
    w: [3, 1, 3, 3],
    group: 3,
    pads: [
      [1, 1],
      [1, 1],
    ],
  },
  'to a large map': { x: [1, 2, 22, 20], w: [2, 3, 2, 2], strides: [2, 2] },
  'many taps': {
    x: [1, 2, 4, 4],
    w: [2, 3, 6, 6],
    strides: [3, 3],
    pads: [
      [1, 2],
      [0, 1],
    ],
  },
  'one dimension': { x: [2, 4, 6], w: [4, 2, 4], strides: [2], pads: [[1, 1]] },
}

for (const [name, settings] of Object.entries(transposed))
  test(`transposed convolution: ${name}`, async () => {
    const { x, w, group = 1, outputPadding = x.slice(2).map(() => 0) } = settings
    await checkGradients({
      shapes: [x, w, [w[1]! * group]],
      build: (b, ...inputs) => b.op({ ...convOf(settings), kind: 'ConvTranspose', outputPadding }, inputs),
      ...(x.length === 4 && {
        tfjs: (...inputs) => transposedInTfjs(convOf(settings), outputPadding, inputs),
      }),
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

/** TensorFlow.js has depthwise convolutions for equal strides only. */
function known({ strides, group }: Conv): boolean {
  return group === 1 || strides[0] === strides[1]
}

function inTfjs(op: Conv, [x, w, bias]: tf.Tensor[]): tf.Tensor {
  const pads = op.padsBegin.map((begin, i) => [begin, op.padsEnd[i]!] as [number, number])
  const padded = channelsLast<tf.Tensor4D>(x!).pad([[0, 0], ...pads, [0, 0]]) as tf.Tensor4D
  const strides = op.strides as [number, number]
  const kernel = dilated(w!, op)
  const [outputs, perGroup, height, width] = kernel.shape as [number, number, number, number]
  if (op.group > 1 && perGroup === 1) {
    const one = kernel
      .reshape([op.group, outputs / op.group, height, width])
      .transpose<tf.Tensor4D>([2, 3, 0, 1])
    return channelsFirst(tf.depthwiseConv2d(padded, one, strides, 'valid').add(bias!))
  }
  const kernels = split(kernel.transpose<tf.Tensor4D>([2, 3, 1, 0]), op.group)
  const parts = split(padded, op.group).map((part, i) => tf.conv2d(part, kernels[i]!, strides, 'valid'))
  return channelsFirst(tf.concat(parts, 3).add(bias!))
}

function transposedInTfjs(op: Conv, outputPadding: readonly number[], [x, w, bias]: tf.Tensor[]): tf.Tensor {
  const kernels = split(dilated(w!, op).transpose<tf.Tensor4D>([2, 3, 1, 0]), op.group)
  const parts = split(channelsLast<tf.Tensor4D>(x!), op.group).map((part, i) => {
    const [height, width, outputs] = kernels[i]!.shape
    const [batch, rows, columns] = part.shape
    const strides = op.strides as [number, number]
    const whole: [number, number, number, number] = [
      batch,
      (rows - 1) * strides[0] + height,
      (columns - 1) * strides[1] + width,
      outputs,
    ]
    return tf.conv2dTranspose(part, kernels[i]!, whole, strides, 'valid')
  })
  const made = tf.concat(parts, 3)
  const [, rows, columns] = made.shape as [number, number, number, number]
  const extended = made.pad([
    [0, 0],
    [0, outputPadding[0]!],
    [0, outputPadding[1]!],
    [0, 0],
  ])
  const [[top, left], [bottom, right]] = [op.padsBegin, op.padsEnd] as [[number, number], [number, number]]
  const cut = extended.slice(
    [0, top, left, 0],
    [-1, rows + outputPadding[0]! - top - bottom, columns + outputPadding[1]! - left - right, -1],
  )
  return channelsFirst(cut.add(bias!))
}

/** With zeros between the taps: TensorFlow.js has no gradients of dilated convolutions. */
function dilated(w: tf.Tensor, { dilations }: Conv): tf.Tensor {
  const [first, second, height, width] = w.shape as [number, number, number, number]
  const [down, across] = dilations as [number, number]
  return w
    .reshape([first * second, height, 1, width, 1])
    .pad([
      [0, 0],
      [0, 0],
      [0, down - 1],
      [0, 0],
      [0, across - 1],
    ])
    .reshape([first, second, height * down, width * across])
    .slice([0, 0, 0, 0], [first, second, (height - 1) * down + 1, (width - 1) * across + 1])
}

/** Along the last axis. TensorFlow.js has no gradient of a split in one. */
function split(x: tf.Tensor, parts: number): tf.Tensor4D[] {
  return parts === 1 ? [x as tf.Tensor4D] : tf.split(x as tf.Tensor4D, parts, 3)
}
