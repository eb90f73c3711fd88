import type { Op } from '../graph/ops.ts'

export interface LayerShape {
  /** Spatial sizes of input and output, for how often padding stands under a tap. */
  readonly input: readonly number[]
  readonly output: readonly number[]
}

/**
 * A bias that takes back what rounding the weights shifts on average: b − Σ ΔW·E[x] (the cheap exact form of empirical
 * bias correction, Nagel et al. 2019, section 4.2), with E[x] of each input channel from calibration. A tap that lies in
 * zero padding for a part of the outputs counts for the others only.
 *
 * @param op a Conv or Gemm
 * @param weights as they were, and `stored` as the reals that their integers mean; both [out, in/group, ...kernel] for
 * a Conv, [out, in] for a Gemm with transB, [in, out] for one without
 * @param means E[x] of each input channel
 */
export function correctBias(
  op: Op,
  bias: readonly number[],
  weights: ArrayLike<number>,
  stored: ArrayLike<number>,
  shape: readonly number[],
  means: ArrayLike<number>,
  layer: LayerShape,
): number[] {
  if (op.kind === 'Gemm' && !op.transB) return correctByColumns(bias, weights, stored, shape, means)
  const group = op.kind === 'Conv' ? op.group : 1
  const [outputs, inputs, ...kernel] = shape as [number, number, ...number[]]
  const presence = op.kind === 'Conv' ? tapPresence(op, kernel, layer) : [1]
  const taps = presence.length
  const perGroup = outputs / group
  return bias.map((b, output) => {
    const first = Math.floor(output / perGroup) * inputs
    let shift = 0
    for (let input = 0; input < inputs; input++) {
      const start = (output * inputs + input) * taps
      let sum = 0
      for (let tap = 0; tap < taps; tap++)
        sum += (stored[start + tap]! - weights[start + tap]!) * presence[tap]!
      shift += sum * means[first + input]!
    }
    return b - shift
  })
}

/** As above for weights [in, out]. */
function correctByColumns(
  bias: readonly number[],
  weights: ArrayLike<number>,
  stored: ArrayLike<number>,
  [inputs, outputs]: readonly number[],
  means: ArrayLike<number>,
): number[] {
  return bias.map((b, output) => {
    let shift = 0
    for (let input = 0; input < inputs!; input++) {
      const at = input * outputs! + output
      shift += (stored[at]! - weights[at]!) * means[input]!
    }
    return b - shift
  })
}

/** For each tap of a kernel the share of output positions at which it lies inside the input. */
function tapPresence(
  op: Extract<Op, { kind: 'Conv' }>,
  kernel: readonly number[],
  { input, output }: LayerShape,
): number[] {
  let presence = [1]
  kernel.forEach((size, axis) => {
    const shares = Array.from({ length: size }, (_, tap) => {
      let inside = 0
      for (let position = 0; position < output[axis]!; position++) {
        const at = position * op.strides[axis]! + tap * op.dilations[axis]! - op.padsBegin[axis]!
        if (at >= 0 && at < input[axis]!) inside++
      }
      return inside / output[axis]!
    })
    presence = presence.flatMap((before) => shares.map((share) => before * share))
  })
  return presence
}
