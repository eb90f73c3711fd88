import type { ReadTable } from './table.ts'

export const matrix: ReadTable = {
  MatMul: (operator) => operator.produce({ kind: 'MatMul' }, [operator.input(0), operator.input(1)]),
  Gemm: (operator) => {
    const { attributes } = operator
    operator.produce(
      {
        kind: 'Gemm',
        alpha: attributes.float('alpha', 1),
        beta: attributes.float('beta', 1),
        transA: attributes.flag('transA'),
        transB: attributes.flag('transB'),
      },
      [operator.input(0), operator.input(1), operator.optional(2)],
    )
  },
}
