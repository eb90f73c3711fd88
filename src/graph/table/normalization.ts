import type { BatchNormalization, InstanceNormalization, LayerNormalization } from '../ops.ts'
import { broadcastShapes, sameShape } from './broadcast.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireAxis,
  requireRank,
  type Shaped,
  shapeError,
  show,
} from './entry.ts'

export const normalization = {
  BatchNormalization: { inputs: ['x', 'scale', 'bias', 'mean', 'variance'], infer: inferBatch },
  LayerNormalization: { inputs: ['x', 'scale', 'bias?'], infer: inferLayer },
  InstanceNormalization: { inputs: ['x', 'scale', 'bias'], infer: inferInstance },
} satisfies {
  BatchNormalization: OpEntry<'BatchNormalization'>
  LayerNormalization: OpEntry<'LayerNormalization'>
  InstanceNormalization: OpEntry<'InstanceNormalization'>
}

function inferBatch(op: BatchNormalization, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireRank(op, 'x', x, 1, Infinity)
  // a vector of one value per sample counts as one channel
  const channels = x.shape.length === 1 ? 1 : op.layout === 'channels-first' ? x.shape[1]! : x.shape.at(-1)!
  requireChannels(op, operands, ['scale', 'bias', 'mean', 'variance'], channels)
  return [x]
}

function inferLayer(op: LayerNormalization, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireAxis(op, op.axis, x.shape.length)
  for (const [index, name] of [
    [1, 'scale'],
    [2, 'bias'],
  ] as const) {
    const parameter = operands[index]
    if (!parameter) continue
    const both = broadcastShapes(x.shape, parameter.shape)
    if (!both || !sameShape(both, x.shape))
      throw shapeError(
        op,
        `${name} does not broadcast to x.`,
        `x ${show(x.shape)}, ${name} ${show(parameter.shape)}`,
      )
  }
  return [x]
}

function inferInstance(op: InstanceNormalization, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireRank(op, 'x', x, 3, Infinity)
  requireChannels(op, operands, ['scale', 'bias'], x.shape[1]!)
  return [x]
}

function requireChannels(
  op: BatchNormalization | InstanceNormalization,
  operands: Operands,
  names: readonly string[],
  channels: number,
): void {
  names.forEach((name, i) => {
    const { shape } = operand(operands, i + 1)
    if (shape.length !== 1 || shape[0] !== channels)
      throw shapeError(op, `${name} must be [${channels}], one for each channel.`, `${name} ${show(shape)}`)
  })
}
