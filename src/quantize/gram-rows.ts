import type { Conv } from '../graph/ops.ts'
import type { Node } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'

/**
 * A Conv, Gemm or MatMul as the product that it is: at each output position the layer reads a row of inputs for each of
 * its groups (im2col; zeros where padding stands), and each output channel is the product of its group's row and the
 * channel's weights.
 */
export interface LayerRows {
  readonly groups: number
  /** Elements of a row: weights of an output channel. */
  readonly width: number
  readonly positions: number
  readonly channels: number
  /** Where the weights of an output channel lie in the constant, in the order of a row. */
  weightsOf(channel: number): { readonly start: number; readonly stride: number }
  groupOf(channel: number): number
  /** Writes the rows of a position for all groups: that of group g at `start` + g · `groupStride`. */
  read(x: ArrayLike<number>, position: number, into: Float32Array, start: number, groupStride: number): void
}

/** Undefined for what has no such rows: ConvTranspose, transposed activations, stacked weights. */
export function layerRows(
  { op }: Pick<Node, 'op'>,
  weightShape: readonly number[],
  inputShape: readonly number[],
  outputShape: readonly number[],
): LayerRows | undefined {
  if (op.kind === 'Conv') return convolutionRows(op, weightShape, inputShape, outputShape)
  if (op.kind === 'Gemm') return op.transA ? undefined : matrixRows(op.transB, weightShape, inputShape)
  if (op.kind === 'MatMul' && weightShape.length === 2) return matrixRows(false, weightShape, inputShape)
  return undefined
}

function matrixRows(
  transposed: boolean,
  weightShape: readonly number[],
  inputShape: readonly number[],
): LayerRows {
  const [width, channels] = (transposed ? [...weightShape].reverse() : weightShape) as [number, number]
  return {
    groups: 1,
    width,
    channels,
    positions: elementCount(inputShape) / width,
    groupOf: () => 0,
    weightsOf: (channel) =>
      transposed ? { start: channel * width, stride: 1 } : { start: channel, stride: channels },
    read(x, position, into, start) {
      for (let i = 0, from = position * width; i < width; i++) into[start + i] = x[from + i]!
    },
  }
}

function convolutionRows(
  op: Conv,
  [channels, perGroup, ...kernel]: readonly number[],
  inputShape: readonly number[],
  outputShape: readonly number[],
): LayerRows {
  const first = op.layout === 'channels-first'
  const spatial = (shape: readonly number[]) => (first ? shape.slice(2) : shape.slice(1, -1))
  const size = elementCount(spatial(inputShape))
  const outputs = elementCount(spatial(outputShape))
  const taps = elementCount(kernel)
  const width = perGroup! * taps
  const inputs = perGroup! * op.group
  const [pixelStride, channelStride] = first ? [1, size] : [inputs, 1]
  const offsets = tapOffsets(op, kernel, spatial(inputShape), spatial(outputShape))
  return {
    groups: op.group,
    width,
    channels: channels!,
    positions: inputShape[0]! * outputs,
    groupOf: (channel) => Math.floor((channel * op.group) / channels!),
    weightsOf: (channel) => ({ start: channel * width, stride: 1 }),
    read(x, position, into, start, groupStride) {
      const image = Math.floor(position / outputs) * size * inputs
      const table = (position % outputs) * taps
      for (let tap = 0; tap < taps; tap++) {
        const pixel = offsets[table + tap]!
        let from = image + pixel * pixelStride
        for (let group = 0; group < op.group; group++) {
          let at = start + group * groupStride + tap
          for (let i = 0; i < perGroup!; i++, at += taps, from += channelStride)
            into[at] = pixel < 0 ? 0 : x[from]!
        }
      }
    },
  }
}

/** For each output position and tap the input pixel under it, −1 for padding. */
function tapOffsets(
  op: Conv,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): Int32Array {
  let offsets = Int32Array.of(0)
  let positions = 1
  let taps = 1
  kernel.forEach((size, axis) => {
    const width = output[axis]!
    const next = new Int32Array(positions * width * taps * size)
    for (let position = 0, to = 0; position < positions; position++)
      for (let y = 0; y < width; y++)
        for (let tap = 0; tap < taps; tap++) {
          const before = offsets[position * taps + tap]!
          for (let k = 0; k < size; k++) {
            const at = y * op.strides[axis]! + k * op.dilations[axis]! - op.padsBegin[axis]!
            next[to++] = before < 0 || at < 0 || at >= input[axis]! ? -1 : before * input[axis]! + at
          }
        }
    offsets = next
    positions *= width
    taps *= size
  })
  return offsets
}
