import type { Op, OpKind, OpOf } from '../../../graph/ops.ts'
import { labelConv, labelConvTranspose, labelGemm, labelMatMul } from './label-layers.ts'
import {
  labelConcat,
  labelDepthToSpace,
  labelExpand,
  labelGather,
  labelPad,
  labelResize,
  labelSlice,
  labelSpaceToDepth,
  labelSplit,
  labelTile,
  labelTranspose,
} from './label-movements.ts'
import { labelReshape } from './label-reshape.ts'
import type { AxisLabels, Labelling, LabelRule } from './labelling.ts'

/** Element by element, one operand. */
const same: LabelRule = (_, { labels }) => [labels[0]!]

/** Element by element, operands broadcast. */
const broadcast: LabelRule = (_, labelling) => [
  labelling.broadcast(
    labelling.node.inputs.map((_name, input) => input),
    labelling.outputShapes[0]!,
  ),
]

/** What works along an axis needs all of it. */
const besideAxis: LabelRule<Op & { axis: number }> = ({ axis }, labelling) => [without(labelling, [axis])]

const window: LabelRule<OpOf<'MaxPool' | 'AveragePool' | 'GlobalAveragePool' | 'GlobalMaxPool'>> = (
  { layout },
  labelling,
) => {
  const rank = labelling.shapes[0]!.length
  const channelAxis = layout === 'channels-first' ? 1 : rank - 1
  const spatial = Array.from({ length: rank }, (_, axis) => axis).filter(
    (axis) => axis !== 0 && axis !== channelAxis,
  )
  return [without(labelling, spatial)]
}

const batchNormalization: LabelRule<OpOf<'BatchNormalization'>> = ({ layout }, labelling) => {
  const rank = labelling.shapes[0]!.length
  return rank < 2 ? null : perChannel(labelling, layout === 'channels-first' ? 1 : rank - 1, [1, 2, 3, 4])
}

const instanceNormalization: LabelRule<OpOf<'InstanceNormalization'>> = (_, labelling) => {
  for (let axis = 2; axis < labelling.shapes[0]!.length; axis++) labelling.pin(0, axis)
  return perChannel(labelling, 1, [1, 2])
}

const layerNormalization: LabelRule<OpOf<'LayerNormalization'>> = ({ axis }, labelling) => {
  for (let at = axis; at < labelling.shapes[0]!.length; at++) labelling.pin(0, at)
  return [labelling.broadcast([0, 1, 2], labelling.outputShapes[0]!)]
}

const reduce: LabelRule<OpOf<'Reduce'>> = ({ axes, keepDims }, labelling) => {
  const left = without(labelling, axes)
  return [keepDims ? left : left.filter((_, axis) => !axes.includes(axis))]
}

const argument: LabelRule<OpOf<'ArgMax' | 'ArgMin'>> = ({ axis, keepDims }, labelling) => {
  const left = without(labelling, [axis])
  return [keepDims ? left : left.filter((_, at) => at !== axis)]
}

/** For every operator how channels pass it; null where all that it reads stays. */
export const labelRules: { readonly [K in OpKind]: LabelRule<OpOf<K>> | null } = {
  Conv: labelConv,
  ConvTranspose: labelConvTranspose,
  Gemm: labelGemm,
  MatMul: labelMatMul,
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  InstanceNormalization: instanceNormalization,
  Relu: same,
  LeakyRelu: same,
  PRelu: broadcast,
  Clip: same,
  Sigmoid: same,
  HardSigmoid: same,
  HardSwish: same,
  Tanh: same,
  Elu: same,
  Gelu: same,
  Softmax: besideAxis,
  LogSoftmax: besideAxis,
  Unary: same,
  Binary: broadcast,
  Comparison: broadcast,
  Where: broadcast,
  MaxPool: window,
  AveragePool: window,
  GlobalAveragePool: window,
  GlobalMaxPool: window,
  Concat: labelConcat,
  Split: labelSplit,
  Slice: labelSlice,
  Gather: labelGather,
  Reshape: labelReshape,
  Transpose: labelTranspose,
  Expand: labelExpand,
  Tile: labelTile,
  Pad: labelPad,
  Resize: labelResize,
  DepthToSpace: labelDepthToSpace,
  SpaceToDepth: labelSpaceToDepth,
  Reduce: reduce,
  ArgMax: argument,
  ArgMin: argument,
  Cast: same,
  Identity: same,
  Convert: null,
  Opaque: null,
}

/** Labels of the first operand, those along the axes pinned. */
function without({ labels, union }: Labelling, axes: readonly number[]): AxisLabels {
  return labels[0]!.map((along, axis) => {
    if (!along || !axes.includes(axis)) return along
    union.pin(along)
    return null
  })
}

/** Operands with one number for each channel. */
function perChannel(labelling: Labelling, axis: number, inputs: readonly number[]): readonly AxisLabels[] {
  const labels = labelling.labels[0]!
  for (const input of inputs) {
    if (labelling.isConstant(input)) labelling.cut(input, 0, labels[axis]!)
    else {
      labelling.pin(0, axis)
      labelling.pin(input, 0)
    }
  }
  return [labels]
}
