import type { Op, OpOf } from '../../src/graph/ops.ts'

/**
 * Names what TensorFlow Lite has no operator for, once the rewrites of `lower` have run; null for what it has.
 * An opaque operator of a `.tflite` file goes back as it came.
 */
export function missingOperator(op: Op): string | null {
  switch (op.kind) {
    case 'Opaque':
      return op.format === 'tflite' ? null : op.domain ? `${op.domain}.${op.opType}` : op.opType
    case 'Resize':
      return missingResize(op)
    case 'Pad':
      return op.mode === 'constant' || op.mode === 'reflect' ? null : `Pad ${op.mode}`
    case 'DepthToSpace':
      return op.mode === 'DCR' ? null : `DepthToSpace ${op.mode}`
    case 'ArgMax':
    case 'ArgMin':
      return op.selectLastIndex ? `${op.kind} of the last index` : null
    case 'Unary':
      return op.fn === 'Erf' || op.fn === 'Softsign' ? op.fn : null
    case 'Comparison':
      return op.fn === 'Xor' ? op.fn : null
    default:
      return null
  }
}

/** RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR know align-corners, half-pixel and plain scaling. */
function missingResize({
  mode,
  coordinateTransformation,
  nearestMode,
  antialias,
}: OpOf<'Resize'>): string | null {
  if (mode === 'cubic') return 'Resize cubic'
  if (antialias) return 'Resize with antialiasing'
  const known =
    mode === 'linear'
      ? ['half_pixel', 'pytorch_half_pixel', 'half_pixel_symmetric', 'align_corners', 'asymmetric']
      : ['half_pixel', 'asymmetric', 'align_corners', 'tf_half_pixel_for_nn']
  if (!known.includes(coordinateTransformation)) return `Resize ${mode} by ${coordinateTransformation}`
  if (mode === 'nearest' && coordinateTransformation === 'asymmetric' && nearestMode !== 'floor')
    return `Resize nearest rounding by ${nearestMode}`
  return null
}
