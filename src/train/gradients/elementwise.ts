import type { GradientFamily } from '../gradient.ts'

export const elementwiseGradients: GradientFamily<'Unary' | 'Binary' | 'Comparison' | 'Where'> = {
  Unary: { none: 'its rule is not written' },
  Binary: { none: 'its rule is not written' },
  Comparison: { none: 'its rule is not written' },
  Where: { none: 'its rule is not written' },
}
