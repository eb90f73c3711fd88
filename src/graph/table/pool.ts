import type { AveragePool, GlobalAveragePool, GlobalMaxPool, MaxPool } from '../ops.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireLength,
  type Shaped,
  shapeError,
  show,
  spatialOf,
  spatialShape,
} from './entry.ts'
import { poolOutputSize, requireWindow, windowSizes } from './window.ts'

export const pool = {
  MaxPool: { inputs: ['x'], infer: inferPool },
  AveragePool: { inputs: ['x'], infer: inferPool },
  GlobalAveragePool: { inputs: ['x'], infer: inferGlobal },
  GlobalMaxPool: { inputs: ['x'], infer: inferGlobal },
} satisfies {
  MaxPool: OpEntry<'MaxPool'>
  AveragePool: OpEntry<'AveragePool'>
  GlobalAveragePool: OpEntry<'GlobalAveragePool'>
  GlobalMaxPool: OpEntry<'GlobalMaxPool'>
}

function inferPool(op: MaxPool | AveragePool, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  const { batch, channels, size: input } = spatialOf(op, x)
  requireWindow(op, input.length)
  requireLength(op, 'kernel', op.kernel, input.length)
  if (!op.kernel.every((size) => Number.isSafeInteger(size) && size > 0))
    throw shapeError(op, 'the kernel must be of positive whole numbers.', `kernel ${show(op.kernel)}`)
  const size = windowSizes(op, input, (i) =>
    poolOutputSize(
      input[i]!,
      op.kernel[i]!,
      op.strides[i]!,
      op.dilations[i]!,
      op.padsBegin[i]!,
      op.padsEnd[i]!,
      op.ceilMode,
    ),
  )
  return [{ dtype: x.dtype, shape: spatialShape(op.layout, { batch, channels, size }) }]
}

function inferGlobal(op: GlobalAveragePool | GlobalMaxPool, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  const { batch, channels, size } = spatialOf(op, x)
  return [{ dtype: x.dtype, shape: spatialShape(op.layout, { batch, channels, size: size.map(() => 1) }) }]
}
