/** Padding at the beginning and end of one axis. */
export interface Padding {
  readonly begin: number
  readonly end: number
}

/** What SAME stands for: as many outputs as strides fit, the odd element at the end. */
export function samePadding(input: number, kernel: number, stride: number, dilation: number): Padding {
  const reach = (kernel - 1) * dilation + 1
  return halves(Math.max((Math.ceil(input / stride) - 1) * stride + reach - input, 0))
}

/** What SAME stands for in a transposed convolution, which is told its output's size. */
export function sameTransposedPadding(output: number, kernel: number, stride: number): Padding {
  return halves(Math.max((Math.ceil(output / stride) - 1) * stride + kernel - output, 0))
}

function halves(total: number): Padding {
  const begin = Math.floor(total / 2)
  return { begin, end: total - begin }
}
