import type { GradientFamily } from '../gradient.ts'

export const matrixGradients: GradientFamily<'Gemm' | 'MatMul'> = {
  Gemm: { none: 'its rule is not written' },
  MatMul: { none: 'its rule is not written' },
}
