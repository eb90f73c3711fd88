import type { GradientFamily } from '../gradient.ts'

export const convolutionGradients: GradientFamily<'Conv' | 'ConvTranspose'> = {
  Conv: { none: 'its rule is not written' },
  ConvTranspose: { none: 'its rule is not written' },
}
