import type { Resize } from '../../../graph/ops.ts'
import type { OperatorInReading } from '../read-operator.ts'
import { imageOf } from './convolution.ts'
import type { ReadTable } from './table.ts'

export const resize: ReadTable = {
  RESIZE_BILINEAR: (operator) => {
    const { alignCorners, halfPixelCenters } = operator.options('ResizeBilinearOptions')
    const coordinates = alignCorners ? 'align_corners' : halfPixelCenters ? 'half_pixel' : 'asymmetric'
    readResize(operator, {
      mode: 'linear',
      coordinateTransformation: coordinates,
      nearestMode: 'round_prefer_floor',
    })
  },
  RESIZE_NEAREST_NEIGHBOR: (operator) => {
    const { alignCorners, halfPixelCenters } = operator.options('ResizeNearestNeighborOptions')
    const coordinates = alignCorners
      ? 'align_corners'
      : halfPixelCenters
        ? 'tf_half_pixel_for_nn'
        : 'asymmetric'
    readResize(operator, {
      mode: 'nearest',
      coordinateTransformation: coordinates,
      nearestMode: alignCorners ? 'round_prefer_ceil' : 'floor',
    })
  },
}

function readResize(
  operator: OperatorInReading,
  how: Pick<Resize, 'mode' | 'coordinateTransformation' | 'nearestMode'>,
): void {
  const [batch, , , channels] = imageOf(operator, 0)
  const [height, width, ...more] = operator.numbers(1, 'size')
  if (!(height! > 0 && width! > 0) || more.length > 0) throw operator.broken('resizes to an impossible size')
  operator.produce(
    {
      kind: 'Resize',
      ...how,
      sizes: [batch!, height!, width!, channels!],
      scales: null,
      cubicCoefficient: -0.75,
      excludeOutside: false,
      extrapolationValue: 0,
      roi: null,
      antialias: false,
      layout: 'channels-last',
    },
    [operator.input(0)],
  )
}
