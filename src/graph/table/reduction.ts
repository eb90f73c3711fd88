import type { ArgMax, ArgMin, Reduce } from '../ops.ts'
import { type OpEntry, operand, type Operands, requireAxis, type Shaped } from './entry.ts'

export const reduction = {
  Reduce: { inputs: ['x'], infer: inferReduce },
  ArgMax: { inputs: ['x'], infer: inferArg },
  ArgMin: { inputs: ['x'], infer: inferArg },
} satisfies { Reduce: OpEntry<'Reduce'>; ArgMax: OpEntry<'ArgMax'>; ArgMin: OpEntry<'ArgMin'> }

function inferReduce(op: Reduce, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  for (const axis of op.axes) requireAxis(op, axis, x.shape.length)
  return [{ dtype: x.dtype, shape: withoutAxes(x.shape, op.axes, op.keepDims) }]
}

function inferArg(op: ArgMax | ArgMin, operands: Operands): Shaped[] {
  const x = operand(operands, 0)
  requireAxis(op, op.axis, x.shape.length)
  return [{ dtype: 'int64', shape: withoutAxes(x.shape, [op.axis], op.keepDims) }]
}

function withoutAxes(shape: readonly number[], axes: readonly number[], keep: boolean): number[] {
  if (keep) return shape.map((size, axis) => (axes.includes(axis) ? 1 : size))
  return shape.filter((_, axis) => !axes.includes(axis))
}
