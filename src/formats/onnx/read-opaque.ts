import type { OnnxGraph, OnnxNode } from './proto.ts'

/** Outer names that an operator's subgraphs read, through any depth; their own names shadow outer ones. */
export function capturedNames(node: OnnxNode): string[] {
  const captured = new Set<string>()
  for (const graph of subgraphsOf(node)) for (const name of freeNames(graph)) captured.add(name)
  return [...captured]
}

export function subgraphsOf(node: OnnxNode): OnnxGraph[] {
  return node.attribute.flatMap((attribute) =>
    attribute.g ? [attribute.g, ...attribute.graphs] : attribute.graphs,
  )
}

function freeNames(graph: OnnxGraph): Set<string> {
  const own = new Set<string>([
    '',
    ...graph.input.map(({ name }) => name),
    ...graph.initializer.map(({ name }) => name),
  ])
  for (const tensor of graph.sparseInitializer) own.add(tensor.values?.name ?? '')
  for (const node of graph.node) for (const output of node.output) own.add(output)
  const free = new Set<string>()
  for (const node of graph.node)
    for (const name of [...node.input, ...capturedNames(node)]) if (!own.has(name)) free.add(name)
  for (const { name } of graph.output) if (!own.has(name)) free.add(name)
  return free
}

/** Operators of the standard whose result's shape depends on the data: only as good as the one input that was run. */
const dataDependent = new Set([
  'NonMaxSuppression',
  'NonZero',
  'Unique',
  'Compress',
  'Loop',
  'If',
  'Scan',
  'SequenceAt',
  'StringSplit',
  'ConcatFromSequence',
  'OptionalGetElement',
])
/** Operators whose shape is that of a constant operand, and depends on the data where it is computed. */
const shapedByOperand = new Set([
  'Reshape',
  'Expand',
  'Tile',
  'Pad',
  'Slice',
  'Resize',
  'Upsample',
  'Range',
  'ConstantOfShape',
  'TopK',
  'OneHot',
  'CenterCropPad',
  'Split',
  'Squeeze',
  'Unsqueeze',
  'Col2Im',
  'MaxUnpool',
])

/** Whether the shapes seen in one run may differ in the next. */
export function hasDataDependentShape(node: OnnxNode, isConstant: (name: string) => boolean): boolean {
  if (dataDependent.has(node.opType)) return true
  return (
    shapedByOperand.has(node.opType) &&
    !node.input.slice(shapeOperand(node.opType)).every((name) => name === '' || isConstant(name))
  )
}

function shapeOperand(opType: string): number {
  return opType === 'Range' || opType === 'ConstantOfShape' ? 0 : 1
}
