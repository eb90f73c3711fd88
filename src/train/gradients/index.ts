import type { GradientTable } from '../gradient.ts'
import { activationGradients } from './activation.ts'
import { convolutionGradients } from './convolution.ts'
import { elementwiseGradients } from './elementwise.ts'
import { matrixGradients } from './matrix.ts'
import { movementGradients } from './movement.ts'
import { normalizationGradients } from './normalization.ts'
import { poolGradients } from './pool.ts'
import { reductionGradients } from './reduction.ts'
import { typeGradients } from './type.ts'

/** How gradients go back through each kind of operator, or why none does. */
export const gradientTable: GradientTable = {
  ...activationGradients,
  ...convolutionGradients,
  ...elementwiseGradients,
  ...matrixGradients,
  ...movementGradients,
  ...normalizationGradients,
  ...poolGradients,
  ...reductionGradients,
  ...typeGradients,
}
