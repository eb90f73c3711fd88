import type { Conv } from '../../graph/ops.ts'
import type { GraphBuilder } from '../builder.ts'

/**
 * The gradient by the kernel of a convolution: of each tap, the products of the gradient with the elements of the input
 * that it met, added up. Four forms of the same sum; which is fastest was measured on one thread of ONNX Runtime over the
 * layers of MobileNet, ResNet and MNIST networks.
 *
 * @param x what was convolved, [batch, in, ...size]
 * @param shape of the kernel, [out, in/group, ...taps]
 * @param dy gradient of the result, [batch, out, ...positions]
 */
export function kernelGradient(
  b: GraphBuilder,
  op: Conv,
  x: string,
  shape: readonly number[],
  dy: string,
): string {
  const [outputs, perGroup, ...kernel] = shape as [number, number, ...number[]]
  const [taps, positions] = [product(kernel), product(b.shape(dy).slice(2))]
  // a node for each tap: large kernels would make long programs
  if (taps > mostTaps) return byConvolution(b, op, x, shape, dy)
  if (perGroup > 1 || op.group === 1)
    return op.group === 1 && positions < manyPositions
      ? byOneProduct(b, op, x, shape, dy)
      : byProducts(b, op, x, shape, dy)
  const dense = op.strides.every((stride) => stride === 1) && positions > 16 && outputs === op.group
  return dense ? byElements(b, op, x, shape, dy) : byConvolution(b, op, x, shape, dy)
}

const mostTaps = 25
/** From here on a matrix product for each sample is faster than to reorder the whole batch for one. */
const manyPositions = 400

/** One matrix product a tap over all samples and positions; the input with its channels last. */
function byOneProduct(b: GraphBuilder, op: Conv, x: string, shape: readonly number[], dy: string): string {
  const [outputs, inputs, ...kernel] = shape as [number, number, ...number[]]
  const [batch, , ...made] = b.shape(dy) as [number, number, ...number[]]
  const rows = batch * product(made)
  const spatial = made.map((_, i) => i + 2)
  const last = b.transpose(padded(b, op, x), [0, ...spatial, 1])
  const left = b.reshape(b.transpose(dy, [1, 0, ...spatial]), [outputs, rows])
  const products = tapsOf(kernel).map((tap) =>
    b.reshape(b.matMul(left, b.reshape(met(b, op, last, 1, tap, made), [rows, inputs])), [
      outputs,
      inputs,
      1,
    ]),
  )
  return b.reshape(joined(b, 2, products), shape)
}

/** A matrix product for each tap, sample and group; the samples are added afterwards. */
function byProducts(b: GraphBuilder, op: Conv, x: string, shape: readonly number[], dy: string): string {
  const [outputs, perGroup, ...kernel] = shape as [number, number, ...number[]]
  const [batch, , ...made] = b.shape(dy) as [number, number, ...number[]]
  const [positions, taps] = [product(made), product(kernel)]
  const split = outputs / op.group
  const wide = padded(b, op, x)
  const right = b.transpose(b.reshape(dy, [batch, op.group, split, positions]), [0, 1, 3, 2])
  const products = tapsOf(kernel).map((tap) => {
    const left = b.reshape(met(b, op, wide, 2, tap, made), [batch, op.group, perGroup, positions])
    return b.reshape(b.reduce('Sum', b.matMul(left, right), [0]), [1, op.group, perGroup, split])
  })
  const all = b.reshape(joined(b, 0, products), [taps, op.group, perGroup, split])
  return b.reshape(b.transpose(all, [1, 3, 2, 0]), shape)
}

/** Of depthwise convolutions: element by element. */
function byElements(b: GraphBuilder, op: Conv, x: string, shape: readonly number[], dy: string): string {
  const [outputs, , ...kernel] = shape as [number, number, ...number[]]
  const made = b.shape(dy).slice(2)
  const wide = padded(b, op, x)
  const others = [0, ...made.map((_, i) => i + 2)]
  const sums = tapsOf(kernel).map((tap) =>
    b.reshape(b.reduce('Sum', b.mul(dy, met(b, op, wide, 2, tap, made)), others), [outputs, 1]),
  )
  return b.reshape(joined(b, 1, sums), shape)
}

/**
 * A convolution of the input by the gradient: the batch in the place of the channels, the channels of a group in that of
 * the batch, strides and dilations exchanged.
 */
function byConvolution(b: GraphBuilder, op: Conv, x: string, shape: readonly number[], dy: string): string {
  const [outputs, perGroup, ...kernel] = shape as [number, number, ...number[]]
  const [batch, , ...size] = b.shape(x) as [number, number, ...number[]]
  const spatial = kernel.map((_, i) => i + 2)
  const parts = b.reshape(x, [batch, op.group, perGroup, ...size])
  const exchanged = b.transpose(parts, [2, 1, 0, ...spatial.map((axis) => axis + 1)])
  const made = b.op({ ...op, strides: op.dilations, dilations: op.strides }, [
    b.reshape(exchanged, [perGroup, op.group * batch, ...size]),
    b.transpose(dy, [1, 0, ...spatial]),
  ])
  // where the stride left a rest there are more positions than taps
  const taps = kernel.reduce(
    (all, extent, i) => (b.shape(all)[i + 2] === extent ? all : b.slice(all, i + 2, 0, extent)),
    made,
  )
  return b.reshape(b.transpose(taps, [1, 0, ...spatial]), [outputs, perGroup, ...kernel])
}

/** The elements that a tap met, from an input that is padded already, its size beginning at an axis. */
function met(
  b: GraphBuilder,
  op: Conv,
  x: string,
  from: number,
  tap: readonly number[],
  made: readonly number[],
): string {
  const starts = tap.map((at, i) => at * op.dilations[i]!)
  const ends = starts.map((start, i) => start + (made[i]! - 1) * op.strides[i]! + 1)
  if (ends.every((end, i) => starts[i] === 0 && op.strides[i] === 1 && end === b.shape(x)[from + i])) return x
  return b.op({ kind: 'Slice', axes: tap.map((_, i) => from + i), starts, ends, steps: op.strides }, [x])
}

function padded(b: GraphBuilder, { padsBegin, padsEnd }: Conv, x: string): string {
  if ([...padsBegin, ...padsEnd].every((pad) => pad === 0)) return x
  const zeros = [0, 0]
  return b.op(
    {
      kind: 'Pad',
      mode: 'constant',
      padsBegin: [...zeros, ...padsBegin],
      padsEnd: [...zeros, ...padsEnd],
      value: 0,
    },
    [x],
  )
}

function joined(b: GraphBuilder, axis: number, parts: readonly string[]): string {
  return parts.length === 1 ? parts[0]! : b.op({ kind: 'Concat', axis }, parts)
}

/** Places in a kernel, the last axis fastest. */
function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (all, extent) => all.flatMap((tap) => Array.from({ length: extent }, (_, at) => [...tap, at])),
    [[]],
  )
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1)
}
