import type { Operand, Operator } from './operators.ts'
import { nodeOf } from './operators.ts'
import { byteLength, elementCount } from '../../src/tensor.ts'

/** What operators ask of a processor. */
export interface Cost {
  readonly operators: number
  /** Multiplications with an addition, of weighted layers. */
  readonly macs: number
  /** Constants that they read. */
  readonly weightBytes: number
}

export function costOf(operator: Operator): Cost {
  return {
    operators: 1,
    macs: macsOf(operator),
    weightBytes: operator.inputs.reduce((sum, operand) => sum + (operand.constant ? bytesOf(operand) : 0), 0),
  }
}

export function sumOf(costs: readonly Cost[]): Cost {
  return costs.reduce(
    (a, b) => ({
      operators: a.operators + b.operators,
      macs: a.macs + b.macs,
      weightBytes: a.weightBytes + b.weightBytes,
    }),
    { operators: 0, macs: 0, weightBytes: 0 },
  )
}

/** Bytes of a tensor as it crosses between CPU and Edge TPU. */
export function bytesOf({ type }: Operand): number {
  return type.dtype === 'string' ? 0 : byteLength(type.dtype, type.shape)
}

function macsOf(operator: Operator): number {
  const weights = operator.inputs.find(({ constant }) => constant)
  const [output] = operator.outputs
  if (!weights || !output) return 0
  const { shape } = weights.type
  const convolution = nodeOf(operator, 'Conv')
  // [out, in/group, ...kernel]: each output element takes all but the first
  if (convolution) return elementCount(output.type.shape) * elementCount(shape.slice(1))
  const transposed = nodeOf(operator, 'ConvTranspose')
  if (transposed) return elementCount(operator.inputs[0]!.type.shape) * elementCount(shape.slice(1))
  if (operator.type === 'FULLY_CONNECTED')
    return (elementCount(shape) * elementCount(output.type.shape)) / output.type.shape.at(-1)!
  if (operator.type === 'UNIDIRECTIONAL_SEQUENCE_LSTM') return lstmMacs(operator, output)
  return 0
}

/** Every weight once for each step of the sequence. */
function lstmMacs(operator: Operator, output: Operand): number {
  const weights = operator.inputs.filter(({ constant, type }) => constant && type.shape.length === 2)
  const steps = output.type.shape.length === 3 ? output.type.shape[1]! : 1
  return steps * weights.reduce((sum, { type }) => sum + elementCount(type.shape), 0)
}
