import { numbersOf } from '../../graph/constant.ts'
import type { OpOf } from '../../graph/ops.ts'
import { elementCount } from '../../tensor.ts'
import type { GraphBuilder } from '../builder.ts'
import type { Backward, GradientFamily } from '../gradient.ts'

export const elementwiseGradients: GradientFamily<'Unary' | 'Binary' | 'Comparison' | 'Where'> = {
  Unary: (op, backward) => [unaryGradient(op.fn, backward)],
  Binary: (op, backward) => {
    const { b, inputs, wants } = backward
    return inputs.map((name, index) => {
      const gradient = wants(index) ? binaryGradient(op.fn, index === 0 ? 'left' : 'right', backward) : null
      return gradient && b.unbroadcast(gradient, b.shape(name!))
    })
  },
  Comparison: { none: 'its output is a truth value' },
  Where: (_, { b, inputs, gradients, wants }) => {
    const [condition, left, right] = inputs as [string, string, string]
    const [dy, zero] = [gradients[0]!, b.scalar(0)]
    return [
      null,
      wants(1) ? b.unbroadcast(b.where(condition, dy, zero), b.shape(left)) : null,
      wants(2) ? b.unbroadcast(b.where(condition, zero, dy), b.shape(right)) : null,
    ]
  },
}

/** By the operand, in the shape of the result; null where it is zero everywhere. */
function unaryGradient(fn: OpOf<'Unary'>['fn'], { b, inputs, outputs, gradients }: Backward): string | null {
  const [x, y, dy] = [inputs[0]!, outputs[0]!, gradients[0]!]
  switch (fn) {
    case 'Abs':
      return b.mul(dy, b.unary('Sign', x))
    case 'Cos':
      return b.unary('Neg', b.mul(dy, b.unary('Sin', x)))
    case 'Erf':
      return b.mul(b.mul(dy, b.scalar(2 / Math.sqrt(Math.PI))), b.unary('Exp', b.unary('Neg', b.mul(x, x))))
    case 'Exp':
      return b.mul(dy, y)
    case 'Log':
      return b.div(dy, x)
    case 'Neg':
      return b.unary('Neg', dy)
    case 'Reciprocal':
      return b.unary('Neg', b.mul(dy, b.mul(y, y)))
    case 'Sin':
      return b.mul(dy, b.unary('Cos', x))
    case 'Softplus':
      return b.mul(dy, b.op({ kind: 'Sigmoid' }, [x]))
    case 'Softsign': {
      const width = b.add(b.unary('Abs', x), b.scalar(1))
      return b.div(dy, b.mul(width, width))
    }
    case 'Sqrt':
      return b.div(b.mul(dy, b.scalar(0.5)), y)
    case 'Ceil':
    case 'Floor':
    case 'Round':
    case 'Sign':
    case 'Not':
      return null
  }
}

/** By one operand, in the shape of the result. */
function binaryGradient(
  fn: OpOf<'Binary'>['fn'],
  side: 'left' | 'right',
  { b, inputs, outputs, gradients }: Backward,
): string {
  const [left, right] = inputs as [string, string]
  const dy = gradients[0]!
  switch (fn) {
    case 'Add':
      return dy
    case 'Sub':
      return side === 'left' ? dy : b.unary('Neg', dy)
    case 'Mul':
      return b.mul(dy, side === 'left' ? right : left)
    case 'Div':
      return side === 'left' ? b.div(dy, right) : b.unary('Neg', b.div(b.mul(dy, outputs[0]!), right))
    case 'Pow':
      return side === 'left' ? baseGradient(b, left, right, dy) : exponentGradient(b, left, outputs[0]!, dy)
    case 'Min':
    case 'Max': {
      // equal operands: the left one has it, as in TensorFlow
      const first = b.mask(fn === 'Max' ? 'GreaterOrEqual' : 'LessOrEqual', left, right)
      return b.mul(dy, side === 'left' ? first : b.sub(b.scalar(1), first))
    }
  }
}

function baseGradient(b: GraphBuilder, base: string, exponent: string, dy: string): string {
  const { constant } = b.editor.value(exponent)
  const fixed = constant && elementCount(constant.shape) === 1 ? numbersOf(constant)[0]! : null
  // the usual powers by products, many times as fast
  if (fixed === 1) return dy
  if (fixed === 2) return b.mul(dy, b.mul(base, b.scalar(2)))
  if (fixed === 3) return b.mul(dy, b.mul(b.mul(base, base), b.scalar(3)))
  const power = b.cast(exponent, 'float32')
  // x⁰ is constant at 0 too, where 0 · x⁻¹ is not a number
  const one = b.scalar(1)
  const lower = b.where(b.compare('Equal', power, b.scalar(0)), one, b.sub(power, one))
  return b.mul(dy, b.mul(power, b.binary('Pow', base, lower)))
}

/** Of a base that has no logarithm nothing is known: as in TensorFlow it counts as zero. */
function exponentGradient(b: GraphBuilder, base: string, power: string, dy: string): string {
  const positive = b.compare('Greater', base, b.scalar(0))
  const log = b.unary('Log', b.where(positive, base, b.scalar(1)))
  return b.mul(dy, b.mul(power, log))
}
