import { elementCount } from '../../tensor.ts'
import type {
  Concat,
  DepthToSpace,
  Expand,
  Gather,
  OpKind,
  Pad,
  Reshape,
  Resize,
  Slice,
  SpaceToDepth,
  Split,
  Tile,
  Transpose,
} from '../ops.ts'
import { broadcastShapes, sameShape } from './broadcast.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireAxis,
  requireLength,
  requireRank,
  type Shaped,
  shapeError,
  show,
  spatialOf,
  spatialShape,
} from './entry.ts'

type MovementKind = Extract<
  OpKind,
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
>

export const movement = {
  Concat: { inputs: ['...'], infer: inferConcat },
  Split: { inputs: ['x'], outputCount: (op: Split) => op.sizes.length, infer: inferSplit },
  Slice: { inputs: ['x'], infer: inferSlice },
  Gather: { inputs: ['x', 'indices'], infer: inferGather },
  Reshape: { inputs: ['x'], infer: inferReshape },
  Transpose: { inputs: ['x'], infer: inferTranspose },
  Expand: { inputs: ['x'], infer: inferExpand },
  Tile: { inputs: ['x'], infer: inferTile },
  Pad: { inputs: ['x'], infer: inferPad },
  Resize: { inputs: ['x'], infer: inferResize },
  DepthToSpace: { inputs: ['x'], infer: inferDepthToSpace },
  SpaceToDepth: { inputs: ['x'], infer: inferSpaceToDepth },
} satisfies { [K in MovementKind]: OpEntry<K> }

/**
 * Where a slice along an axis of `size` starts and how many elements it takes, by ONNX Slice-13: a negative start or
 * end counts from the end of the axis, then both are clamped to what the step can reach. A backward slice that takes
 * element 0 has an `end` below −size.
 */
export function sliceExtent(
  size: number,
  start: number,
  end: number,
  step: number,
): { start: number; count: number } {
  const [least, most] = step > 0 ? [0, size] : [-1, size - 1]
  const clamp = (position: number, low: number) =>
    Math.min(Math.max(position < 0 ? position + size : position, low), most)
  const from = clamp(start, step > 0 ? 0 : Math.min(0, most))
  const to = clamp(end, least)
  return { start: from, count: Math.max(0, Math.ceil((to - from) / step)) }
}

function inferConcat(op: Concat, operands: Operands): Shaped[] {
  const first = operand(operands, 0)
  requireAxis(op, op.axis, first.shape.length)
  let size = 0
  operands.forEach((_, i) => {
    const { dtype, shape } = operand(operands, i)
    const fits =
      shape.length === first.shape.length &&
      shape.every((d, axis) => axis === op.axis || d === first.shape[axis])
    if (!fits || dtype !== first.dtype)
      throw shapeError(
        op,
        `operand ${i} does not fit operand 0 beside axis ${op.axis}.`,
        `${first.dtype}${show(first.shape)} and ${dtype}${show(shape)}`,
      )
    size += shape[op.axis]!
  })
  return [{ dtype: first.dtype, shape: first.shape.with(op.axis, size) }]
}

function inferSplit(op: Split, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireAxis(op, op.axis, x.shape.length)
  const total = op.sizes.reduce((sum, size) => sum + size, 0)
  if (total !== x.shape[op.axis] || !op.sizes.every((size) => Number.isInteger(size) && size >= 0))
    throw shapeError(
      op,
      `the parts ${show(op.sizes)} do not add up to axis ${op.axis}.`,
      `x ${show(x.shape)}`,
    )
  return op.sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(op.axis, size) }))
}

function inferSlice(op: Slice, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  for (const name of ['starts', 'ends', 'steps'] as const) requireLength(op, name, op[name], op.axes.length)
  if (new Set(op.axes).size !== op.axes.length)
    throw shapeError(op, 'an axis is listed twice.', `axes ${show(op.axes)}`)
  const shape = [...x.shape]
  op.axes.forEach((axis, i) => {
    requireAxis(op, axis, x.shape.length)
    if (op.steps[i] === 0)
      throw shapeError(op, `the step along axis ${axis} is 0.`, `steps ${show(op.steps)}`)
    shape[axis] = sliceExtent(x.shape[axis]!, op.starts[i]!, op.ends[i]!, op.steps[i]!).count
  })
  return [{ dtype: x.dtype, shape }]
}

function inferGather(op: Gather, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  const indices = operand(operands, 1)
  requireAxis(op, op.axis, x.shape.length)
  if (indices.dtype !== 'int64' && indices.dtype !== 'int32')
    throw shapeError(op, 'indices must be int32 or int64.', `indices are ${indices.dtype}`)
  return [{ dtype: x.dtype, shape: x.shape.toSpliced(op.axis, 1, ...indices.shape) }]
}

function inferReshape(op: Reshape, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireSizes(op, 'shape', op.shape)
  if (elementCount(op.shape) !== elementCount(x.shape))
    throw shapeError(
      op,
      `${show(x.shape)} has ${elementCount(x.shape)} elements, ${show(op.shape)} has ${elementCount(op.shape)}.`,
      `x ${show(x.shape)}`,
    )
  return [{ dtype: x.dtype, shape: op.shape }]
}

function inferTranspose(op: Transpose, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  const sorted = op.perm.toSorted((a, b) => a - b)
  if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i))
    throw shapeError(op, `perm must name each of the ${x.shape.length} axes once.`, `perm ${show(op.perm)}`)
  return [{ dtype: x.dtype, shape: op.perm.map((axis) => x.shape[axis]!) }]
}

function inferExpand(op: Expand, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireSizes(op, 'shape', op.shape)
  const shape = broadcastShapes(x.shape, op.shape)
  if (!shape || !sameShape(shape, op.shape))
    throw shapeError(op, `x does not broadcast to ${show(op.shape)}.`, `x ${show(x.shape)}`)
  return [{ dtype: x.dtype, shape }]
}

function inferTile(op: Tile, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireLength(op, 'repeats', op.repeats, x.shape.length)
  requireSizes(op, 'repeats', op.repeats)
  return [{ dtype: x.dtype, shape: x.shape.map((size, axis) => size * op.repeats[axis]!) }]
}

function inferPad(op: Pad, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireLength(op, 'padsBegin', op.padsBegin, x.shape.length)
  requireLength(op, 'padsEnd', op.padsEnd, x.shape.length)
  const shape = x.shape.map((size, axis) => size + op.padsBegin[axis]! + op.padsEnd[axis]!)
  requireSizes(op, 'the padded shape', shape)
  return [{ dtype: x.dtype, shape }]
}

function inferResize(op: Resize, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireLength(op, 'sizes', op.sizes, x.shape.length)
  requireSizes(op, 'sizes', op.sizes)
  if (op.scales) requireLength(op, 'scales', op.scales, x.shape.length)
  return [{ dtype: x.dtype, shape: op.sizes }]
}

function inferDepthToSpace(op: DepthToSpace, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireRank(op, 'x', x, 4)
  const { batch, channels, size } = spatialOf(op, x)
  const perBlock = op.blockSize ** 2
  if (!(op.blockSize > 0) || channels % perBlock !== 0)
    throw shapeError(
      op,
      `${channels} channels do not divide by the block's ${perBlock}.`,
      `x ${show(x.shape)}`,
    )
  const larger = size.map((length) => length * op.blockSize)
  return [
    {
      dtype: x.dtype,
      shape: spatialShape(op.layout, { batch, channels: channels / perBlock, size: larger }),
    },
  ]
}

function inferSpaceToDepth(op: SpaceToDepth, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireRank(op, 'x', x, 4)
  const { batch, channels, size } = spatialOf(op, x)
  if (!(op.blockSize > 0) || size.some((length) => length % op.blockSize !== 0))
    throw shapeError(
      op,
      `the spatial sizes ${show(size)} do not divide by the block size ${op.blockSize}.`,
      `x ${show(x.shape)}`,
    )
  const smaller = size.map((length) => length / op.blockSize)
  return [
    {
      dtype: x.dtype,
      shape: spatialShape(op.layout, { batch, channels: channels * op.blockSize ** 2, size: smaller }),
    },
  ]
}

function requireSizes(op: Parameters<typeof shapeError>[0], name: string, sizes: readonly number[]): void {
  if (!sizes.every((size) => Number.isSafeInteger(size) && size >= 0))
    throw shapeError(op, `${name} must be whole numbers of 0 or more.`, `${name} ${show(sizes)}`)
}
