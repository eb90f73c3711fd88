import { readTable } from '../../../src/formats/onnx/ops-read/index.ts'
import type { CaseResult, Outcome } from './node-cases.ts'

/** The operators that Edgewright says it reads, by families, as the documentation lists them. */
export const claimedOperators: readonly string[] = [
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'BatchNormalization',
  'LayerNormalization',
  'InstanceNormalization',
  'Relu',
  'LeakyRelu',
  'PRelu',
  'Clip',
  'Sigmoid',
  'HardSigmoid',
  'HardSwish',
  'Tanh',
  'Elu',
  'Gelu',
  'Erf',
  'Softmax',
  'LogSoftmax',
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Pow',
  'Sqrt',
  'Exp',
  'Neg',
  'Abs',
  'Min',
  'Max',
  'Sum',
  'Mean',
  'Equal',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'And',
  'Or',
  'Xor',
  'Not',
  'Where',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'Concat',
  'Split',
  'Slice',
  'Gather',
  'Reshape',
  'Flatten',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
  'Expand',
  'Tile',
  'Pad',
  'Resize',
  'Upsample',
  'DepthToSpace',
  'SpaceToDepth',
  'ReduceMean',
  'ReduceSum',
  'ReduceMax',
  'ReduceMin',
  'ReduceProd',
  'ReduceL1',
  'ReduceL2',
  'ReduceLogSum',
  'ReduceLogSumExp',
  'ReduceSumSquare',
  'ArgMax',
  'ArgMin',
  'Cast',
  'Identity',
  'Dropout',
  'Constant',
  'ConstantOfShape',
  'Shape',
  'Size',
  'Range',
  'QuantizeLinear',
  'DequantizeLinear',
  'Ceil',
  'Cos',
  'Floor',
  'Log',
  'Reciprocal',
  'Round',
  'Sign',
  'Sin',
  'Softplus',
  'Softsign',
  'CastLike',
]

const columns: readonly Outcome[] = ['passes', 'verbatim', 'refused', 'not run', 'runtime differs', 'wrong']

/** Of the float cases of the claimed operators, how many pass in our own operators. */
export function floatShare(results: readonly CaseResult[]): { passed: number; total: number } {
  const counted = results.filter(
    ({ operator, float }) => float && operator !== null && claimedOperators.includes(operator),
  )
  return { passed: counted.filter(({ outcome }) => outcome === 'passes').length, total: counted.length }
}

/** docs/onnx-operators.md: the same results give the same text. */
export function operatorTable(results: readonly CaseResult[]): string {
  const own = results.filter(({ operator }) => operator !== null && readTable.has(operator))
  const others = results.filter(({ operator }) => operator !== null && !readTable.has(operator))
  const several = results.filter(({ operator }) => operator === null)
  const { passed, total } = floatShare(results)
  return `# ONNX operators

Made by \`npm run docs:onnx\` from the ONNX project's own node tests: the cases of ONNX 1.12 (operator sets up to 17,
Debian's libonnx-testdata) and a subset of the same. Do not edit; a test compares it with what it measures.

Operator sets 7 to 21 are read. A case of an older set is read as set 7 where the operator has not changed in between.
Where a case passes a shape, axes, bounds or a scale as an input of the graph, it is bound to a constant first.
Every case is read, written again by Edgewright's own writer, run with onnxruntime-node and compared with the ONNX
project's expected output (relative 1e-3, absolute 1e-7; integers exactly).

| outcome | meaning | cases |
|---|---|---|
| passes | in Edgewright's own operators, right numbers | ${count(results, 'passes')} |
| verbatim | carried as it is, in float, right numbers; legal on targets that run ONNX (random operators: shape and type only) | ${count(results, 'verbatim')} |
| refused | the reader or writer says no, by name | ${count(results, 'refused')} |
| not run | read and written, but this version of ONNX Runtime runs neither the original nor what was written | ${count(results, 'not run')} |
| runtime differs | ONNX Runtime's numbers differ from the ONNX project's for the original, and are the same for what was written | ${count(results, 'runtime differs')} |
| wrong | another number, or what was written does not run | ${count(results, 'wrong')} |

Of the ${total} float cases of the operators that Edgewright claims to read, ${passed} pass (${((100 * passed) / total).toFixed(1)} %).

## Operators that are read

${table(own)}

No case of its own in these tests, covered by differential tests against onnxruntime-node: ${uncovered(own)}.

## Operators that are carried verbatim

${table(others)}

## Cases of several operators

${table(several.map((result) => ({ ...result, operator: 'several operators' })))}

## Cases that do not pass

${failures(results)}
`
}

function table(results: readonly CaseResult[]): string {
  const rows = [...byOperator(results)].sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = rows.map(
    ([operator, cases]) =>
      `| ${operator} | ${cases.length} | ${columns.map((outcome) => count(cases, outcome) || '').join(' | ')} |`,
  )
  return [
    `| operator | cases | ${columns.join(' | ')} |`,
    `|---|---|${columns.map(() => '---').join('|')}|`,
    ...lines,
  ].join('\n')
}

function byOperator(results: readonly CaseResult[]): Map<string, CaseResult[]> {
  const groups = new Map<string, CaseResult[]>()
  for (const result of results)
    groups.set(result.operator!, [...(groups.get(result.operator!) ?? []), result])
  return groups
}

function count(results: readonly CaseResult[], outcome: Outcome): number {
  return results.filter((result) => result.outcome === outcome).length
}

function uncovered(own: readonly CaseResult[]): string {
  const covered = new Set(own.map(({ operator }) => operator))
  return [...readTable.keys()]
    .filter((operator) => !covered.has(operator))
    .sort()
    .join(', ')
}

function failures(results: readonly CaseResult[]): string {
  return results
    .filter(({ outcome }) => outcome !== 'passes' && outcome !== 'verbatim')
    .map(
      ({ name, outcome, reason }) => `- \`${name}\`: ${outcome}${outcome === 'refused' ? `: ${reason}` : ''}`,
    )
    .join('\n')
}
