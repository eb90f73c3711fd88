import type { GradientFamily } from '../gradient.ts'

export const elementwiseGradients: GradientFamily<'Unary' | 'Binary' | 'Comparison' | 'Where'> = {
  Unary: (op, { b, outputs, inputs, gradients }) => {
    const dy = gradients[0]!
    switch (op.fn) {
      case 'Exp':
        return [b.mul(dy, outputs[0]!)]
      case 'Log':
        return [b.div(dy, inputs[0]!)]
      case 'Neg':
        return [b.unary('Neg', dy)]
      case 'Sqrt':
        return [b.div(b.mul(dy, b.scalar(0.5)), outputs[0]!)]
      default:
        throw new Error(`no rule for ${op.fn}`)
    }
  },
  Binary: (op, { b, inputs, gradients, wants }) => {
    const [x, y] = inputs as [string, string]
    const dy = gradients[0]!
    const back = (index: number, make: () => string) =>
      wants(index) ? b.unbroadcast(make(), b.shape(inputs[index]!)) : null
    switch (op.fn) {
      case 'Add':
        return [back(0, () => dy), back(1, () => dy)]
      case 'Sub':
        return [back(0, () => dy), back(1, () => b.unary('Neg', dy))]
      case 'Mul':
        return [back(0, () => b.mul(dy, y)), back(1, () => b.mul(dy, x))]
      case 'Div':
        return [back(0, () => b.div(dy, y)), back(1, () => b.unary('Neg', b.div(b.mul(dy, b.div(x, y)), y)))]
      default:
        throw new Error(`no rule for ${op.fn}`)
    }
  },
  Comparison: { none: 'its rule is not written' },
  Where: { none: 'its rule is not written' },
}
