import type { GraphBuilder } from '../builder.ts'
import type { GradientFamily } from '../gradient.ts'

export const matrixGradients: GradientFamily<'Gemm' | 'MatMul'> = {
  Gemm: (op, { b, inputs, gradients, wants }) => {
    const [x, y, c] = inputs as [string, string, (string | null)?]
    const dy = gradients[0]!
    const { alpha, beta } = op
    const gemm = (left: string, transA: boolean, right: string, transB: boolean) =>
      b.op({ kind: 'Gemm', alpha, beta: 1, transA, transB }, [left, right, null])
    return [
      wants(0) ? (op.transA ? gemm(y, op.transB, dy, true) : gemm(dy, false, y, !op.transB)) : null,
      wants(1) ? (op.transB ? gemm(dy, true, x, op.transA) : gemm(x, !op.transA, dy, false)) : null,
      c && wants(2) ? b.unbroadcast(beta === 1 ? dy : b.mul(dy, b.scalar(beta)), b.shape(c)) : null,
    ]
  },
  MatMul: (_, { b, inputs, gradients, wants }) => {
    const [x, y] = inputs as [string, string]
    // vectors as matrices, whose extra axis the product has too
    const left = b.shape(x).length === 1 ? b.reshape(x, [1, ...b.shape(x)]) : x
    const right = b.shape(y).length === 1 ? b.reshape(y, [...b.shape(y), 1]) : y
    const dy = b.reshape(gradients[0]!, productShape(b, left, right))
    return [
      wants(0) ? b.reshape(b.unbroadcast(b.matMul(dy, turned(b, right)), b.shape(left)), b.shape(x)) : null,
      wants(1) ? b.reshape(rightGradient(b, left, right, dy), b.shape(y)) : null,
    ]
  },
}

/** A matrix that all rows of a batch meet is one product over all of them, not a sum of many. */
function rightGradient(b: GraphBuilder, left: string, right: string, dy: string): string {
  const [from, to] = b.shape(right).slice(-2) as [number, number]
  if (b.shape(right).length > 2) return b.unbroadcast(b.matMul(turned(b, left), dy), b.shape(right))
  const rows = b
    .shape(left)
    .slice(0, -1)
    .reduce((product, size) => product * size, 1)
  return b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA: true, transB: false }, [
    b.reshape(left, [rows, from]),
    b.reshape(dy, [rows, to]),
    null,
  ])
}

function turned(b: GraphBuilder, x: string): string {
  const rank = b.shape(x).length
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  return b.transpose(x, [...axes.slice(0, -2), rank - 1, rank - 2])
}

function productShape(b: GraphBuilder, left: string, right: string): number[] {
  const [outerLeft, outerRight] = [b.shape(left).slice(0, -2), b.shape(right).slice(0, -2)]
  const rank = Math.max(outerLeft.length, outerRight.length)
  const at = (outer: readonly number[], axis: number) => outer[axis - (rank - outer.length)] ?? 1
  const outer = Array.from({ length: rank }, (_, axis) => Math.max(at(outerLeft, axis), at(outerRight, axis)))
  return [...outer, b.shape(left).at(-2)!, b.shape(right).at(-1)!]
}
