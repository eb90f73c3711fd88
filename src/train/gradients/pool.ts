import type { GradientFamily } from '../gradient.ts'

export const poolGradients: GradientFamily<
  'MaxPool' | 'AveragePool' | 'GlobalAveragePool' | 'GlobalMaxPool'
> = {
  MaxPool: { none: 'its rule is not written' },
  AveragePool: { none: 'its rule is not written' },
  GlobalAveragePool: { none: 'its rule is not written' },
  GlobalMaxPool: { none: 'its rule is not written' },
}
