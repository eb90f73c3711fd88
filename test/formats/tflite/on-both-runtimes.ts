import { createLitertEvaluator } from '../../../src/execute/litert.ts'
import { readTflite } from '../../../src/formats/tflite/read.ts'
import { writeTflite } from '../../../src/formats/tflite/write.ts'
import { EdgewrightError } from '../../../src/error.ts'
import { tensorOf } from '../../../src/graph/constant.ts'
import type { Op, OpKind } from '../../../src/graph/ops.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { bytesOf } from '../../../src/tensor.ts'
import { constantFor, type Given, oneOp, runGraph } from '../../graph/one-op.ts'
import { first, type OperatorCase, operatorCases, windows } from '../../graph/operator-cases.ts'

const image: Given = { shape: [2, 6, 9, 7] }
const positive: Given = { shape: [2, 3, 4], numbers: Array.from({ length: 24 }, (_, i) => 0.25 + i / 8) }
const signed: Given = { shape: [2, 3, 4] }
const pool = { kernel: [3, 2], ceilMode: false, ...first } as const
const truths = (...numbers: number[]): Given => ({ dtype: 'bool', shape: [numbers.length], numbers })

/** Each kind of operator, and the ways in which its form differs from the file's. */
export const writtenCases: readonly OperatorCase[] = [
  ...operatorCases,
  ...(
    ['Abs', 'Ceil', 'Cos', 'Exp', 'Floor', 'Neg', 'Round', 'Sign', 'Sin', 'Softplus', 'Softsign'] as const
  ).map((fn): OperatorCase => [{ kind: 'Unary', fn }, [signed], null]),
  ...(['Log', 'Reciprocal', 'Sqrt'] as const).map(
    (fn): OperatorCase => [{ kind: 'Unary', fn }, [positive], null],
  ),
  [{ kind: 'Unary', fn: 'Not' }, [truths(1, 0)], null],
  ...(['Add', 'Mul', 'Div', 'Min', 'Max'] as const).map(
    (fn): OperatorCase => [{ kind: 'Binary', fn }, [signed, { shape: [3, 1], numbers: [0.5, -2, 3] }], null],
  ),
  ...(['Equal', 'Greater', 'GreaterOrEqual', 'Less'] as const).map(
    (fn): OperatorCase => [{ kind: 'Comparison', fn }, [signed, signed], null],
  ),
  ...(['And', 'Or', 'Xor'] as const).map(
    (fn): OperatorCase => [{ kind: 'Comparison', fn }, [truths(1, 0, 1, 0), truths(1, 1, 0, 0)], null],
  ),
  ...(['Max', 'Min', 'Prod', 'L1', 'L2', 'LogSum', 'LogSumExp', 'SumSquare'] as const).flatMap(
    (fn): OperatorCase[] => [
      [{ kind: 'Reduce', fn, axes: [1], keepDims: true }, [positive], null],
      [{ kind: 'Reduce', fn, axes: [0, 2], keepDims: false }, [positive], null],
    ],
  ),
  [{ kind: 'MaxPool', ...pool, ...windows([2, 2], [1, 1], [1, 0], [1, 1]) }, [image], null],
  [{ kind: 'MaxPool', ...pool, ceilMode: true, ...windows([2, 3], [1, 1], [0, 0], [0, 0]) }, [image], null],
  [
    { kind: 'AveragePool', ...pool, countIncludePad: false, ...windows([1, 1], [1, 1], [1, 0], [1, 1]) },
    [image],
    null,
  ],
  [
    { kind: 'AveragePool', ...pool, countIncludePad: true, ...windows([2, 1], [1, 1], [1, 1], [1, 1]) },
    [image],
    null,
  ],
  [
    { kind: 'AveragePool', ...pool, countIncludePad: false, ...windows([2, 1], [1, 1], [0, 0], [0, 0]) },
    [image],
    null,
  ],
  [
    {
      kind: 'ConvTranspose',
      group: 1,
      outputPadding: [1, 1],
      ...first,
      ...windows([2, 2], [1, 1], [1, 1], [1, 1]),
    },
    [image, { shape: [6, 4, 3, 3] }, { shape: [4] }],
    null,
  ],
  [
    {
      kind: 'ConvTranspose',
      group: 1,
      outputPadding: [0, 0],
      ...first,
      ...windows([2, 2], [1, 1], [0, 0], [0, 0]),
    },
    [image, { shape: [6, 4, 2, 2] }],
    null,
  ],
  [
    { kind: 'ConvTranspose', group: 1, outputPadding: [0], ...first, ...windows([2], [1], [2], [1]) },
    [{ shape: [1, 4, 5] }, { shape: [4, 3, 4] }],
    null,
  ],
  [
    { kind: 'Conv', group: 6, ...first, ...windows([1, 1], [2, 2], [2, 2], [2, 2]) },
    [image, { shape: [12, 1, 3, 3] }, { shape: [12] }],
    null,
  ],
  [{ kind: 'Clip', min: 0, max: 6 }, [signed], null],
  [{ kind: 'Clip', min: -0.25, max: 0.5 }, [signed], null],
  [{ kind: 'Elu', alpha: 1 }, [signed], null],
  [{ kind: 'Gelu', approximate: 'none' }, [signed], null],
  [
    { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false },
    [{ shape: [2, 3] }, { shape: [3, 4] }, { shape: [1, 4] }],
    null,
  ],
  [{ kind: 'DepthToSpace', blockSize: 2, mode: 'DCR', ...first }, [{ shape: [1, 8, 2, 3] }], null],
]

export interface Written {
  readonly operator: string
  readonly outcome: 'same' | 'different' | 'refused'
  readonly difference: number
  /** Why it is refused. */
  readonly reason: string
}

const withWeights: ReadonlySet<OpKind> = new Set<OpKind>([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'BatchNormalization',
  'LayerNormalization',
  'InstanceNormalization',
  'PRelu',
])

/** An operator written for LiteRT and run there, beside what ONNX Runtime makes of it. */
export async function writeAndCompare([
  op,
  operands,
  ,
  outputCount,
  declared,
]: OperatorCase): Promise<Written> {
  const given = operands.map((operand, i) =>
    operand && i > 0 && withWeights.has(op.kind) ? { ...operand, constant: true } : operand,
  )
  const graph = oneOp(op, given, outputCount, declared)
  const feeds = Object.fromEntries(graph.inputs.map((name) => [name, given[Number(name.slice(2))]!]))
  const operator = describe(op)
  let bytes: Uint8Array
  try {
    bytes = writeTflite(convertLayout(graph, 'channels-last'))
  } catch (error) {
    if (!(error instanceof EdgewrightError) || error.code !== 'OPERATOR_UNSUPPORTED') throw error
    return { operator, outcome: 'refused', difference: 0, reason: error.message }
  }
  const [expected, evaluator] = [await runGraph(graph, feeds), await createLitertEvaluator(bytes)]
  const actual = await evaluator.run(
    new Map(graph.inputs.map((name) => [name, tensorOf(constantFor(feeds[name]!))])),
  )
  await evaluator.close()
  const again = await runAgain(bytes, graph.inputs, feeds)
  let difference = 0
  for (const name of graph.outputs) {
    const [left, right] = [actual.get(name)!, expected[name]!]
    if (left.shape.join() !== right.shape.join() || left.dtype !== right.dtype)
      throw new Error(`${operator}: ${left.dtype}[${left.shape}] for ${right.dtype}[${right.shape}]`)
    // read and written once more, the file must mean the same
    if (Buffer.compare(bytesOf(left.data), bytesOf(again.get(name)!.data)) !== 0) difference = Infinity
    const most = Math.max(1e-3, ...right.numbers.map((number) => Math.abs(Number(number))))
    for (const [i, number] of right.numbers.entries()) {
      const apart = Math.abs(Number(left.data[i]) - Number(number))
      if (!(apart === 0)) difference = Math.max(difference, Number.isNaN(apart) ? Infinity : apart / most)
    }
  }
  return { operator, outcome: difference <= 1e-5 ? 'same' : 'different', difference, reason: '' }
}

async function runAgain(bytes: Uint8Array, inputs: readonly string[], feeds: Record<string, Given>) {
  const [graph] = (await readTflite({ bytes })).graphs.values()
  const evaluator = await createLitertEvaluator(writeTflite(graph!))
  const results = await evaluator.run(
    new Map(inputs.map((name) => [name, tensorOf(constantFor(feeds[name]!))])),
  )
  await evaluator.close()
  return results
}

export function describe(op: Op): string {
  return 'fn' in op ? `${op.kind} ${op.fn}` : op.kind
}
