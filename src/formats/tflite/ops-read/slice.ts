import { sliceExtent } from '../../../graph/infer.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const slice: ReadTable = { SLICE: readSlice, STRIDED_SLICE: readStridedSlice }

/** A size of −1 takes the rest of its axis. */
function readSlice(operator: OperatorInReading): void {
  const shape = operator.shape(0)
  const starts = operator.numbers(1, 'begin')
  const sizes = operator.numbers(2, 'size')
  if (starts.length !== shape.length || sizes.length !== shape.length)
    throw operator.broken('slices another rank', `${starts.length} begins for [${shape.join(',')}]`)
  const ends = starts.map((start, axis) => (sizes[axis] === -1 ? shape[axis]! : start + sizes[axis]!))
  if (starts.some((start, axis) => start < 0 || ends[axis]! < start || ends[axis]! > shape[axis]!))
    throw operator.broken('slices outside its input', `[${starts}] to [${ends}] of [${shape}]`)
  operator.produce({ kind: 'Slice', axes: [...shape.keys()], starts, ends, steps: shape.map(() => 1) }, [
    operator.input(0),
  ])
}

interface Cut {
  readonly start: number
  readonly end: number
  readonly step: number
}

/** Python's slicing: masks say where a begin or end is left out, and which entries are `...`, `None` or one index. */
function readStridedSlice(operator: OperatorInReading): void {
  const options = operator.options('StridedSliceOptions')
  const shape = operator.shape(0)
  const begins = operator.numbers(1, 'begin')
  const ends = operator.numbers(2, 'end')
  const strides = operator.numbers(3, 'strides')
  if (begins.length > 32 || ends.length !== begins.length || strides.length !== begins.length)
    throw operator.broken(
      'slices impossibly many axes',
      `${begins.length}, ${ends.length}, ${strides.length}`,
    )
  const has = (mask: number, i: number) => ((mask >> i) & 1) === 1
  const plain = [...begins.keys()].filter(
    (i) => !has(options.newAxisMask, i) && !has(options.ellipsisMask, i),
  ).length
  const cuts: Cut[] = []
  const result: ('kept' | 'new' | 'dropped')[] = []
  const takeAll = () => {
    const size = shape[cuts.length]
    if (size === undefined) throw operator.broken('slices more axes than its input has')
    cuts.push({ start: 0, end: size, step: 1 })
    result.push('kept')
  }
  for (const [i, begin] of begins.entries()) {
    if (has(options.ellipsisMask, i)) {
      for (let left = shape.length - plain; left > 0; left--) takeAll()
      continue
    }
    if (has(options.newAxisMask, i)) {
      result.push('new')
      continue
    }
    const size = shape[cuts.length]
    if (size === undefined) throw operator.broken('slices more axes than its input has')
    const step = strides[i]!
    if (step === 0) throw operator.broken('slices with a step of 0')
    const shrinks = has(options.shrinkAxisMask, i)
    const end = options.offset ? begin + ends[i]! : ends[i]!
    cuts.push(
      shrinks
        ? one(operator, begin, size)
        : range(has(options.beginMask, i) ? null : begin, has(options.endMask, i) ? null : end, step, size),
    )
    result.push(shrinks ? 'dropped' : 'kept')
  }
  while (cuts.length < shape.length) takeAll()
  emitCuts(operator, cuts, result)
}

function one(operator: OperatorInReading, begin: number, size: number): Cut {
  const start = operator.axis(begin, size)
  return { start, end: start + 1, step: 1 }
}

/** Clamped to the axis, so that one way of cutting has one spelling. */
function range(begin: number | null, end: number | null, step: number, size: number): Cut {
  const from = begin ?? (step > 0 ? 0 : size - 1)
  const to = end ?? (step > 0 ? size : -size - 1)
  const { start, count } = sliceExtent(size, from, to, step)
  const last = start + count * step
  // before the first element there is no index: a number below −size says so
  return { start, end: last < 0 ? -size - 1 : Math.min(last, size), step }
}

function emitCuts(
  operator: OperatorInReading,
  cuts: readonly Cut[],
  result: readonly ('kept' | 'new' | 'dropped')[],
): void {
  const cut = {
    kind: 'Slice',
    axes: [...cuts.keys()],
    starts: cuts.map(({ start }) => start),
    ends: cuts.map(({ end }) => end),
    steps: cuts.map(({ step }) => step),
  } as const
  if (result.every((kind) => kind === 'kept')) {
    operator.produce(cut, [operator.input(0)])
    return
  }
  if (operator.type(0).quantization?.axis != null)
    throw new NotExpressible('it drops axes of per-channel integers')
  const part = operator.step(cut, [operator.input(0)], 'part')
  const sizes = [...operator.typeOf(part).shape]
  const shape: number[] = []
  for (const kind of result) {
    const size = kind === 'new' ? 1 : sizes.shift()!
    if (kind !== 'dropped') shape.push(size)
  }
  operator.produce({ kind: 'Reshape', shape }, [part])
}
