import type { GradientFamily } from '../gradient.ts'

export const movementGradients: GradientFamily<
  | 'Concat'
  | 'Split'
  | 'Slice'
  | 'Gather'
  | 'Reshape'
  | 'Transpose'
  | 'Expand'
  | 'Tile'
  | 'Pad'
  | 'Resize'
  | 'DepthToSpace'
  | 'SpaceToDepth'
> = {
  Concat: { none: 'its rule is not written' },
  Split: { none: 'its rule is not written' },
  Slice: { none: 'its rule is not written' },
  Gather: { none: 'its rule is not written' },
  Reshape: { none: 'its rule is not written' },
  Transpose: { none: 'its rule is not written' },
  Expand: { none: 'its rule is not written' },
  Tile: { none: 'its rule is not written' },
  Pad: { none: 'its rule is not written' },
  Resize: { none: 'its rule is not written' },
  DepthToSpace: { none: 'its rule is not written' },
  SpaceToDepth: { none: 'its rule is not written' },
}
