import type { DType } from '../../tensor.ts'
import type { Binary, Comparison, Op, Where } from '../ops.ts'
import { broadcastShapes } from './broadcast.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireSameDtype,
  sameAsInput,
  type Shaped,
  shapeError,
  show,
} from './entry.ts'

export const elementwise = {
  Unary: sameAsInput,
  Binary: { inputs: ['a', 'b'], infer: inferBinary },
  Comparison: { inputs: ['a', 'b'], infer: inferComparison },
  Where: { inputs: ['condition', 'a', 'b'], infer: inferWhere },
} satisfies {
  Unary: OpEntry<'Unary'>
  Binary: OpEntry<'Binary'>
  Comparison: OpEntry<'Comparison'>
  Where: OpEntry<'Where'>
}

function inferBinary(op: Binary, operands: Operands): Shaped[] {
  const a = operand(operands, 0)
  const b = operand(operands, 1)
  // the exponent of a power may be of another type than its base
  if (op.fn !== 'Pow') requireSameDtype(op, a, b)
  return [{ dtype: a.dtype, shape: broadcast(op, a, b) }]
}

function inferComparison(op: Comparison, operands: Operands): Shaped[] {
  const a = operand(operands, 0)
  const b = operand(operands, 1)
  requireSameDtype(op, a, b)
  if (op.fn === 'And' || op.fn === 'Or' || op.fn === 'Xor') requireDtype(op, 'a', a, 'bool')
  return [{ dtype: 'bool', shape: broadcast(op, a, b) }]
}

function inferWhere(op: Where, operands: Operands): Shaped[] {
  const condition = operand(operands, 0)
  const a = operand(operands, 1)
  const b = operand(operands, 2)
  requireDtype(op, 'condition', condition, 'bool')
  requireSameDtype(op, a, b)
  const shape = broadcast(op, condition, { dtype: a.dtype, shape: broadcast(op, a, b) })
  return [{ dtype: a.dtype, shape }]
}

function broadcast(op: Op, a: Shaped, b: Shaped): number[] {
  const shape = broadcastShapes(a.shape, b.shape)
  if (!shape) throw shapeError(op, 'the operands do not broadcast.', `a ${show(a.shape)}, b ${show(b.shape)}`)
  return shape
}

function requireDtype(op: Op, name: string, { dtype }: Shaped, wanted: DType): void {
  if (dtype !== wanted) throw shapeError(op, `${name} must be ${wanted}.`, `${name} is ${dtype}`)
}
