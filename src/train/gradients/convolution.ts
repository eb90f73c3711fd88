import type { Conv, ConvTranspose } from '../../graph/ops.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward, GradientFamily } from '../gradient.ts'
import { kernelGradient } from './kernel-gradient.ts'

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
  if (fasterAsConvolution(op, b.shape(w))) return convolvedBack(b, op, w, dy)
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

/** Measured: depthwise 1.7 times as fast as ConvTranspose, 1×1 1.2 times; dense larger kernels are not. */
function fasterAsConvolution(op: Conv, [outputs, perGroup, ...kernel]: readonly number[]): boolean {
  if (op.strides.some((stride) => stride > 1)) return false
  const padded = kernel.every((taps, i) => {
    const reach = (taps - 1) * op.dilations[i]!
    return op.padsBegin[i]! <= reach && op.padsEnd[i]! <= reach
  })
  const depthwise = perGroup === 1 && outputs === op.group
  return padded && (depthwise || (op.group === 1 && kernel.every((taps) => taps === 1)))
}

/** Without strides the transpose of a convolution is one by the flipped kernel, its channels exchanged. */
function convolvedBack(b: GraphBuilder, op: Conv, w: string, dy: string): string {
  const kernel = b.shape(w).slice(2)
  const axes = kernel.flatMap((taps, i) => (taps > 1 ? [i + 2] : []))
  const [starts, steps] = [axes.map(() => -1), axes.map(() => -1)]
  const ends = axes.map((axis) => -b.shape(w)[axis]! - 1)
  const flipped = axes.length === 0 ? w : b.op({ kind: 'Slice', axes, starts, ends, steps }, [w])
  const exchanged = op.group === 1 ? b.transpose(flipped, [1, 0, ...kernel.map((_, i) => i + 2)]) : flipped
  const rest = (pads: readonly number[]) => kernel.map((taps, i) => (taps - 1) * op.dilations[i]! - pads[i]!)
  return b.op({ ...op, padsBegin: rest(op.padsBegin), padsEnd: rest(op.padsEnd) }, [dy, exchanged])
}
