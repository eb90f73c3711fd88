import type { OpOf } from '../../graph/ops.ts'

/** Which element along an axis each element of a padded one is. */
export function padSources(
  mode: 'reflect' | 'edge' | 'wrap',
  size: number,
  begin: number,
  end: number,
): number[] {
  const wrapped = (at: number, period: number) => ((at % period) + period) % period
  return Array.from({ length: size + begin + end }, (_, position) => {
    const at = position - begin
    if (mode === 'edge') return Math.min(Math.max(at, 0), size - 1)
    if (mode === 'wrap') return wrapped(at, size)
    // the edge itself is not repeated
    const turn = wrapped(at, Math.max(1, 2 * (size - 1)))
    return turn < size ? turn : 2 * (size - 1) - turn
  })
}

/** Source elements and weights of each resized element along an axis, by ONNX's definition; null where it is not known. */
export function interpolation(
  op: OpOf<'Resize'>,
  axis: number,
  size: number,
  made: number,
): (readonly [number, number])[][] | null {
  if (op.mode === 'cubic' || op.antialias || op.coordinateTransformation === 'tf_crop_and_resize') return null
  const scale = op.scales?.[axis] ?? made / size
  return Array.from({ length: made }, (_, position) => {
    const at = coordinate(op, position, size, made, scale)
    if (op.mode === 'nearest') return [[clamped(nearest(op, at), size), 1]]
    const below = Math.floor(at)
    const share = at - below
    return [
      [clamped(below, size), 1 - share],
      [clamped(below + 1, size), share],
    ]
  })
}

function coordinate(
  { coordinateTransformation: how }: OpOf<'Resize'>,
  position: number,
  size: number,
  made: number,
  scale: number,
): number {
  switch (how) {
    case 'asymmetric':
      return position / scale
    case 'align_corners':
      return made === 1 ? 0 : (position * (size - 1)) / (made - 1)
    case 'pytorch_half_pixel':
      return made > 1 ? (position + 0.5) / scale - 0.5 : 0
    case 'tf_half_pixel_for_nn':
      return (position + 0.5) / scale
    case 'half_pixel_symmetric': {
      const adjustment = made / (scale * size)
      return (size / 2) * (1 - adjustment) + (position + 0.5) / scale - 0.5
    }
    default:
      return (position + 0.5) / scale - 0.5
  }
}

function nearest({ nearestMode }: OpOf<'Resize'>, at: number): number {
  switch (nearestMode) {
    case 'floor':
      return Math.floor(at)
    case 'ceil':
      return Math.ceil(at)
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5)
    default:
      return Math.ceil(at - 0.5)
  }
}

function clamped(at: number, size: number): number {
  return Math.min(Math.max(at, 0), size - 1)
}
