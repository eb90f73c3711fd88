import type { OpOf } from '../../graph/ops.ts'
import type { Backward, GradientFamily } from '../gradient.ts'

export const reductionGradients: GradientFamily<'Reduce' | 'ArgMax' | 'ArgMin'> = {
  Reduce: (op, backward) => [reduceGradient(op, backward)],
  ArgMax: { none: 'its output is an index' },
  ArgMin: { none: 'its output is an index' },
}

function reduceGradient(op: OpOf<'Reduce'>, { b, inputs, outputs, gradients }: Backward): string {
  const x = inputs[0]!
  const shape = b.shape(x)
  const kept = shape.map((size, axis) => (op.axes.includes(axis) ? 1 : size))
  const count = op.axes.reduce((product, axis) => product * shape[axis]!, 1)
  const dy = b.reshape(gradients[0]!, kept)
  const y = b.reshape(outputs[0]!, kept)
  const spread = (factor: string) => b.expand(b.mul(dy, factor), shape)
  switch (op.fn) {
    case 'Sum':
      return b.expand(dy, shape)
    case 'Mean':
      return spread(b.scalar(1 / count))
    case 'SumSquare':
      return b.mul(b.mul(dy, b.scalar(2)), x)
    case 'L1':
      return b.mul(dy, b.unary('Sign', x))
    case 'L2':
      return b.mul(b.div(dy, b.binary('Max', y, b.scalar(1e-30))), x)
    case 'LogSum':
      return spread(b.unary('Exp', b.unary('Neg', y)))
    case 'LogSumExp':
      return b.mul(dy, b.unary('Exp', b.sub(x, y)))
    case 'Max':
    case 'Min': {
      // equal elements share it, as in TensorFlow
      const hit = b.mask('Equal', x, y)
      return b.mul(b.div(dy, b.reduce('Sum', hit, op.axes, true)), hit)
    }
    case 'Prod':
      return b.mul(dy, productOfOthers(x, op.axes, b))
  }
}

/** Of each element the product of all others along the axes: without a division, which a zero would break. */
function productOfOthers(x: string, axes: readonly number[], b: Backward['b']): string {
  const shape = b.shape(x)
  const rest = shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]))
  const perm = [...rest, ...axes]
  const count = axes.reduce((product, axis) => product * shape[axis]!, 1)
  const rows = rest.reduce((product, axis) => product * shape[axis]!, 1)
  const flat = b.reshape(b.transpose(x, perm), [rows, count])
  const running = (columns: readonly number[]) => {
    const before = new Map<number, string>()
    let product = b.expand(b.scalar(1), [rows, 1])
    for (const column of columns) {
      before.set(column, product)
      product = b.mul(product, b.slice(flat, 1, column, column + 1))
    }
    return before
  }
  const columns = Array.from({ length: count }, (_, column) => column)
  const [left, right] = [running(columns), running(columns.toReversed())]
  const others = b.op(
    { kind: 'Concat', axis: 1 },
    columns.map((column) => b.mul(left.get(column)!, right.get(column)!)),
  )
  const shaped = b.reshape(
    others,
    perm.map((axis) => shape[axis]!),
  )
  return b.transpose(
    shaped,
    shape.map((_, axis) => perm.indexOf(axis)),
  )
}
