import type { Gemm, MatMul } from '../ops.ts'
import { broadcastShapes, sameShape } from './broadcast.ts'
import {
  type OpEntry,
  operand,
  type Operands,
  requireRank,
  requireSameDtype,
  type Shaped,
  shapeError,
  show,
} from './entry.ts'

export const matrix = {
  Gemm: { inputs: ['a', 'b', 'c?'], infer: inferGemm },
  MatMul: { inputs: ['a', 'b'], infer: inferMatMul },
} satisfies { Gemm: OpEntry<'Gemm'>; MatMul: OpEntry<'MatMul'> }

function inferGemm(op: Gemm, operands: Operands): Shaped[] {
  const a = operand(operands, 0)
  const b = operand(operands, 1)
  const c = operands[2]
  requireSameDtype(op, a, b)
  requireRank(op, 'a', a, 2)
  requireRank(op, 'b', b, 2)
  const [m, k] = (op.transA ? a.shape.toReversed() : a.shape) as [number, number]
  const [kOfB, n] = (op.transB ? b.shape.toReversed() : b.shape) as [number, number]
  if (k !== kOfB)
    throw shapeError(op, `the inner sizes ${k} and ${kOfB} differ.`, `a ${show(a.shape)}, b ${show(b.shape)}`)
  const shape = [m, n]
  const sum = c && broadcastShapes(shape, c.shape)
  if (c && !(sum && sameShape(sum, shape)))
    throw shapeError(op, `c does not broadcast to ${show(shape)}.`, `c ${show(c.shape)}`)
  return [{ dtype: a.dtype, shape }]
}

/** numpy matmul: a vector gets an axis that is dropped again, the axes before the last two broadcast. */
function inferMatMul(op: MatMul, operands: Operands): Shaped[] {
  const a = operand(operands, 0)
  const b = operand(operands, 1)
  requireSameDtype(op, a, b)
  requireRank(op, 'a', a, 1, Infinity)
  requireRank(op, 'b', b, 1, Infinity)
  const left = a.shape.length === 1 ? [1, ...a.shape] : a.shape
  const right = b.shape.length === 1 ? [...b.shape, 1] : b.shape
  const saw = `a ${show(a.shape)}, b ${show(b.shape)}`
  if (left.at(-1) !== right.at(-2))
    throw shapeError(op, `the inner sizes ${left.at(-1)} and ${right.at(-2)} differ.`, saw)
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2))
  if (!batch) throw shapeError(op, 'the leading axes do not broadcast.', saw)
  const shape = [...batch]
  if (a.shape.length > 1) shape.push(left.at(-2)!)
  if (b.shape.length > 1) shape.push(right.at(-1)!)
  return [{ dtype: a.dtype, shape }]
}
