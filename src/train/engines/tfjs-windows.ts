import type * as TensorFlow from '@tensorflow/tfjs'
import type { Window } from '../../graph/ops.ts'

type Tf = typeof TensorFlow
type Tensor = TensorFlow.Tensor

/** What each tap of a kernel meets, first axis slowest: [batch, channels, ...positions] each, channels first. */
export function metBy(
  tf: Tf,
  x: Tensor,
  window: Window,
  kernel: readonly number[],
  made: readonly number[],
  padding: number,
): Tensor[] {
  const { strides, dilations, padsBegin } = window
  // as far as the last position reaches, which a ceiling may carry past the padding
  const after = made.map((size, i) => {
    const reach = (size - 1) * strides[i]! + (kernel[i]! - 1) * dilations[i]! + 1
    return Math.max(0, reach - x.shape[i + 2]! - padsBegin[i]!)
  })
  const wide = padded(tf, x, [0, 0, ...padsBegin], [0, 0, ...after], padding)
  return tapsOf(kernel).map((tap) => {
    const begin = [0, 0, ...tap.map((at, i) => at * dilations[i]!)]
    const end = [
      ...x.shape.slice(0, 2),
      ...tap.map((_, i) => begin[i + 2]! + (made[i]! - 1) * strides[i]! + 1),
    ]
    return tf.stridedSlice(wide, begin, end, [1, 1, ...strides])
  })
}

/** Places in a kernel, the last axis fastest. */
export function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (all, extent) => all.flatMap((tap) => Array.from({ length: extent }, (_, at) => [...tap, at])),
    [[]],
  )
}

/** Negative padding crops. */
export function padded(
  tf: Tf,
  x: Tensor,
  begin: readonly number[],
  end: readonly number[],
  value = 0,
): Tensor {
  const start = begin.map((pad) => Math.max(0, -pad))
  const size = x.shape.map((extent, axis) => extent - start[axis]! - Math.max(0, -end[axis]!))
  const cropped = size.some((extent, axis) => extent !== x.shape[axis]) ? tf.slice(x, start, size) : x
  const pads = begin.map((pad, axis): [number, number] => [Math.max(0, pad), Math.max(0, end[axis]!)])
  return pads.some(([a, b]) => a + b > 0) ? tf.pad(cropped, pads, value) : cropped
}

interface Convolution extends Window {
  readonly group: number
}

/** x: [batch, in, ...size], w: [out, in/group, ...kernel]; one or two spatial axes. */
export function convolve(tf: Tf, x: Tensor, w: Tensor, op: Convolution): Tensor {
  if (x.rank === 3) {
    const flat = {
      group: op.group,
      // the one row is met once whatever its stride; some backends want both alike
      strides: [op.strides[0]!, ...op.strides],
      dilations: [1, ...op.dilations],
      padsBegin: [0, ...op.padsBegin],
      padsEnd: [0, ...op.padsEnd],
    }
    return tf.squeeze(convolve(tf, tf.expandDims(x, 2), tf.expandDims(w, 2), flat), [2])
  }
  const wide = padded(tf, x, [0, 0, ...op.padsBegin], [0, 0, ...op.padsEnd])
  const last = tf.transpose(wide, [0, 2, 3, 1]) as TensorFlow.Tensor4D
  // a stride and a dilation together are not taken: the kernel is written out
  const both = op.strides.some((by) => by > 1) && op.dilations.some((by) => by > 1)
  const kernel = both ? spread(tf, w, op.dilations) : w
  const strides = op.strides as [number, number]
  const dilations = (both ? [1, 1] : op.dilations) as [number, number]
  const [outputs, perGroup] = w.shape as [number, number]
  let made: Tensor
  if (op.group > 1 && perGroup === 1) {
    const [height, width] = kernel.shape.slice(2) as [number, number]
    const filter = tf.reshape(tf.transpose(kernel, [2, 3, 1, 0]), [
      height,
      width,
      op.group,
      outputs / op.group,
    ]) as TensorFlow.Tensor4D
    made = tf.depthwiseConv2d(last, filter, strides, 'valid', 'NHWC', dilations)
  } else {
    const share = outputs / op.group
    const parts = Array.from({ length: op.group }, (_, group) => {
      const read = op.group === 1 ? last : tf.slice(last, [0, 0, 0, group * perGroup], [-1, -1, -1, perGroup])
      const own = op.group === 1 ? kernel : tf.slice(kernel, [group * share, 0, 0, 0], [share, -1, -1, -1])
      const filter = tf.transpose(own, [2, 3, 1, 0]) as TensorFlow.Tensor4D
      return tf.conv2d(read as TensorFlow.Tensor4D, filter, strides, 'valid', 'NHWC', dilations)
    })
    made = parts.length === 1 ? parts[0]! : tf.concat(parts, 3)
  }
  return tf.transpose(made, [0, 3, 1, 2])
}

/** x: [batch, in, ...size], w: [in, out/group, ...kernel]: a convolution of what is spread by the strides. */
export function convolveTransposed(
  tf: Tf,
  x: Tensor,
  w: Tensor,
  op: Convolution & { readonly outputPadding: readonly number[] },
): Tensor {
  const { group, dilations } = op
  const [inputs, share, ...kernel] = w.shape as [number, number, ...number[]]
  const spatial = kernel.map((_, i) => i)
  const grouped = tf.reshape(w, [group, inputs / group, share, ...kernel])
  const exchanged = tf.transpose(grouped, [0, 2, 1, ...spatial.map((i) => i + 3)])
  const turned = tf.reverse(
    tf.reshape(exchanged, [group * share, inputs / group, ...kernel]),
    spatial.map((i) => i + 2),
  )
  const reach = kernel.map((extent, i) => (extent - 1) * dilations[i]!)
  return convolve(tf, spread(tf, x, op.strides), turned, {
    group,
    strides: spatial.map(() => 1),
    dilations,
    padsBegin: reach.map((far, i) => far - op.padsBegin[i]!),
    padsEnd: reach.map((far, i) => far - op.padsEnd[i]! + op.outputPadding[i]!),
  })
}

/** Puts zeros between the elements of the axes from the third on. */
function spread(tf: Tf, x: Tensor, by: readonly number[]): Tensor {
  if (by.every((step) => step === 1)) return x
  const [first, second, ...size] = x.shape as [number, number, ...number[]]
  const apart = tf.reshape(x, [first, second, ...size.flatMap((extent) => [extent, 1])])
  const pads: [number, number][] = [
    [0, 0],
    [0, 0],
    ...by.flatMap((step): [number, number][] => [
      [0, 0],
      [0, step - 1],
    ]),
  ]
  const wide = tf.reshape(tf.pad(apart, pads), [first, second, ...size.map((extent, i) => extent * by[i]!)])
  return tf.slice(
    wide,
    [0, 0, ...size.map(() => 0)],
    [first, second, ...size.map((extent, i) => (extent - 1) * by[i]! + 1)],
  )
}
