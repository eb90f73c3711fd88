import type { GradientFamily } from '../gradient.ts'

export const matrixGradients: GradientFamily<'Gemm' | 'MatMul'> = {
  Gemm: (op, { b, inputs, gradients, wants }) => {
    const [x, y, c] = inputs as [string, string, (string | null)?]
    const dy = op.alpha === 1 ? gradients[0]! : b.mul(gradients[0]!, b.scalar(op.alpha))
    const gemm = (left: string, transA: boolean, right: string, transB: boolean) =>
      b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA, transB }, [left, right, null])
    return [
      wants(0) ? (op.transA ? gemm(y, op.transB, dy, true) : gemm(dy, false, y, !op.transB)) : null,
      wants(1) ? (op.transB ? gemm(dy, true, x, op.transA) : gemm(x, !op.transA, dy, false)) : null,
      c && wants(2)
        ? b.unbroadcast(op.beta === 1 ? gradients[0]! : b.mul(gradients[0]!, b.scalar(op.beta)), b.shape(c))
        : null,
    ]
  },
  MatMul: (_, { b, inputs, gradients, wants }) => {
    const [x, y] = inputs as [string, string]
    const dy = gradients[0]!
    return [
      wants(0) ? b.matMul(dy, b.transpose(y, [1, 0])) : null,
      wants(1) ? b.matMul(b.transpose(x, [1, 0]), dy) : null,
    ]
  },
}
