import type { Parameter } from '../network.ts'

/** Mean magnitude of weights that move at the learning rate itself. */
const usualMagnitude = 0.04

/**
 * Folded batch norms make weights of one layer a hundred times those of another (0.0045 to 2 in ResNet8), while an
 * adaptive optimizer moves all alike: what one layer does not feel takes another apart. The rate follows the magnitude, as
 * in LARS (You et al. 2017); the mean one, which single large channels move least.
 */
export function relativeRate(parameter: Parameter): Parameter {
  const { initial, decay } = parameter
  const mean = initial.reduce((sum, w) => sum + Math.abs(w), 0) / Math.max(1, initial.length)
  // biases start at 0 and are to move from there
  const least = decay ? 0 : 0.1
  const share = Math.max(least, mean / usualMagnitude)
  return share > 0 ? { ...parameter, rateFactor: share } : parameter
}
