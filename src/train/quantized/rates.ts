import type { Parameter } from '../network.ts'

/** Root mean square of weights that move at the learning rate itself. */
const usualMagnitude = 0.05

/**
 * Folded batch norms make weights of one layer a hundred times those of another (0.0045 to 2 in ResNet8), while an
 * adaptive optimizer moves all alike: what one layer does not feel takes another apart. The rate follows the magnitude, as
 * in LARS (You et al. 2017).
 */
export function relativeRate(parameter: Parameter): Parameter {
  const { initial, decay } = parameter
  const square = initial.reduce((sum, w) => sum + w * w, 0) / Math.max(1, initial.length)
  // biases start at 0 and are to move from there
  const least = decay ? 0 : 0.1
  const share = Math.max(least, Math.sqrt(square) / usualMagnitude)
  return share > 0 ? { ...parameter, rateFactor: share } : parameter
}
