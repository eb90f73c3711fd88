import { evaluateConstantNode } from '../../graph/fold.ts'
import type { Op } from '../../graph/ops.ts'
import type { Constant, TensorType, Value } from '../../graph/types.ts'
import { dtypeBits, elementCount } from '../../tensor.ts'

/** Shapes, axes and their arithmetic; larger weights are folded by a pass, not while reading. */
const mostBytes = 1 << 16

/** The results of an operator that reads small plain constants only, null where it reads anything else. */
export function foldSmall(
  op: Op,
  operands: readonly (Value | null)[],
  types: readonly TensorType[],
): Constant[] | null {
  if (op.kind === 'Convert' || op.kind === 'Opaque') return null
  const constants: (Constant | null)[] = []
  for (const operand of operands) {
    if (operand && (!operand.constant || operand.type.quantization)) return null
    if (operand && operand.constant!.byteLength > mostBytes) return null
    constants.push(operand?.constant ?? null)
  }
  if (!types.every(isSmall)) return null
  return evaluateConstantNode(op, constants, types)
}

function isSmall({ dtype, shape, quantization }: TensorType): boolean {
  return (
    quantization === null && dtype !== 'string' && (elementCount(shape) * dtypeBits[dtype]) / 8 <= mostBytes
  )
}
