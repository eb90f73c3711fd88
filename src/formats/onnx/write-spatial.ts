import { EdgewrightError } from '../../error.ts'
import { constantOfNumbers } from '../../graph/encode.ts'
import type { Layout, Op, OpKind, OpOf, Window } from '../../graph/ops.ts'
import {
  type Attribute,
  float,
  int,
  ints,
  type Spelling,
  type SpellingContext,
  text,
  unless,
} from './write-attributes.ts'

/** Operators over spatial axes. ONNX knows them channels first only. */
export const spatialSpellings = {
  Conv: (op, { operands }) => ({
    opType: requireChannelsFirst(op, 'Conv'),
    attributes: [
      ints('kernel_shape', operands[1]!.shape.slice(2)),
      ...window(op),
      unless(1, op.group, int('group', op.group)),
    ],
  }),
  ConvTranspose: (op, { operands }) => ({
    opType: requireChannelsFirst(op, 'ConvTranspose'),
    attributes: [
      ints('kernel_shape', operands[1]!.shape.slice(2)),
      ...window(op),
      unlessAll(0, 'output_padding', op.outputPadding),
      unless(1, op.group, int('group', op.group)),
    ],
  }),
  BatchNormalization: (op, { operands }) => ({
    // with nothing but batch and channels both layouts are one
    opType:
      operands[0]!.shape.length <= 2 ? 'BatchNormalization' : requireChannelsFirst(op, 'BatchNormalization'),
    attributes: [float('epsilon', op.epsilon)],
  }),
  InstanceNormalization: (op) => ({
    opType: 'InstanceNormalization',
    attributes: [float('epsilon', op.epsilon)],
  }),
  MaxPool: (op) => ({
    opType: requireChannelsFirst(op, 'MaxPool'),
    attributes: [
      ints('kernel_shape', op.kernel),
      ...window(op),
      unless(false, op.ceilMode, int('ceil_mode', 1)),
    ],
  }),
  AveragePool: (op) => ({
    opType: requireChannelsFirst(op, 'AveragePool'),
    attributes: [
      ints('kernel_shape', op.kernel),
      ...window(op),
      unless(false, op.ceilMode, int('ceil_mode', 1)),
      unless(false, op.countIncludePad, int('count_include_pad', 1)),
    ],
    since: op.dilations.every((dilation) => dilation === 1) ? 13 : 19,
  }),
  GlobalAveragePool: (op) => ({ opType: requireChannelsFirst(op, 'GlobalAveragePool') }),
  GlobalMaxPool: (op) => ({ opType: requireChannelsFirst(op, 'GlobalMaxPool') }),
  Resize: spellResize,
  DepthToSpace: (op) => ({
    opType: requireChannelsFirst(op, 'DepthToSpace'),
    attributes: [int('blocksize', op.blockSize), unless('DCR', op.mode as string, text('mode', op.mode))],
  }),
  SpaceToDepth: (op) => ({
    opType: requireChannelsFirst(op, 'SpaceToDepth'),
    attributes: [int('blocksize', op.blockSize)],
  }),
} satisfies { [K in OpKind]?: (op: OpOf<K>, context: SpellingContext) => Spelling }

function window(op: Window): (Attribute | null)[] {
  return [
    unlessAll(1, 'strides', op.strides),
    unlessAll(1, 'dilations', op.dilations),
    unlessAll(0, 'pads', [...op.padsBegin, ...op.padsEnd]),
  ]
}

function unlessAll(fallback: number, name: string, list: readonly number[]): Attribute | null {
  return list.every((entry) => entry === fallback) ? null : ints(name, list)
}

function requireChannelsFirst(op: Op & { layout: Layout }, opType: string): string {
  if (op.layout === 'channels-first') return opType
  throw new EdgewrightError('GRAPH_INVALID', `A channels-last ${op.kind} cannot be written to ONNX.`, {
    hint: 'Run the layout pass to channels-first before writing.',
  })
}

/** `scales` enter the coordinate formula, so they are written where they give the sizes, else the sizes are. */
function spellResize(op: OpOf<'Resize'>, { operands }: SpellingContext): Spelling {
  const x = operands[0]!
  requireChannelsFirst(op, 'Resize')
  const exact = op.scales?.every(
    (scale, axis) => Math.floor(Math.fround(x.shape[axis]! * Math.fround(scale))) === op.sizes[axis],
  )
  const roi = op.roi && constantOfNumbers('float32', [op.roi.length], op.roi)
  return {
    opType: 'Resize',
    parameters:
      op.scales && exact
        ? [roi, constantOfNumbers('float32', [op.scales.length], op.scales)]
        : [roi, null, constantOfNumbers('int64', [op.sizes.length], op.sizes)],
    attributes: [
      unless('nearest', op.mode as string, text('mode', op.mode)),
      unless(
        'half_pixel',
        op.coordinateTransformation as string,
        text('coordinate_transformation_mode', op.coordinateTransformation),
      ),
      unless(
        true,
        op.mode !== 'nearest' || op.nearestMode === 'round_prefer_floor',
        text('nearest_mode', op.nearestMode),
      ),
      unless(
        true,
        op.mode !== 'cubic' || op.cubicCoefficient === -0.75,
        float('cubic_coeff_a', op.cubicCoefficient),
      ),
      unless(false, op.excludeOutside, int('exclude_outside', 1)),
      unless(0, op.extrapolationValue, float('extrapolation_value', op.extrapolationValue)),
      unless(false, op.antialias, int('antialias', 1)),
    ],
    since: op.coordinateTransformation === 'half_pixel_symmetric' ? 19 : op.antialias ? 18 : 13,
  }
}
