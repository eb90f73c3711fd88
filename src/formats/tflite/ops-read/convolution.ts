import type { Window } from '../../../graph/ops.ts'
import { samePadding, sameTransposedPadding } from '../window.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import { depthwiseWeights, spatialWeights, transposedWeights } from '../turn.ts'
import type { ReadTable } from './table.ts'

export const convolution: ReadTable = {
  CONV_2D: readConv,
  DEPTHWISE_CONV_2D: readDepthwise,
  TRANSPOSE_CONV: readTransposed,
}

interface Spatial {
  readonly padding: number
  readonly strideH: number
  readonly strideW: number
  readonly dilationH?: number
  readonly dilationW?: number
}

/** Explicit pads for what the file calls SAME or VALID. `x` and `kernel` are [height, width]. */
export function windowOf(
  operator: OperatorInReading,
  options: Spatial,
  x: readonly number[],
  kernel: readonly number[],
): Window {
  const strides = [options.strideH, options.strideW]
  const dilations = [options.dilationH ?? 1, options.dilationW ?? 1]
  if ([...strides, ...dilations, ...kernel].some((step) => !(step >= 1 && step <= 2 ** 24)))
    throw operator.broken(
      'has an impossible window',
      `kernel ${kernel}, strides ${strides}, dilations ${dilations}`,
    )
  const pads = x.map((size, i) =>
    isSame(operator, options.padding)
      ? samePadding(size, kernel[i]!, strides[i]!, dilations[i]!)
      : { begin: 0, end: 0 },
  )
  return {
    strides,
    dilations,
    padsBegin: pads.map(({ begin }) => begin),
    padsEnd: pads.map(({ end }) => end),
  }
}

function isSame(operator: OperatorInReading, padding: number): boolean {
  if (padding !== 0 && padding !== 1) throw operator.broken('has a padding that is not known', `${padding}`)
  return padding === 0
}

function readConv(operator: OperatorInReading): void {
  const options = operator.options('Conv2DOptions')
  const x = imageOf(operator, 0)
  const [, kh, kw, perGroup] = kernelOf(operator)
  if (perGroup === 0 || x[3]! % perGroup !== 0)
    throw operator.broken('has weights for another number of channels', `${perGroup} for ${x[3]}`)
  const window = windowOf(operator, options, x.slice(1, 3), [kh, kw])
  operator.produceActivated(
    { kind: 'Conv', ...window, group: x[3]! / perGroup, layout: 'channels-last' },
    withBias(operator, [operator.input(0), operator.turned(1, spatialWeights)], 2),
    options.activation,
  )
}

/** The multiplier follows from the shapes; the file's own is not always right. */
function readDepthwise(operator: OperatorInReading): void {
  const options = operator.options('DepthwiseConv2DOptions')
  const x = imageOf(operator, 0)
  const [one, kh, kw, outputs] = kernelOf(operator)
  if (one !== 1 || x[3] === 0 || outputs % x[3]! !== 0)
    throw operator.broken('has weights for another number of channels', `${outputs} for ${x[3]}`)
  const window = windowOf(operator, options, x.slice(1, 3), [kh, kw])
  operator.produceActivated(
    { kind: 'Conv', ...window, group: x[3]!, layout: 'channels-last' },
    withBias(operator, [operator.input(0), operator.turned(1, depthwiseWeights)], 2),
    options.activation,
  )
}

/** Pads are those that give the size that the file states; an output padding makes up for what they cannot. */
function readTransposed(operator: OperatorInReading): void {
  const options = operator.options('TransposeConvOptions')
  const x = imageOf(operator, 2)
  const [outputs, kh, kw, inputs] = kernelOf(operator)
  if (inputs !== x[3])
    throw operator.broken('has weights for another number of channels', `${inputs} for ${x[3]}`)
  const stated = operator.numbers(0, 'output shape')
  if (stated.length !== 4 || stated[3] !== outputs)
    throw operator.broken('has an impossible output shape', `[${stated.join(',')}]`)
  const { strides, dilations } = windowOf(operator, { ...options, padding: 1 }, [x[1]!, x[2]!], [kh, kw])
  const axes = [kh, kw].map((kernel, i) => {
    const [size, wanted, stride] = [x[i + 1]!, stated[i + 1]!, strides[i]!]
    const begin = isSame(operator, options.padding) ? sameTransposedPadding(wanted, kernel, stride).begin : 0
    const left = (size - 1) * stride + kernel - begin - wanted
    return { begin, end: Math.max(left, 0), outputPadding: Math.max(-left, 0) }
  })
  if (stated.some((size) => size < 1) || axes.some(({ outputPadding }, i) => outputPadding >= strides[i]!))
    throw new NotExpressible('its output shape leaves rows that no input reaches')
  operator.produceActivated(
    {
      kind: 'ConvTranspose',
      strides,
      dilations,
      padsBegin: axes.map(({ begin }) => begin),
      padsEnd: axes.map(({ end }) => end),
      outputPadding: axes.map(({ outputPadding }) => outputPadding),
      group: 1,
      layout: 'channels-last',
    },
    withBias(operator, [operator.input(2), operator.turned(1, transposedWeights)], 3),
    options.activation,
  )
}

function withBias(operator: OperatorInReading, operands: string[], index: number): string[] {
  const bias = operator.optional(index)
  return bias === null ? operands : [...operands, bias]
}

/** [batch, height, width, channels] */
export function imageOf(operator: OperatorInReading, index: number): readonly number[] {
  const shape = operator.shape(index)
  if (shape.length !== 4) throw operator.broken('needs an input of four dimensions', `[${shape.join(',')}]`)
  return shape
}

function kernelOf(operator: OperatorInReading): [number, number, number, number] {
  const shape = operator.shape(1)
  if (shape.length !== 4) throw operator.broken('needs weights of four dimensions', `[${shape.join(',')}]`)
  return shape as unknown as [number, number, number, number]
}
