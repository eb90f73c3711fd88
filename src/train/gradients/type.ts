import type { GradientFamily } from '../gradient.ts'

export const typeGradients: GradientFamily<'Cast' | 'Identity' | 'Convert' | 'Opaque'> = {
  Cast: { none: 'its rule is not written' },
  Identity: { none: 'its rule is not written' },
  Convert: { none: 'its rule is not written' },
  Opaque: { none: 'its rule is not written' },
}
