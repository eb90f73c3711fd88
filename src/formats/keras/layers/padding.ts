import { brokenModel } from '../config.ts'

export interface Pads {
  readonly padsBegin: number[]
  readonly padsEnd: number[]
}

/** TensorFlow's paddings as explicit ones: `same` puts the odd one behind, `causal` puts all in front. */
export function kernelPads(
  padding: string,
  where: string,
  size: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[] = kernel.map(() => 1),
): Pads {
  const total = size.map((length, i) => {
    const reach = (kernel[i]! - 1) * dilations[i]! + 1
    return Math.max((Math.ceil(length / strides[i]!) - 1) * strides[i]! + reach - length, 0)
  })
  switch (padding) {
    case 'valid':
      return { padsBegin: kernel.map(() => 0), padsEnd: kernel.map(() => 0) }
    case 'same':
      return { padsBegin: total.map((pad) => pad >> 1), padsEnd: total.map((pad) => pad - (pad >> 1)) }
    case 'causal':
      return { padsBegin: kernel.map((k, i) => (k - 1) * dilations[i]!), padsEnd: kernel.map(() => 0) }
    default:
      throw brokenModel('A layer has a padding that Keras does not know.', where, padding)
  }
}

/**
 * A transposed convolution is the gradient of a convolution whose padding is `padding`: what that pads is cut off
 * here. `extra` are Keras's own output_padding.
 */
export function transposePads(
  padding: string,
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
  extra: readonly number[] | null,
): Pads & { outputPadding: number[] } {
  const cut = kernel.map((k, i) => {
    const reach = (k - 1) * dilations[i]! + 1
    // beyond (input − 1) · stride, so that the input's size does not matter
    const wanted =
      extra === null
        ? padding === 'same'
          ? strides[i]!
          : Math.max(reach, strides[i]!)
        : reach - 2 * (padding === 'same' ? reach >> 1 : 0) + extra[i]!
    return reach - wanted
  })
  const padsBegin = cut.map((pad) => Math.max(pad, 0) >> 1)
  return {
    padsBegin,
    padsEnd: cut.map((pad, i) => Math.max(pad, 0) - padsBegin[i]!),
    outputPadding: cut.map((pad) => Math.max(-pad, 0)),
  }
}
