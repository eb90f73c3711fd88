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
  Reshape: (_, { b, inputs, gradients }) => [b.reshape(gradients[0]!, b.shape(inputs[0]!))],
  Transpose: (op, { b, gradients }) => [
    b.transpose(
      gradients[0]!,
      op.perm.map((_, axis) => op.perm.indexOf(axis)),
    ),
  ],
  Expand: (_, { b, inputs, gradients }) => [b.unbroadcast(gradients[0]!, b.shape(inputs[0]!))],
  Tile: { none: 'its rule is not written' },
  Pad: { none: 'its rule is not written' },
  Resize: { none: 'its rule is not written' },
  DepthToSpace: { none: 'its rule is not written' },
  SpaceToDepth: { none: 'its rule is not written' },
}
