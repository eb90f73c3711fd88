import type { GradientFamily } from '../gradient.ts'

export const typeGradients: GradientFamily<'Cast' | 'Identity' | 'Convert' | 'Opaque'> = {
  Cast: (_, { b, gradients, inputs }) => [b.isFloat(inputs[0]!) ? gradients[0]! : null],
  Identity: (_, { gradients }) => [gradients[0]!],
  Convert: { none: 'a quantized network is not trained; train the float one, quantization-aware' },
  Opaque: { none: 'it is kept as the file has it and not known here' },
}
