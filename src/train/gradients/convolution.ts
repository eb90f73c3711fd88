import type { Conv, ConvTranspose } from '../../graph/ops.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward, GradientFamily } from '../gradient.ts'

export const convolutionGradients: GradientFamily<'Conv' | 'ConvTranspose'> = {
  Conv: (op, { b, inputs, gradients, wants }) => {
    const [x, w, bias] = inputs as [string, string, (string | null)?]
    const dy = gradients[0]!
    return [
      wants(0) ? inputGradient(b, op, x, w, dy) : null,
      wants(1) ? kernelGradient(b, op, x, b.shape(w), dy) : null,
      bias && wants(2) ? biasGradient(b, dy) : null,
    ]
  },
  /** The transpose of a convolution: each gradient is the other's. */
  ConvTranspose: (op, { b, inputs, gradients, wants }: Backward) => {
    const [x, w, bias] = inputs as [string, string, (string | null)?]
    const dy = gradients[0]!
    const conv = convOf(op)
    return [
      wants(0) ? b.op(conv, [dy, w]) : null,
      wants(1) ? kernelGradient(b, conv, dy, b.shape(w), x) : null,
      bias && wants(2) ? biasGradient(b, dy) : null,
    ]
  },
}

function convOf({ strides, dilations, padsBegin, padsEnd, group, layout }: ConvTranspose): Conv {
  return { kind: 'Conv', strides, dilations, padsBegin, padsEnd, group, layout }
}

function biasGradient(b: GraphBuilder, dy: string): string {
  const axes = b.shape(dy).flatMap((_, axis) => (axis === 1 ? [] : [axis]))
  return b.reduce('Sum', dy, axes)
}

/** A transposed convolution of the gradient, padded where the stride left a rest of the input unread. */
function inputGradient(b: GraphBuilder, op: Conv, x: string, w: string, dy: string): string {
  const [size, made, kernel] = [b.shape(x).slice(2), b.shape(dy).slice(2), b.shape(w).slice(2)]
  const outputPadding = size.map((extent, i) => {
    const reach = (made[i]! - 1) * op.strides[i]! + (kernel[i]! - 1) * op.dilations[i]! + 1
    return extent - (reach - op.padsBegin[i]! - op.padsEnd[i]!)
  })
  const { strides, dilations, padsBegin, padsEnd, group, layout } = op
  return b.op(
    { kind: 'ConvTranspose', strides, dilations, padsBegin, padsEnd, group, layout, outputPadding },
    [dy, w],
  )
}

/**
 * A convolution of the input by the gradient, the batch in the place of the channels, strides and dilations exchanged.
 * @param shape of the kernel: [out, in/group, ...size]
 */
function kernelGradient(b: GraphBuilder, op: Conv, x: string, shape: readonly number[], dy: string): string {
  const { group } = op
  const [outputs, perGroup] = shape as [number, number]
  if (group === 1) return denseKernelGradient(b, op, x, shape, dy)
  if (perGroup === 1) return depthwiseKernelGradient(b, op, x, shape, dy)
  const parts = Array.from({ length: group }, (_, index) =>
    denseKernelGradient(
      b,
      op,
      b.slice(x, 1, index * perGroup, (index + 1) * perGroup),
      [outputs / group, ...shape.slice(1)],
      b.slice(dy, 1, (index * outputs) / group, ((index + 1) * outputs) / group),
    ),
  )
  return b.op({ kind: 'Concat', axis: 0 }, parts)
}

function denseKernelGradient(
  b: GraphBuilder,
  op: Conv,
  x: string,
  shape: readonly number[],
  dy: string,
): string {
  const swap = swapped(shape.length)
  const conv: Conv = { ...op, group: 1, strides: op.dilations, dilations: op.strides }
  const taps = b.op(conv, [b.transpose(x, swap), b.transpose(dy, swap)])
  return b.transpose(cropped(b, taps, shape.slice(2)), swap)
}

/** Every channel of every sample is a group of its own; the samples are added afterwards. */
function depthwiseKernelGradient(
  b: GraphBuilder,
  op: Conv,
  x: string,
  shape: readonly number[],
  dy: string,
): string {
  const [batch, channels, ...size] = b.shape(x) as [number, number, ...number[]]
  const [outputs, , ...kernel] = shape as [number, number, ...number[]]
  const made = b.shape(dy).slice(2)
  const wide = b.reshape(x, [1, batch * channels, ...size])
  const conv: Conv = { ...op, group: batch * channels, strides: op.dilations, dilations: op.strides }
  const taps = b.op(conv, [wide, b.reshape(dy, [batch * outputs, 1, ...made])])
  const each = b.reshape(cropped(b, taps, kernel), [batch, outputs, 1, ...kernel])
  return b.reduce('Sum', each, [0])
}

/** Where the stride left a rest there are more positions than taps. */
function cropped(b: GraphBuilder, taps: string, kernel: readonly number[]): string {
  return kernel.reduce(
    (made, size, i) => (b.shape(made)[i + 2] === size ? made : b.slice(made, i + 2, 0, size)),
    taps,
  )
}

function swapped(rank: number): number[] {
  return [1, 0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2)]
}
