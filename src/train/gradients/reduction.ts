import type { OpOf } from '../../graph/ops.ts'
import type { GraphBuilder } from '../builder.ts'
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
  const others = b.mul(productBefore(b, flat), productBehind(b, flat))
  const shaped = b.reshape(
    others,
    perm.map((axis) => shape[axis]!),
  )
  return b.transpose(
    shaped,
    shape.map((_, axis) => perm.indexOf(axis)),
  )
}

/** Of each column the product of all columns before it, by doubling: as many steps as the count has bits. */
function productBefore(b: GraphBuilder, x: string): string {
  const [rows, count] = b.shape(x) as [number, number]
  const shifted = (from: string, by: number) => {
    const ones = b.expand(b.scalar(1), [rows, Math.min(by, count)])
    return by >= count ? ones : b.op({ kind: 'Concat', axis: 1 }, [ones, b.slice(from, 1, 0, count - by)])
  }
  let product = shifted(x, 1)
  for (let reach = 1; reach < count - 1; reach *= 2) product = b.mul(product, shifted(product, reach))
  return product
}

function productBehind(b: GraphBuilder, x: string): string {
  const count = b.shape(x)[1]!
  const backwards = (from: string) =>
    b.op({ kind: 'Slice', axes: [1], starts: [-1], ends: [-count - 1], steps: [-1] }, [from])
  return backwards(productBefore(b, backwards(x)))
}
