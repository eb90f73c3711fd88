import type { RunResult } from '../store/document.ts'
import type { Tensor } from '../tensor.ts'

/** One output of the same artifact for the same samples, as board and host computed it. */
export interface ParityPair {
  readonly name: string
  readonly board: Tensor
  readonly host: Tensor
  /** Size of one quantization step in the tensor's own unit: 1 for integers, the scale of the last quantization else. */
  readonly step: number
}

/**
 * Compares outputs in quantization steps. Where the network is wholly integer every value must be identical; elsewhere
 * one step is allowed, since float kernels of two architectures differ in the last bits.
 *
 * @param pairs sample by sample, output by output
 */
export function parityOf(
  pairs: Iterable<ParityPair & { readonly sample: string }>,
  samples: number,
  integerOnly: boolean,
): NonNullable<RunResult['parity']> {
  const tolerance = integerOnly ? 0 : 1
  let values = 0
  let identical = 0
  let maxSteps = 0
  let firstDivergence: string | undefined
  for (const { name, board, host, step, sample } of pairs) {
    for (let i = 0; i < host.data.length; i++) {
      const a = Number(board.data[i])
      const b = Number(host.data[i])
      values++
      if (Object.is(a, b) || a === b) {
        identical++
        continue
      }
      const steps = Number.isFinite(a) && Number.isFinite(b) ? Math.abs(a - b) / step : Number.MAX_VALUE
      if (steps > maxSteps) maxSteps = steps
      if (steps > tolerance * (1 + 1e-6))
        firstDivergence ??= `sample ${sample}, output ${name}[${i}]: board ${a}, host ${b}`
    }
  }
  return {
    samples,
    maxSteps,
    identicalShare: values === 0 ? 1 : identical / values,
    tolerance,
    ok: firstDivergence === undefined,
    ...(firstDivergence === undefined ? {} : { firstDivergence }),
  }
}

/** An 8-bit step of a float output: of the last quantization where known, else of the output's own range. */
export function stepOf(host: Tensor, quantizationScale: number | null): number {
  if (host.dtype !== 'float32' && host.dtype !== 'float64') return 1
  if (quantizationScale !== null) return quantizationScale
  let low = 0
  let high = 0
  for (const value of host.data as Float32Array) {
    if (value < low) low = value
    if (value > high) high = value
  }
  return (high - low) / 255 || 1
}
