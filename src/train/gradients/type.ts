import type { GradientFamily } from '../gradient.ts'

export const typeGradients: GradientFamily<'Cast' | 'Identity' | 'Convert' | 'Opaque'> = {
  Cast: (_, { b, gradients, inputs }) => [b.isFloat(inputs[0]!) ? gradients[0]! : null],
  Identity: (_, { gradients }) => [gradients[0]!],
  Convert: { none: 'its rule is not written' },
  Opaque: { none: 'its rule is not written' },
}
