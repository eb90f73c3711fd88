import type { OpOf } from '../../graph/ops.ts'
import type { Tap } from './linear-map.ts'

type Resize = OpOf<'Resize'>

/**
 * What each resized element along an axis is the weighted sum of, by ONNX Resize-19, rounded as ONNX Runtime rounds it.
 * Elements that are filled by the extrapolation value have no taps.
 * @param scale float32, of the axis
 */
export function interpolation(op: Resize, axis: number, size: number, scale: number): readonly Tap[][] {
  const made = op.sizes[axis]!
  return Array.from({ length: made }, (_, position) => {
    const at = coordinate(op, axis, position, size, scale)
    if (op.coordinateTransformation === 'tf_crop_and_resize' && (at < 0 || at > size - 1)) return []
    if (op.mode === 'nearest') return [[clamped(nearest(op, at), size), 1]]
    return weighted(op, at, size, op.antialias && scale < 1 ? scale : 1)
  })
}

/** Linear and cubic: a filter about the coordinate, widened by antialiasing where the axis shrinks. */
function weighted(op: Resize, at: number, size: number, scale: number): Tap[] {
  const support = (op.mode === 'linear' ? 1 : 2) / scale
  const taps: Tap[] = []
  for (let source = Math.ceil(at - support); source <= Math.floor(at + support); source++) {
    const outside = source < 0 || source >= size
    const distance = Math.abs(at - source) * scale
    const weight = op.mode === 'linear' ? Math.max(0, 1 - distance) : cubic(distance, op.cubicCoefficient)
    if (weight !== 0 && !(outside && op.excludeOutside)) taps.push([clamped(source, size), weight])
  }
  const total = taps.reduce((sum, [, weight]) => sum + weight, 0)
  return taps.map(([source, weight]) => [source, weight / total])
}

/** Keys, Cubic convolution interpolation for digital image processing, 1981. */
function cubic(distance: number, a: number): number {
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1
  return distance < 2 ? ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a : 0
}

/**
 * In single precision step by step, as ONNX Runtime: the nearest of two elements equally far hangs on the last bit. Which
 * it is is not guaranteed for half_pixel_symmetric, nor for asymmetric with a scale that has no finite fraction.
 */
function coordinate(op: Resize, axis: number, position: number, size: number, scale: number): number {
  if (scale === 1) return position
  const made = op.sizes[axis]!
  const centre = f32(f32(position + 0.5) / scale)
  switch (op.coordinateTransformation) {
    case 'asymmetric':
      return f32(position / scale)
    case 'align_corners':
      return made === 1 ? 0 : f32(f32(position * (size - 1)) / (made - 1))
    case 'pytorch_half_pixel':
      return made > 1 ? f32(centre - 0.5) : 0
    case 'tf_half_pixel_for_nn':
      return centre
    case 'half_pixel_symmetric': {
      const adjustment = f32(made / f32(scale * size))
      const offset = f32((size / 2) * f32(1 - adjustment))
      return f32(f32(offset + centre) - 0.5)
    }
    case 'tf_crop_and_resize': {
      const [start, end] = [f32(op.roi![axis]!), f32(op.roi![axis + op.sizes.length]!)]
      if (made === 1) return f32(f32(0.5 * f32(start + end)) * (size - 1))
      const along = f32(f32(f32(position * f32(end - start)) * (size - 1)) / (made - 1))
      return f32(f32(start * (size - 1)) + along)
    }
    case 'half_pixel':
      return f32(centre - 0.5)
  }
}

function nearest({ nearestMode }: Resize, at: number): number {
  switch (nearestMode) {
    case 'floor':
      return Math.floor(at)
    case 'ceil':
      return Math.ceil(at)
    case 'round_prefer_ceil':
      return Math.floor(at + 0.5)
    case 'round_prefer_floor':
      return Math.ceil(at - 0.5)
  }
}

function clamped(at: number, size: number): number {
  return Math.min(Math.max(at, 0), size - 1)
}

const f32 = Math.fround
