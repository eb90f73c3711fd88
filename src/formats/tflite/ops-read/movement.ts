import { elementCount } from '../../../tensor.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const movement: ReadTable = {
  CONCATENATION: readConcat,
  SPLIT: readSplit,
  SPLIT_V: readSplitV,
  GATHER: readGather,
  RESHAPE: readReshape,
  SQUEEZE: readSqueeze,
  EXPAND_DIMS: readExpandDims,
  PACK: readPack,
  UNPACK: readUnpack,
  TRANSPOSE: (operator) => {
    const rank = operator.shape(0).length
    const perm = operator.numbers(1, 'permutation').map((axis) => operator.axis(axis, rank))
    operator.produce({ kind: 'Transpose', perm }, [operator.input(0)])
  },
  BROADCAST_TO: (operator) =>
    operator.produce({ kind: 'Expand', shape: operator.numbers(1, 'shape') }, [operator.input(0)]),
  TILE: (operator) =>
    operator.produce({ kind: 'Tile', repeats: operator.numbers(1, 'multiples') }, [operator.input(0)]),
  DEPTH_TO_SPACE: (operator) => {
    const { blockSize } = operator.options('DepthToSpaceOptions')
    operator.produce({ kind: 'DepthToSpace', blockSize, mode: 'DCR', layout: 'channels-last' }, [
      operator.input(0),
    ])
  },
  SPACE_TO_DEPTH: (operator) => {
    const { blockSize } = operator.options('SpaceToDepthOptions')
    operator.produce({ kind: 'SpaceToDepth', blockSize, layout: 'channels-last' }, [operator.input(0)])
  },
  PAD: (operator) => readPad(operator, 0),
  PADV2: (operator) => readPad(operator, padValue(operator)),
  MIRROR_PAD: readMirrorPad,
}

function readConcat(operator: OperatorInReading): void {
  const { axis, activation } = operator.options('ConcatenationOptions')
  const rank = operator.shape(0).length
  operator.produceActivated({ kind: 'Concat', axis: operator.axis(axis, rank) }, operator.inputs, activation)
}

function readSplit(operator: OperatorInReading): void {
  const shape = operator.shape(1)
  const [stated] = operator.numbers(0, 'axis')
  const axis = operator.axis(stated ?? Number.NaN, shape.length)
  const count = operator.outputCount
  if (count === 0 || shape[axis]! % count !== 0)
    throw operator.broken('does not divide its input', `${shape[axis]} into ${count}`)
  const sizes = new Array<number>(count).fill(shape[axis]! / count)
  operator.produce({ kind: 'Split', axis, sizes }, [operator.input(1)])
}

function readSplitV(operator: OperatorInReading): void {
  const shape = operator.shape(0)
  const [stated] = operator.numbers(2, 'axis')
  const axis = operator.axis(stated ?? Number.NaN, shape.length)
  const sizes = operator.numbers(1, 'sizes')
  const known = sizes.reduce((sum, size) => sum + Math.max(size, 0), 0)
  const complete = sizes.map((size) => (size === -1 ? shape[axis]! - known : size))
  operator.produce({ kind: 'Split', axis, sizes: complete }, [operator.input(0)])
}

function readGather(operator: OperatorInReading): void {
  const { axis, batchDims } = operator.options('GatherOptions')
  if (batchDims !== 0) throw new NotExpressible('it gathers within batches')
  const rank = operator.shape(0).length
  operator.produce({ kind: 'Gather', axis: operator.axis(axis, rank) }, [
    operator.input(0),
    operator.input(1),
  ])
}

function readReshape(operator: OperatorInReading): void {
  const shape = [...targetShape(operator)]
  const open = shape.indexOf(-1)
  const count = elementCount(operator.shape(0))
  const rest = elementCount(shape.filter((size) => size !== -1))
  if (open >= 0) shape[open] = rest === 0 ? 0 : count / rest
  // exporters bake in the batch of 1 that they were run with
  else if (rest !== count && shape[0] === 1 && rest * operator.boundBatch === count)
    shape[0] = operator.boundBatch
  if (shape.some((size) => !Number.isSafeInteger(size)) || shape.length > 64)
    throw operator.broken(
      'has a shape that its input does not fill',
      `[${shape.join(',')}] of ${count} elements`,
    )
  operator.produce({ kind: 'Reshape', shape }, [operator.input(0)])
}

/** The shape as a constant, else as an option, else as the result declares it. */
function targetShape(operator: OperatorInReading): readonly number[] {
  if (operator.inputCount > 1 && operator.constant(1)) return operator.numbers(1, 'shape')
  if (operator.inputCount > 1) return operator.declared().shape
  return operator.options('ReshapeOptions').newShape ?? operator.declared().shape
}

function readSqueeze(operator: OperatorInReading): void {
  const shape = operator.shape(0)
  const stated = operator.options('SqueezeOptions').squeezeDims ?? []
  const axes = new Set(
    stated.length > 0
      ? stated.map((axis) => operator.axis(axis, shape.length))
      : shape.flatMap((size, axis) => (size === 1 ? [axis] : [])),
  )
  const squeezed = shape.filter((_, axis) => !axes.has(axis))
  operator.produce({ kind: 'Reshape', shape: squeezed }, [operator.input(0)])
}

function readExpandDims(operator: OperatorInReading): void {
  const shape = operator.shape(0)
  const [axis] = operator.numbers(1, 'axis')
  const at = operator.axis(axis ?? Number.NaN, shape.length + 1)
  operator.produce({ kind: 'Reshape', shape: shape.toSpliced(at, 0, 1) }, [operator.input(0)])
}

function readPack(operator: OperatorInReading): void {
  const { axis } = operator.options('PackOptions')
  const parts = operator.inputs.map((input, i) => {
    const { shape } = operator.typeOf(input)
    const at = operator.axis(axis, shape.length + 1)
    return operator.step({ kind: 'Reshape', shape: shape.toSpliced(at, 0, 1) }, [input], `part_${i}`)
  })
  const rank = operator.typeOf(parts[0] ?? operator.input(0)).shape.length
  operator.produce({ kind: 'Concat', axis: operator.axis(axis, rank) }, parts)
}

function readUnpack(operator: OperatorInReading): void {
  const shape = operator.shape(0)
  const axis = operator.axis(operator.options('UnpackOptions').axis, shape.length)
  const count = operator.outputCount
  const split = { kind: 'Split', axis, sizes: new Array<number>(count).fill(1) } as const
  const { quantization } = operator.type(0)
  const kept = split.sizes.map(() => quantization)
  const parts = operator.steps(split, [operator.input(0)], 'part', kept)
  for (const [i, part] of parts.entries())
    operator.produceOne(i, { kind: 'Reshape', shape: shape.toSpliced(axis, 1) }, [part])
}

/** What the file fills with, as a real number: a PADV2 of integers is filled with one of them. */
function padValue(operator: OperatorInReading): number {
  const [stored] = operator.numbers(2, 'value')
  if (stored === undefined) throw operator.broken('lacks its value')
  const { quantization } = operator.type(2)
  return quantization ? (stored - quantization.zeroPoints[0]!) * quantization.scales[0]! : stored
}

function readPad(operator: OperatorInReading, value: number): void {
  operator.produce({ kind: 'Pad', mode: 'constant', ...padsOf(operator), value }, [operator.input(0)])
}

function readMirrorPad(operator: OperatorInReading): void {
  if (operator.options('MirrorPadOptions').mode !== 0)
    throw new NotExpressible('it mirrors the border itself (SYMMETRIC)')
  operator.produce({ kind: 'Pad', mode: 'reflect', ...padsOf(operator), value: 0 }, [operator.input(0)])
}

/** Pairs of before and after, an axis each. */
function padsOf(operator: OperatorInReading): { padsBegin: number[]; padsEnd: number[] } {
  const pads = operator.numbers(1, 'paddings')
  return { padsBegin: pads.filter((_, i) => i % 2 === 0), padsEnd: pads.filter((_, i) => i % 2 === 1) }
}
