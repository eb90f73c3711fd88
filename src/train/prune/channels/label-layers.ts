import type { OpOf } from '../../../graph/ops.ts'
import type { AxisLabels, Labelling, LabelRule } from './labelling.ts'

/**
 * Rules of what has weights: it makes channels of its own and sums over those that it reads. Grouped convolutions tie
 * them, because each group keeps as many as any other or goes as a whole.
 */

export const labelConv: LabelRule<OpOf<'Conv'>> = (op, labelling) => {
  const { shapes } = labelling
  const [outputs, perGroup] = shapes[1] as [number, number]
  return labelWindow(op, labelling, {
    outputs,
    outputsPerGroup: outputs / op.group,
    inputsPerGroup: perGroup,
  })
}

export const labelConvTranspose: LabelRule<OpOf<'ConvTranspose'>> = (op, labelling) => {
  const [inputs, perGroup] = labelling.shapes[1] as [number, number]
  return labelWindow(op, labelling, {
    outputs: perGroup * op.group,
    outputsPerGroup: perGroup,
    inputsPerGroup: inputs / op.group,
  })
}

interface Grouping {
  readonly outputs: number
  readonly outputsPerGroup: number
  readonly inputsPerGroup: number
}

function labelWindow(
  op: OpOf<'Conv' | 'ConvTranspose'>,
  labelling: Labelling,
  grouping: Grouping,
): readonly AxisLabels[] | null {
  const { labels, outputShapes } = labelling
  if (!labelling.isConstant(1) || (labelling.has(2) && !labelling.isConstant(2))) return null
  const rank = outputShapes[0]!.length
  const channelAxis = op.layout === 'channels-first' ? 1 : rank - 1
  labels[0]!.forEach((_, axis) => {
    if (axis !== 0 && axis !== channelAxis) labelling.pin(0, axis)
  })
  const made = labelGroups(op, labelling, grouping, channelAxis)
  if (labelling.has(2)) labelling.cut(2, 0, made)
  return [labels[0]!.map((batch, axis) => (axis === channelAxis ? made : axis === 0 ? batch : null))]
}

function labelGroups(
  op: OpOf<'Conv' | 'ConvTranspose'>,
  labelling: Labelling,
  { outputs, outputsPerGroup, inputsPerGroup }: Grouping,
  channelAxis: number,
): Int32Array | null {
  const { union, labels } = labelling
  const read = labels[0]![channelAxis]!
  // [out, in/group, …] or [in, out/group, …]
  const cut = (made: Int32Array | null, madeInGroup: Int32Array | null, readInGroup: Int32Array | null) => {
    labelling.cut(1, 0, op.kind === 'Conv' ? made : read)
    labelling.cut(1, 1, op.kind === 'Conv' ? readInGroup : madeInGroup)
    return made
  }
  if (op.group === 1) {
    const made = labelling.fresh(outputs)
    if (read) labelling.read(0, channelAxis)
    return cut(made, made, read)
  }
  const groupsAreFiner = inputsPerGroup === 1 || op.group >= inputsPerGroup + outputsPerGroup
  if (read && groupsAreFiner) {
    // whole groups: what a group reads and makes goes together
    const groups = Int32Array.from({ length: op.group }, (_, group) => read[group * inputsPerGroup]!)
    read.forEach((label, index) => {
      union.unite(groups[Math.floor(index / inputsPerGroup)]!, label)
    })
    return cut(
      Int32Array.from({ length: outputs }, (_, index) => groups[Math.floor(index / outputsPerGroup)]!),
      null,
      null,
    )
  }
  // the same places in every group
  const places = labelling.fresh(outputsPerGroup)
  const made = places && Int32Array.from({ length: outputs }, (_, index) => places[index % outputsPerGroup]!)
  if (!read) return cut(made, places, null)
  const readInGroup = read.slice(0, inputsPerGroup)
  read.forEach((label, index) => {
    union.unite(readInGroup[index % inputsPerGroup]!, label)
  })
  labelling.read(0, channelAxis)
  return cut(made, places, readInGroup)
}

export const labelGemm: LabelRule<OpOf<'Gemm'>> = ({ transA, transB }, labelling) => {
  const { outputShapes } = labelling
  if (labelling.isConstant(0) && labelling.isConstant(1)) return null
  contract(labelling, transA ? 0 : 1, transB ? 1 : 0)
  const made = [outer(labelling, 0, transA ? 1 : 0), outer(labelling, 1, transB ? 0 : 1)]
  const { shapes } = labelling
  if (labelling.has(2))
    made.forEach((labels, axis) => {
      const own = axis - (2 - shapes[2]!.length)
      const size = outputShapes[0]![axis]
      if (own < 0 || shapes[2]![own] !== size || size === 1) return
      const other = labelling.labels[2]![own]
      if (labelling.isConstant(2)) labelling.cut(2, own, labels)
      else if (labels && other) labelling.union.uniteAll(labels, other)
      else for (const one of [labels, other]) if (one) labelling.union.pin(one)
    })
  return [made]
}

export const labelMatMul: LabelRule<OpOf<'MatMul'>> = (_, labelling) => {
  const [a, b] = labelling.shapes.map((shape) => shape.length) as [number, number]
  if (a < 2 || b < 2 || (labelling.isConstant(0) && labelling.isConstant(1))) return null
  contract(labelling, a - 1, b - 2)
  const shape = labelling.outputShapes[0]!
  // the axes before the matrices broadcast
  const batch = shape.slice(0, -2).map((size, axis) => {
    if (size === 1) return null
    return labelling.share(
      [a, b].flatMap((rank, input) => {
        const own = axis - (shape.length - rank)
        return own >= 0 && labelling.shapes[input]![own] === size ? [{ input, axis: own }] : []
      }),
    )
  })
  return [[...batch, outer(labelling, 0, a - 2), outer(labelling, 1, b - 1)]]
}

/** The axes over which a product sums. */
function contract(labelling: Labelling, a: number, b: number): void {
  const places = [
    { input: 0, axis: a },
    { input: 1, axis: b },
  ]
  if (!labelling.share(places)) return
  const reading = places.find(({ input, axis }) => labelling.labels[input]![axis])!
  labelling.read(reading.input, reading.axis)
}

/** The rows or columns that a product keeps: those of a constant are channels that it makes. */
function outer(labelling: Labelling, input: number, axis: number): Int32Array | null {
  if (!labelling.isConstant(input)) return labelling.labels[input]![axis]!
  const made = labelling.fresh(labelling.shapes[input]![axis]!)
  labelling.cut(input, axis, made)
  return made
}
