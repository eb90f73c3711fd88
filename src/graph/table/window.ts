import type { Op, Window } from '../ops.ts'
import { requireLength, shapeError, show } from './entry.ts'

/** Size of a convolution's output along one axis: how often the dilated kernel fits, padding included. */
export function convOutputSize(
  input: number,
  kernel: number,
  stride: number,
  dilation: number,
  padBegin: number,
  padEnd: number,
): number {
  const reach = (kernel - 1) * dilation + 1
  return Math.floor((input + padBegin + padEnd - reach) / stride) + 1
}

/** Size of a transposed convolution's output along one axis. */
export function convTransposeOutputSize(
  input: number,
  kernel: number,
  stride: number,
  dilation: number,
  padBegin: number,
  padEnd: number,
  outputPadding: number,
): number {
  return (input - 1) * stride + outputPadding + (kernel - 1) * dilation + 1 - padBegin - padEnd
}

/**
 * Size of a pool's output along one axis. With `ceilMode` a last partial window counts, unless it would start in
 * the padding at the end (ONNX MaxPool-22, AveragePool-22; PyTorch's rule).
 */
export function poolOutputSize(
  input: number,
  kernel: number,
  stride: number,
  dilation: number,
  padBegin: number,
  padEnd: number,
  ceilMode: boolean,
): number {
  if (!ceilMode) return convOutputSize(input, kernel, stride, dilation, padBegin, padEnd)
  const reach = (kernel - 1) * dilation + 1
  const size = Math.ceil((input + padBegin + padEnd - reach) / stride) + 1
  return (size - 1) * stride >= input + padBegin ? size - 1 : size
}

/** Checks that strides, dilations and pads have an entry for each spatial axis and can be used. */
export function requireWindow(op: Op & Window, rank: number): void {
  for (const name of ['strides', 'dilations', 'padsBegin', 'padsEnd'] as const) {
    const list = op[name]
    requireLength(op, name, list, rank)
    const least = name === 'strides' || name === 'dilations' ? 1 : Number.NEGATIVE_INFINITY
    if (!list.every((entry) => Number.isSafeInteger(entry) && entry >= least))
      throw shapeError(
        op,
        `${name} must be ${least === 1 ? 'positive ' : ''}whole numbers.`,
        `${name} is ${show(list)}`,
      )
  }
}

/** One output size per spatial axis; refuses an output without elements where the input has some. */
export function windowSizes(op: Op, input: readonly number[], along: (axis: number) => number): number[] {
  return input.map((size, axis) => {
    const result = along(axis)
    if (result < 1)
      throw shapeError(
        op,
        `the window is larger than the padded input along spatial axis ${axis}.`,
        `input size ${size}, output size ${result}`,
      )
    return result
  })
}
