import type { Quantization } from '../graph/types.ts'

/** Bias in int64 at s_in · s_w for each output channel: what int16 activations with int8 weights add to. */
export function quantizeWideBias(
  bias: ArrayLike<number>,
  inputScale: number,
  weightScales: readonly number[],
): { readonly data: BigInt64Array; readonly quantization: Quantization } {
  const scales = weightScales.map((scale) => Math.fround(inputScale * scale))
  const data = new BigInt64Array(bias.length)
  for (let i = 0; i < bias.length; i++)
    data[i] = BigInt(Math.round(bias[i]! / (scales.length === 1 ? scales[0]! : scales[i]!)))
  return {
    data,
    quantization: { scales, zeroPoints: scales.map(() => 0), axis: scales.length === 1 ? null : 0 },
  }
}
