import type { GradientFamily } from '../gradient.ts'

export const reductionGradients: GradientFamily<'Reduce' | 'ArgMax' | 'ArgMin'> = {
  Reduce: (op, { b, inputs, gradients }) => {
    const shape = b.shape(inputs[0]!)
    const kept = shape.map((size, axis) => (op.axes.includes(axis) ? 1 : size))
    const count = op.axes.reduce((product, axis) => product * shape[axis]!, 1)
    const dy = b.reshape(gradients[0]!, kept)
    if (op.fn === 'Sum') return [b.expand(dy, shape)]
    if (op.fn === 'Mean') return [b.expand(b.mul(dy, b.scalar(1 / count)), shape)]
    throw new Error(`no rule for ${op.fn}`)
  },
  ArgMax: { none: 'its rule is not written' },
  ArgMin: { none: 'its rule is not written' },
}
