import type { Conv, ConvTranspose } from '../ops.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireLength,
  requireRank,
  requireSameDtype,
  type Shaped,
  shapeError,
  show,
  spatialOf,
  spatialShape,
} from './entry.ts'
import { convOutputSize, convTransposeOutputSize, requireWindow, windowSizes } from './window.ts'

export const convolution = {
  Conv: { inputs: ['x', 'w', 'bias?'], infer: inferConv },
  ConvTranspose: { inputs: ['x', 'w', 'bias?'], infer: inferConvTranspose },
} satisfies { Conv: OpEntry<'Conv'>; ConvTranspose: OpEntry<'ConvTranspose'> }

function inferConv(op: Conv, operands: Operands): Shaped[] {
  const { x, w, bias, spatial, kernel } = takeApart(op, operands)
  const [outputs, perGroup] = w.shape as [number, number]
  if (perGroup * op.group !== spatial.channels)
    throw shapeError(
      op,
      `the weights take ${perGroup * op.group} input channels, x has ${spatial.channels}.`,
      `x ${show(x.shape)}, w ${show(w.shape)}, group ${op.group}`,
    )
  if (outputs % op.group !== 0)
    throw shapeError(
      op,
      `${outputs} output channels do not divide into ${op.group} groups.`,
      `w ${show(w.shape)}`,
    )
  requireBias(op, bias, outputs)
  const size = windowSizes(op, spatial.size, (i) =>
    convOutputSize(
      spatial.size[i]!,
      kernel[i]!,
      op.strides[i]!,
      op.dilations[i]!,
      op.padsBegin[i]!,
      op.padsEnd[i]!,
    ),
  )
  return [
    { dtype: x.dtype, shape: spatialShape(op.layout, { batch: spatial.batch, channels: outputs, size }) },
  ]
}

function inferConvTranspose(op: ConvTranspose, operands: Operands): Shaped[] {
  const { x, w, bias, spatial, kernel } = takeApart(op, operands)
  const [inputs, perGroup] = w.shape as [number, number]
  if (inputs !== spatial.channels)
    throw shapeError(
      op,
      `the weights take ${inputs} input channels, x has ${spatial.channels}.`,
      `x ${show(x.shape)}, w ${show(w.shape)}`,
    )
  if (inputs % op.group !== 0)
    throw shapeError(
      op,
      `${inputs} input channels do not divide into ${op.group} groups.`,
      `w ${show(w.shape)}`,
    )
  requireLength(op, 'outputPadding', op.outputPadding, kernel.length)
  const outputs = perGroup * op.group
  requireBias(op, bias, outputs)
  const size = windowSizes(op, spatial.size, (i) =>
    convTransposeOutputSize(
      spatial.size[i]!,
      kernel[i]!,
      op.strides[i]!,
      op.dilations[i]!,
      op.padsBegin[i]!,
      op.padsEnd[i]!,
      op.outputPadding[i]!,
    ),
  )
  return [
    { dtype: x.dtype, shape: spatialShape(op.layout, { batch: spatial.batch, channels: outputs, size }) },
  ]
}

function takeApart(op: Conv | ConvTranspose, operands: Operands) {
  const x = operand(operands, 0)
  const w = operand(operands, 1)
  requireSameDtype(op, x, w)
  const spatial = spatialOf(op, x)
  requireRank(op, 'w', w, x.shape.length)
  requireWindow(op, spatial.size.length)
  if (!Number.isSafeInteger(op.group) || op.group < 1)
    throw shapeError(op, 'group must be a positive whole number.', `group ${op.group}`)
  return { x, w, bias: operands[2] ?? null, spatial, kernel: w.shape.slice(2) }
}

function requireBias(op: Conv | ConvTranspose, bias: Shaped | null, channels: number): void {
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== channels))
    throw shapeError(op, `bias must be [${channels}].`, `bias ${show(bias.shape)}`)
}
