import { constantOfNumbers } from '../../../graph/encode.ts'
import type { Quantization } from '../../../graph/types.ts'
import { reshapeConstant, transposeConstant, transposeQuantization } from '../weights.ts'
import { depthwiseOrder, spatialOrder, transposedOrder } from '../turn.ts'
import { sameTransposedPadding } from '../window.ts'
import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'
import { asImage, paddedInput } from './window.ts'

export function writeConv(conv: NodeInWriting<'Conv'>): void {
  const image = asImage(conv)
  const w = conv.type(1).shape
  const kernel = image.lift(w.slice(2))
  const { x, padding } = paddedInput(conv, image, kernel, 0)
  const [strideH, strideW] = image.lift(conv.op.strides) as [number, number]
  const [dilationH, dilationW] = image.lift(conv.op.dilations, 1) as [number, number]
  const shared = { padding, strideH, strideW, dilationH, dilationW, activation: conv.activation }
  const inputs = [x, turnedWeights(conv, isDepthwise(conv) ? 'depthwise' : 'spatial'), biasOf(conv, w[0]!)]
  const multiplier = w[0]! / conv.op.group
  image.finish(
    isDepthwise(conv) ? 'DEPTHWISE_CONV_2D' : 'CONV_2D',
    inputs,
    isDepthwise(conv)
      ? options('DepthwiseConv2DOptions', { ...shared, depthMultiplier: multiplier })
      : options('Conv2DOptions', shared),
  )
}

/** One channel alone is both: it stays what its file said. */
function isDepthwise(conv: NodeInWriting<'Conv'>): boolean {
  const { group } = conv.op
  if (conv.type(1).shape[1] !== 1 || conv.type(0).shape.at(-1) !== group) return false
  return group > 1 || conv.node.source?.opType === 'DEPTHWISE_CONV_2D'
}

export function writeConvTranspose(conv: NodeInWriting<'ConvTranspose'>): void {
  const { op } = conv
  if (op.group !== 1) throw conv.unsupported('a transposed convolution in groups', `${op.group} groups`)
  if (op.dilations.some((dilation) => dilation !== 1))
    throw conv.unsupported('a dilated transposed convolution')
  const image = asImage(conv)
  const w = conv.type(1).shape
  const kernel = image.lift(w.slice(2))
  const [strideH, strideW] = image.lift(op.strides) as [number, number]
  const begins = image.lift(op.padsBegin, 0)
  const out = image.outputShape
  const strides = [strideH, strideW]
  const size = [image.shape[1]!, image.shape[2]!]
  const isValid = begins.every((begin) => begin === 0)
  const isSame = strides.every(
    (stride, i) =>
      sameTransposedPadding(out[i + 1]!, kernel[i]!, stride).begin === begins[i] &&
      Math.ceil(out[i + 1]! / stride) === size[i],
  )
  const reaches = strides.every(
    (stride, i) => out[i + 1]! <= (size[i]! - 1) * stride + kernel[i]! + stride - 1,
  )
  const weights = turnedWeights(conv, 'transposed')
  const bias = conv.has(2) ? [biasOf(conv, w[1]!)] : []
  const choices = { strideH, strideW }
  if ((isValid && reaches) || isSame) {
    const shape = conv.integers(out, 'output_shape')
    const values = options('TransposeConvOptions', { ...choices, padding: isValid && reaches ? 1 : 0 })
    image.finish('TRANSPOSE_CONV', [shape, weights, image.x, ...bias], values)
    return
  }
  // all that the kernel reaches, then the part that is wanted
  const full = [
    out[0]!,
    ...strides.map((stride, i) => Math.max((size[i]! - 1) * stride + kernel[i]!, begins[i]! + out[i + 1]!)),
    out[3]!,
  ]
  const whole = conv.step(
    'TRANSPOSE_CONV',
    [conv.integers(full, 'full_shape'), weights, image.x, ...bias],
    'full',
    { ...conv.outputType, shape: full },
    options('TransposeConvOptions', { ...choices, padding: 1 }),
  )
  const begin = conv.integers([0, ...begins, 0], 'begin')
  image.finish('SLICE', [whole, begin, conv.integers(out, 'size')])
}

type Turned = keyof typeof orders
const orders = { spatial: spatialOrder, depthwise: depthwiseOrder, transposed: transposedOrder } as const

/** Weights in the file's order; those of one spatial axis get a second one of size 1. */
function turnedWeights(conv: NodeInWriting<'Conv' | 'ConvTranspose'>, how: Turned): number {
  const { shape } = conv.type(1)
  const order = orders[how]
  const flat = shape.length === 3
  const lifted = flat ? [shape[0]!, shape[1]!, 1, shape[2]!] : shape
  const known = conv.network.turned(conv.name(1), {
    name: how,
    turn: (weights) => transposeConstant(reshapeConstant(weights, lifted), order),
    quantization: (stored) =>
      transposeQuantization(flat && stored?.axis === 2 ? { ...stored, axis: 3 } : stored, order),
  })
  if (known !== null) return known
  const x = flat ? conv.reshaped(conv.input(1), lifted, 'kernel') : conv.input(1)
  return conv.transposed(x, order, how)
}

/** The fast kernels want a bias; one of zeros changes nothing. */
function biasOf(conv: NodeInWriting<'Conv' | 'ConvTranspose'>, channels: number): number {
  if (conv.has(2)) return conv.input(2)
  const [x, w] = [conv.type(0), conv.type(1)]
  const zeros = new Array<number>(channels).fill(0)
  if (!x.quantization || !w.quantization)
    return conv.network.parameter(constantOfNumbers('float32', [channels], zeros), conv.inside('no_bias'))
  const scales = w.quantization.scales.map((scale) => Math.fround(x.quantization!.scales[0]! * scale))
  const quantization: Quantization = {
    scales,
    zeroPoints: scales.map(() => 0),
    axis: scales.length > 1 ? 0 : null,
  }
  const dtype = x.dtype === 'int16' ? 'int64' : 'int32'
  return conv.network.parameter(
    constantOfNumbers(dtype, [channels], zeros),
    conv.inside('no_bias'),
    quantization,
  )
}
