import { EdgewrightError } from '../../../error.ts'
import { elementCount } from '../../../tensor.ts'
import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const movement: ReadTable = {
  Concat: (operator) => {
    const axis = operator.axis(operator.attributes.int('axis', 1), operator.rank(0))
    operator.produce({ kind: 'Concat', axis }, operator.inputs)
  },
  Split: readSplit,
  Slice: readSlice,
  Gather: (operator) => {
    const axis = operator.axis(operator.attributes.int('axis', 0), operator.rank(0))
    operator.produce({ kind: 'Gather', axis }, [operator.input(0), operator.input(1)])
  },
  Reshape: readReshape,
  Flatten: (operator) => {
    const shape = operator.shape(0)
    const stated = operator.attributes.int('axis', 1)
    const axis = stated === shape.length ? stated : operator.axis(stated, shape.length)
    reshape(operator, [elementCount(shape.slice(0, axis)), elementCount(shape.slice(axis))])
  },
  Squeeze: readSqueeze,
  Unsqueeze: readUnsqueeze,
  Transpose: readTranspose,
  Expand: readExpand,
  Tile: (operator) => {
    const repeats = operator.numbers(1, 'repeats')
    if (
      repeats.length !== operator.rank(0) ||
      repeats.some((count) => count < 0 || !Number.isSafeInteger(count))
    )
      throw operator.broken('has impossible repeats', `[${repeats.slice(0, 8).join(',')}]`)
    operator.produce({ kind: 'Tile', repeats }, [operator.input(0)])
  },
  Pad: readPad,
  DepthToSpace: (operator) => {
    const mode = operator.attributes.string('mode', 'DCR')
    if (mode !== 'DCR' && mode !== 'CRD') throw operator.broken('has an unknown mode', JSON.stringify(mode))
    operator.produce(
      { kind: 'DepthToSpace', blockSize: blockSize(operator), mode, layout: 'channels-first' },
      [operator.input(0)],
    )
  },
  SpaceToDepth: (operator) =>
    operator.produce({ kind: 'SpaceToDepth', blockSize: blockSize(operator), layout: 'channels-first' }, [
      operator.input(0),
    ]),
}

function reshape(operator: OnnxOperator, shape: readonly number[]): void {
  if (operator.shape(0).join() === shape.join()) operator.alias(operator.input(0))
  else operator.produce({ kind: 'Reshape', shape }, [operator.input(0)])
}

/** Sizes are an attribute before operator set 13, an input since; `num_outputs` (18) leaves the rest to the last. */
function readSplit(operator: OnnxOperator): void {
  const axis = operator.axis(operator.attributes.int('axis', 0), operator.rank(0))
  const stated =
    operator.opset >= 13 ? operator.optionalNumbers(1, 'sizes') : operator.attributes.ints('split')
  const size = operator.shape(0)[axis]!
  const sizes = stated ?? evenSizes(operator, size)
  if (
    sizes.length !== operator.outputCount ||
    sizes.some((part) => part < 0) ||
    sizes.reduce((a, b) => a + b, 0) !== size
  )
    throw operator.broken(
      'has sizes that do not add up',
      `[${sizes.slice(0, 8).join(',')}] of ${size} for ${operator.outputCount} outputs`,
    )
  operator.produce({ kind: 'Split', axis, sizes }, [operator.input(0)])
}

function evenSizes(operator: OnnxOperator, size: number): number[] {
  const count = operator.outputCount
  const chunk = Math.ceil(size / count)
  return Array.from({ length: count }, (_, i) => Math.max(0, Math.min(chunk, size - i * chunk)))
}

/** Everything is an attribute before operator set 10, an input since. */
function readSlice(operator: OnnxOperator): void {
  const rank = operator.rank(0)
  const { attributes } = operator
  const [starts, ends, axes, steps] =
    operator.opset < 10
      ? [attributes.ints('starts') ?? [], attributes.ints('ends') ?? [], attributes.ints('axes'), null]
      : [
          operator.numbers(1, 'starts'),
          operator.numbers(2, 'ends'),
          operator.optionalNumbers(3, 'axes'),
          operator.optionalNumbers(4, 'steps'),
        ]
  const along = operator.axes(axes ?? starts.map((_, i) => i), rank)
  const by = steps ?? starts.map(() => 1)
  if (
    ends.length !== starts.length ||
    along.length !== starts.length ||
    by.length !== starts.length ||
    by.includes(0)
  )
    throw operator.broken('has starts, ends, axes and steps that do not go together')
  operator.produce(
    {
      kind: 'Slice',
      axes: along,
      starts: starts.map(bounded),
      ends: ends.map(bounded),
      steps: by.map(bounded),
    },
    [operator.input(0)],
  )
}

/** No axis is longer: "to the end" stays beyond it, and every number stays exact. */
function bounded(index: number): number {
  return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, index))
}

function readReshape(operator: OnnxOperator): void {
  const from = operator.shape(0)
  const stated = operator.numbers(1, 'shape')
  const keepZero = operator.attributes.flag('allowzero')
  refuseFixedBatch(operator, from, stated)
  const shape = stated.map((dimension, i) => {
    if (dimension !== 0 || keepZero) return dimension
    if (i >= from.length)
      throw operator.broken(
        'copies a dimension that its input does not have',
        `[${stated.join(',')}] of [${from.join(',')}]`,
      )
    return from[i]!
  })
  const free = shape.indexOf(-1)
  if (free >= 0) {
    const known = elementCount(shape.filter((_, i) => i !== free))
    shape[free] = known === 0 ? 0 : elementCount(from) / known
  }
  if (
    shape.some((dimension) => dimension < 0 || !Number.isSafeInteger(dimension)) ||
    elementCount(shape) !== elementCount(from)
  )
    throw operator.broken(
      'has a shape that does not hold its elements',
      `[${stated.join(',')}] of [${from.join(',')}]`,
    )
  reshape(operator, shape)
}

/** A shape that an exporter wrote out for one sample would mix the samples of a batch. */
function refuseFixedBatch(operator: OnnxOperator, from: readonly number[], stated: readonly number[]): void {
  const batch = operator.boundBatch
  if (batch <= 1 || from[0] !== batch || stated[0] !== 1) return
  throw new EdgewrightError(
    'MODEL_SHAPE_INVALID',
    'The model reshapes to a fixed batch of 1, so it cannot be read with a larger batch.',
    {
      where: operator.where,
      saw: `shape [${stated.join(',')}] of [${from.join(',')}], batch ${batch}`,
      hint: 'Use batch 1, or export the model with a dynamic batch dimension throughout.',
    },
  )
}

function axesOf(operator: OnnxOperator): number[] | null {
  return operator.opset >= 13 ? operator.optionalNumbers(1, 'axes') : operator.attributes.ints('axes')
}

function readSqueeze(operator: OnnxOperator): void {
  const shape = operator.shape(0)
  const stated = axesOf(operator)
  const axes = stated
    ? operator.axes(stated, shape.length)
    : shape.flatMap((dimension, i) => (dimension === 1 ? [i] : []))
  if (axes.some((axis) => shape[axis] !== 1))
    throw operator.broken(
      'squeezes an axis that is not 1',
      `axes [${axes.join(',')}] of [${shape.join(',')}]`,
    )
  reshape(
    operator,
    shape.filter((_, i) => !axes.includes(i)),
  )
}

function readUnsqueeze(operator: OnnxOperator): void {
  const shape = operator.shape(0)
  const stated = axesOf(operator)
  if (!stated) throw operator.broken('lacks its axes')
  const rank = shape.length + stated.length
  const axes = new Set(operator.axes(stated, rank))
  const rest = [...shape]
  reshape(
    operator,
    Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : rest.shift()!)),
  )
}

function readTranspose(operator: OnnxOperator): void {
  const rank = operator.rank(0)
  const perm = operator.attributes.ints('perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i)
  if (perm.length !== rank || operator.axes(perm, rank).some((axis, i) => axis !== perm[i]))
    throw operator.broken('has an impossible perm', `[${perm.slice(0, 8).join(',')}] for rank ${rank}`)
  if (perm.every((axis, i) => axis === i)) operator.alias(operator.input(0))
  else operator.produce({ kind: 'Transpose', perm }, [operator.input(0)])
}

/** Both ways: a dimension of 1 in the asked shape keeps the input's. */
function readExpand(operator: OnnxOperator): void {
  const from = operator.shape(0)
  const asked = operator.numbers(1, 'shape')
  const rank = Math.max(from.length, asked.length)
  const shape = Array.from({ length: rank }, (_, i) => {
    const own = from[i - rank + from.length] ?? 1
    const wanted = asked[i - rank + asked.length] ?? 1
    if (own !== wanted && own !== 1 && wanted !== 1)
      throw operator.broken('cannot be expanded to its shape', `[${from.join(',')}] to [${asked.join(',')}]`)
    return own === 1 ? wanted : own
  })
  if (shape.some((dimension) => dimension < 0))
    throw operator.broken('has a negative shape', `[${asked.join(',')}]`)
  if (shape.join() === from.join()) operator.alias(operator.input(0))
  else operator.produce({ kind: 'Expand', shape }, [operator.input(0)])
}

/** Attributes before operator set 11, inputs since; the axes input since 18. */
function readPad(operator: OnnxOperator): void {
  const rank = operator.rank(0)
  const { attributes } = operator
  const mode = attributes.string('mode', 'constant') || 'constant'
  if (mode !== 'constant' && mode !== 'reflect' && mode !== 'edge' && mode !== 'wrap')
    throw operator.broken('has an unknown mode', JSON.stringify(mode))
  const [pads, value, stated] =
    operator.opset < 11
      ? [attributes.ints('pads') ?? [], attributes.float('value', 0), null]
      : [
          operator.numbers(1, 'pads'),
          operator.number(2, 'padding value') ?? 0,
          operator.optionalNumbers(3, 'axes'),
        ]
  const axes = stated ? operator.axes(stated, rank) : Array.from({ length: rank }, (_, i) => i)
  if (pads.length !== 2 * axes.length || pads.some((pad) => Math.abs(pad) > 2 ** 31))
    throw operator.broken('has impossible pads', `[${pads.slice(0, 8).join(',')}] for ${axes.length} axes`)
  if (Number.isNaN(value)) throw new NotExpressible('it pads with NaN')
  const padsBegin = new Array<number>(rank).fill(0)
  const padsEnd = new Array<number>(rank).fill(0)
  for (const [i, axis] of axes.entries()) {
    padsBegin[axis] = pads[i]!
    padsEnd[axis] = pads[i + axes.length]!
  }
  operator.produce({ kind: 'Pad', mode, padsBegin, padsEnd, value }, [operator.input(0)])
}

function blockSize(operator: OnnxOperator): number {
  const size = operator.attributes.int('blocksize', 0)
  if (operator.rank(0) !== 4) throw operator.broken('wants four dimensions', `rank ${operator.rank(0)}`)
  if (size < 1) throw operator.broken('has an impossible blocksize', String(size))
  return size
}
