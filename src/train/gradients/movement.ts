import type { OpOf } from '../../graph/ops.ts'
import { sliceExtent } from '../../graph/infer.ts'
import { numbersOf } from '../../graph/constant.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward, GradientFamily } from '../gradient.ts'
import { mappedBack, scatterAdded } from './linear-map.ts'
import { resizeGradient } from './resize.ts'

type Kind =
  | 'Concat'
  | 'Split'
  | 'Slice'
  | 'Gather'
  | 'Reshape'
  | 'Transpose'
  | 'Expand'
  | 'Tile'
  | 'Pad'
  | 'Resize'
  | 'DepthToSpace'
  | 'SpaceToDepth'

export const movementGradients: GradientFamily<Kind> = {
  Concat: (op, { b, inputs, gradients, wants }) => {
    let from = 0
    return inputs.map((name, index) => {
      const start = from
      from += b.shape(name!)[op.axis]!
      return wants(index) ? b.slice(gradients[0]!, op.axis, start, from) : null
    })
  },
  Split: (op, { b, outputs, gradients }) => [
    b.op(
      { kind: 'Concat', axis: op.axis },
      gradients.map((gradient, index) => gradient ?? b.zerosLike(outputs[index]!)),
    ),
  ],
  Slice: (op, backward) => [sliceGradient(op, backward)],
  Gather: (op, backward) => [gatherGradient(op, backward), null],
  Reshape: (_, { b, inputs, gradients }) => [b.reshape(gradients[0]!, b.shape(inputs[0]!))],
  Transpose: (op, { b, gradients }) => [
    b.transpose(
      gradients[0]!,
      op.perm.map((_, axis) => op.perm.indexOf(axis)),
    ),
  ],
  Expand: (_, { b, inputs, gradients }) => [b.unbroadcast(gradients[0]!, b.shape(inputs[0]!))],
  Tile: (op, { b, inputs, gradients }) => {
    const shape = b.shape(inputs[0]!)
    const apart = b.reshape(
      gradients[0]!,
      shape.flatMap((size, axis) => [op.repeats[axis]!, size]),
    )
    const copies = shape.map((_, axis) => 2 * axis)
    return [b.reduce('Sum', apart, copies)]
  },
  Pad: (op, backward) => [padGradient(op, backward)],
  Resize: (op, backward) => [resizeGradient(op, backward), ...backward.inputs.slice(1).map(() => null)],
  DepthToSpace: (op, { b, inputs, gradients }) => {
    const [batch, channels, height, width] = b.shape(inputs[0]!) as [number, number, number, number]
    const n = op.blockSize
    const depth = channels / (n * n)
    const apart = b.reshape(gradients[0]!, [batch, depth, height, n, width, n])
    const back = op.mode === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4]
    return [b.reshape(b.transpose(apart, back), [batch, channels, height, width])]
  },
  SpaceToDepth: (op, { b, inputs, gradients }) => {
    const [batch, channels, height, width] = b.shape(inputs[0]!) as [number, number, number, number]
    const n = op.blockSize
    const apart = b.reshape(gradients[0]!, [batch, n, n, channels, height / n, width / n])
    return [b.reshape(b.transpose(apart, [0, 3, 4, 1, 5, 2]), [batch, channels, height, width])]
  },
}

/** Zeros where nothing was taken from. */
function sliceGradient(op: OpOf<'Slice'>, { b, inputs, gradients }: Backward): string {
  const shape = b.shape(inputs[0]!)
  const padsBegin = shape.map(() => 0)
  const padsEnd = shape.map(() => 0)
  let gradient = gradients[0]!
  op.axes.forEach((axis, index) => {
    const [size, step] = [shape[axis]!, op.steps[index]!]
    const { start, count } = sliceExtent(size, op.starts[index]!, op.ends[index]!, step)
    if (step === 1) {
      padsBegin[axis] = start
      padsEnd[axis] = size - start - count
      return
    }
    gradient = mappedBack(
      b,
      gradient,
      axis,
      size,
      Array.from({ length: count }, (_, at) => [[start + at * step, 1]]),
    )
  })
  return padded(b, gradient, padsBegin, padsEnd)
}

function padded(
  b: GraphBuilder,
  x: string,
  padsBegin: readonly number[],
  padsEnd: readonly number[],
): string {
  return [...padsBegin, ...padsEnd].every((pad) => pad === 0)
    ? x
    : b.op({ kind: 'Pad', mode: 'constant', padsBegin, padsEnd, value: 0 }, [x])
}

function gatherGradient(op: OpOf<'Gather'>, backward: Backward): string | null {
  const { b, inputs, gradients, wants } = backward
  if (!wants(0)) return null
  const [x, indices] = inputs as [string, string]
  const { constant } = b.editor.value(indices)
  const shape = b.shape(x)
  const size = shape[op.axis]!
  const taken = constant && numbersOf(constant).map((index) => (index < 0 ? index + size : index))
  // one part of a stacked tensor, as attention takes it apart: no sum is needed
  if (taken && taken.length > 0 && taken.every((index, i) => index === taken[0]! + i)) {
    const none = shape.map(() => 0)
    return padded(
      b,
      b.reshape(gradients[0]!, shape.with(op.axis, taken.length)),
      none.with(op.axis, taken[0]!),
      none.with(op.axis, size - taken[0]! - taken.length),
    )
  }
  return rowsAdded(op.axis, backward)
}

/** Rows that were taken several times add up. */
function rowsAdded(axis: number, { b, inputs, gradients }: Backward): string {
  const [x, indices] = inputs as [string, string]
  const shape = b.shape(x)
  const [outer, inner] = [product(shape.slice(0, axis)), product(shape.slice(axis + 1))]
  const [size, count] = [shape[axis]!, product(b.shape(indices))]
  const updates = b.reshape(gradients[0]!, [outer, count, inner])
  const along = b.reshape(b.cast(indices, 'int64'), [1, count, 1])
  return b.reshape(scatterAdded(b, updates, along, 1, size), shape)
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1)
}

function padGradient(op: OpOf<'Pad'>, { b, inputs, gradients }: Backward): string {
  const { mode, padsBegin, padsEnd } = op
  const opposite = (pads: readonly number[]) => pads.map((pad) => (pad === 0 ? 0 : -pad))
  if (mode === 'constant') return padded(b, gradients[0]!, opposite(padsBegin), opposite(padsEnd))
  return b.shape(inputs[0]!).reduce((gradient, size, axis) => {
    const [begin, end] = [padsBegin[axis]!, padsEnd[axis]!]
    if (begin === 0 && end === 0) return gradient
    const sources = padSources(mode, size, begin, end)
    return mappedBack(
      b,
      gradient,
      axis,
      size,
      sources.map((source) => [[source, 1]]),
    )
  }, gradients[0]!)
}

/** Which element along an axis each element of a padded one is. What a negative pad crops is cropped first. */
function padSources(mode: 'reflect' | 'edge' | 'wrap', size: number, begin: number, end: number): number[] {
  const first = Math.max(0, -begin)
  const left = size - first - Math.max(0, -end)
  const wrapped = (at: number, period: number) => ((at % period) + period) % period
  const source = (at: number) => {
    if (mode === 'edge') return Math.min(Math.max(at, 0), left - 1)
    if (mode === 'wrap') return wrapped(at, left)
    // the edge itself is not repeated
    const turn = wrapped(at, Math.max(1, 2 * (left - 1)))
    return turn < left ? turn : 2 * (left - 1) - turn
  }
  return Array.from({ length: size + begin + end }, (_, at) => first + source(at - Math.max(begin, 0)))
}
