import { numbersOf } from '../../src/graph/constant.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Constant } from '../../src/graph/types.ts'
import type { TargetOptions } from '../target.ts'

/** Scales for each row must give back two bits: take the squared rounding error down to a sixteenth. */
const worthwhile = 16

/**
 * The axis of the weights with a scale for each index, that of the output channels; null for one scale for all, or
 * where the operator has no weights.
 *
 * A fully connected layer has few weights a row, so that scales for each row weigh up to a fifth of them, and older
 * runtimes have no kernel for these: they are given where they pay.
 */
export function weightAxis(op: Op, weights: Constant, options: TargetOptions): number | null {
  if (!options.perChannel) return null
  switch (op.kind) {
    case 'Conv':
      return 0
    case 'ConvTranspose':
      return 1
    case 'Gemm':
      return op.transB && (options.rowScales || roundingGain(weights) >= worthwhile) ? 0 : null
    default:
      return null
  }
}

/** How much smaller the squared rounding error is with a scale for each row: steps are as wide as the largest weight. */
function roundingGain(weights: Constant): number {
  const numbers = numbersOf(weights)
  const rows = weights.shape[0]!
  const width = numbers.length / rows
  let largest = 0
  let squares = 0
  for (let row = 0; row < rows; row++) {
    let magnitude = 0
    for (let i = row * width; i < (row + 1) * width; i++)
      magnitude = Math.max(magnitude, Math.abs(numbers[i]!))
    largest = Math.max(largest, magnitude)
    squares += magnitude * magnitude
  }
  return squares === 0 ? 1 : (largest * largest) / (squares / rows)
}

export function hasWeights({ kind }: Op): boolean {
  return kind === 'Conv' || kind === 'ConvTranspose' || kind === 'Gemm'
}
