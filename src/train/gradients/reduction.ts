import type { GradientFamily } from '../gradient.ts'

export const reductionGradients: GradientFamily<'Reduce' | 'ArgMax' | 'ArgMin'> = {
  Reduce: { none: 'its rule is not written' },
  ArgMax: { none: 'its rule is not written' },
  ArgMin: { none: 'its rule is not written' },
}
