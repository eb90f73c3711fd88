import type { GradientFamily } from '../gradient.ts'

export const normalizationGradients: GradientFamily<
  'BatchNormalization' | 'LayerNormalization' | 'InstanceNormalization'
> = {
  BatchNormalization: { none: 'its rule is not written' },
  LayerNormalization: { none: 'its rule is not written' },
  InstanceNormalization: { none: 'its rule is not written' },
}
