import { numbersOf } from '../../../graph/constant.ts'
import { sliceExtent } from '../../../graph/infer.ts'
import type { OpOf } from '../../../graph/ops.ts'
import { type AxisLabels, pinned, type LabelRule } from './labelling.ts'

/** Rules of what moves elements: each result index has the channel of the index that it comes from. */

export const labelTranspose: LabelRule<OpOf<'Transpose'>> = ({ perm }, { labels }) => [
  perm.map((axis) => labels[0]![axis]!),
]

export const labelConcat: LabelRule<OpOf<'Concat'>> = ({ axis }, labelling) => {
  const { labels, shapes, outputShapes } = labelling
  return [
    outputShapes[0]!.map((size, at) => {
      if (at !== axis)
        return size === 1 ? null : labelling.share(shapes.map((_, input) => ({ input, axis: at })))
      if (labels.every((operand) => !operand[at])) return null
      return Int32Array.from(
        labels.flatMap((operand, input) => [...(operand[at] ?? staying(shapes[input]![at]!))]),
      )
    }),
  ]
}

export const labelSplit: LabelRule<OpOf<'Split'>> = ({ axis, sizes }, { labels }) => {
  let from = 0
  return sizes.map((size) => {
    from += size
    return labels[0]!.map((along, at) => (along && at === axis ? along.slice(from - size, from) : along))
  })
}

export const labelSlice: LabelRule<OpOf<'Slice'>> = (op, labelling) => {
  const made = labelling.labels[0]!.map((along, axis) => {
    const k = op.axes.indexOf(axis)
    if (!along || k < 0) return along
    const step = op.steps[k]!
    // every second of what is left is not what is left of every second
    if (Math.abs(step) !== 1) {
      labelling.pin(0, axis)
      return null
    }
    const { start, count } = sliceExtent(along.length, op.starts[k]!, op.ends[k]!, step)
    return Int32Array.from({ length: count }, (_, i) => along[start + i * step]!)
  })
  return [made]
}

export const labelGather: LabelRule<OpOf<'Gather'>> = ({ axis }, labelling) => {
  const { labels, shapes } = labelling
  const rank = shapes[1]!.length
  labels[1]!.forEach((_, at) => {
    labelling.pin(1, at)
  })
  const operand = shapes[0]!.map((size, at) => {
    // columns of a table of embeddings are channels that it makes
    const own = labelling.isConstant(0) && at > axis ? labelling.fresh(size) : labels[0]![at]!
    if (labelling.isConstant(0)) labelling.cut(0, at, own)
    return own
  })
  const along = operand[axis]
  const indices = labelling.constant(1)
  const taken =
    along && indices && rank <= 1 ? numbersOf(indices).map((i) => along[i < 0 ? i + along.length : i]!) : null
  // an axis that goes away cannot lose its one channel
  if (along && (!taken || rank === 0))
    for (const label of taken ?? along) labelling.union.unite(pinned, label)
  const between: AxisLabels = shapes[1]!.map(() =>
    taken && taken.length > 1 ? Int32Array.from(taken) : null,
  )
  if (taken?.length === 1) labelling.union.unite(pinned, taken[0]!)
  return [[...operand.slice(0, axis), ...between, ...operand.slice(axis + 1)]]
}

export const labelExpand: LabelRule<OpOf<'Expand'>> = ({ shape }, labelling) =>
  labelling.isConstant(0) ? [shape.map(() => null)] : [labelling.broadcast([0], shape)]

export const labelTile: LabelRule<OpOf<'Tile'>> = ({ repeats }, { labels }) => [
  labels[0]!.map(
    (along, axis) =>
      along && Int32Array.from({ length: along.length * repeats[axis]! }, (_, i) => along[i % along.length]!),
  ),
]

export const labelPad: LabelRule<OpOf<'Pad'>> = ({ mode, padsBegin, padsEnd }, labelling) => [
  labelling.labels[0]!.map((along, axis) => {
    const [before, after] = [padsBegin[axis]!, padsEnd[axis]!]
    if (!along || (before === 0 && after === 0)) return along
    if (mode !== 'constant') {
      labelling.pin(0, axis)
      return null
    }
    // what is padded is channels too: the shortcut of a residual network that grows
    const kept = along.slice(Math.max(0, -before), along.length + Math.min(0, after))
    const added = (count: number) => labelling.union.fresh(Math.max(0, count))
    return Int32Array.from([...added(before), ...kept, ...added(after)])
  }),
]

export const labelResize: LabelRule<OpOf<'Resize'>> = (
  { sizes, scales, coordinateTransformation },
  labelling,
) => [
  labelling.labels[0]!.map((along, axis) => {
    const untouched =
      coordinateTransformation !== 'tf_crop_and_resize' &&
      sizes[axis] === along?.length &&
      (scales?.[axis] ?? 1) === 1
    if (untouched) return along
    labelling.pin(0, axis)
    return null
  }),
]

export const labelDepthToSpace: LabelRule<OpOf<'DepthToSpace'>> = (
  { blockSize, mode, layout },
  labelling,
) => {
  const { labels, union } = labelling
  const channelAxis = layout === 'channels-first' ? 1 : 3
  const along = labels[0]![channelAxis]!
  pinSpatial(labelling, channelAxis)
  const count = along ? along.length / blockSize ** 2 : 0
  const channelOf = (index: number) => (mode === 'DCR' ? index % count : Math.floor(index / blockSize ** 2))
  const made = along && new Int32Array(count).fill(-1)
  along?.forEach((label, index) => {
    const channel = channelOf(index)
    if (made![channel] === -1) made![channel] = label
    else union.unite(made![channel]!, label)
  })
  return [placed(labels[0]!, channelAxis, made)]
}

export const labelSpaceToDepth: LabelRule<OpOf<'SpaceToDepth'>> = ({ blockSize, layout }, labelling) => {
  const channelAxis = layout === 'channels-first' ? 1 : 3
  const along = labelling.labels[0]![channelAxis]!
  pinSpatial(labelling, channelAxis)
  const made =
    along &&
    Int32Array.from({ length: along.length * blockSize ** 2 }, (_, index) => along[index % along.length]!)
  return [placed(labelling.labels[0]!, channelAxis, made)]
}

function pinSpatial(labelling: Parameters<LabelRule>[1], channelAxis: number): void {
  labelling.labels[0]!.forEach((_, axis) => {
    if (axis !== 0 && axis !== channelAxis) labelling.pin(0, axis)
  })
}

function placed(labels: AxisLabels, channelAxis: number, made: Int32Array | null): AxisLabels {
  return labels.map((batch, axis) => (axis === channelAxis ? made : axis === 0 ? batch : null))
}

function staying(count: number): Int32Array {
  return new Int32Array(count).fill(pinned)
}
