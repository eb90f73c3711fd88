import type { Graph, Node } from '../../graph/types.ts'

/** Operators that runtimes execute as one: a convolution with the activation behind it. */
export interface Unit {
  /** Of its first operator. */
  readonly name: string
  /** In the words of the model's file: `Conv + Relu`. */
  readonly operator: string
  readonly nodes: readonly Node[]
  /** All values that it makes, the last one as its result. */
  readonly values: readonly string[]
}

const clips = new Set(['Relu', 'Clip'])

/** Every operator of a float graph in one unit, in their order: a Relu or Clip that alone reads a result goes with its producer. */
export function unitsOf(graph: Graph): Unit[] {
  const readers = new Map<string, number>()
  for (const { inputs } of graph.nodes)
    for (const name of inputs) if (name !== null) readers.set(name, (readers.get(name) ?? 0) + 1)
  const groups: Node[][] = []
  const groupOf = new Map<string, Node[]>()
  for (const node of graph.nodes) {
    const from = node.inputs[0]
    const joined =
      clips.has(node.op.kind) && from && readers.get(from) === 1 && !graph.outputs.includes(from)
        ? groupOf.get(from)
        : undefined
    const group = joined ?? []
    if (!joined) groups.push(group)
    group.push(node)
    for (const output of node.outputs) groupOf.set(output, group)
  }
  return groups.map((nodes) => ({
    name: nodes[0]!.name || nodes[0]!.outputs[0]!,
    operator: nodes.map(({ op, source }) => source?.opType ?? op.kind).join(' + '),
    nodes,
    values: nodes.flatMap(({ outputs }) => outputs),
  }))
}

/** What of a unit's shape keeps int8 from paying there; null where nothing does. */
export function shapeNote({ nodes }: Unit, graph: Graph): string | null {
  const { op, inputs } = nodes[0]!
  const weights = inputs[1] ? graph.values.get(inputs[1])?.constant : null
  if (!weights || (op.kind !== 'Conv' && op.kind !== 'Gemm')) return null
  const channels = op.kind === 'Gemm' && !op.transB ? weights.shape[0]! : weights.shape[1]!
  if (op.kind === 'Conv' && op.group > 1 && channels === 1)
    return 'a depthwise convolution has no products to sum over channels, which is what int8 instructions are for'
  if (channels < 4)
    return `its ${channels === 1 ? 'single input channel fills' : `${channels} input channels fill`} no int8 instruction, which sums four products at a time`
  const outputs = op.kind === 'Gemm' && !op.transB ? weights.shape[1]! : weights.shape[0]!
  const work = channels * outputs * weights.shape.slice(2).reduce((a, b) => a * b, 1)
  return op.kind === 'Gemm' && work < 4096 ? 'it is too small for its set-up to pay' : null
}

/** What a kernel of a runtime does for the network. */
export type KernelOf =
  | { readonly kind: 'unit'; readonly unit: Unit }
  /** Between integers and reals, or between two scales. */
  | { readonly kind: 'conversion' }
  /** The runtime's own: transposes between layouts, reorders. */
  | { readonly kind: 'runtime' }

/**
 * Finds whose work a kernel of ONNX Runtime does, by its name: that of an operator, or of a value that it makes, with
 * what ONNX Runtime's optimizer hangs on (`fused …`, `…_nchwc`, `…_token_7`; seen in 1.30). `operator` tells a
 * conversion, whatever its name.
 */
export function kernelFinder(units: readonly Unit[]): (kernel: string, operator: string) => KernelOf {
  const byName = new Map<string, Unit>()
  for (const unit of units)
    for (const name of [
      ...unit.values,
      ...unit.nodes.flatMap((node) => [node.source?.name ?? '', node.name]),
    ])
      if (name !== '') byName.set(name, unit)
  return (kernel, operator) => {
    if (conversions.has(operator)) return { kind: 'conversion' }
    for (const name of spellings(kernel)) {
      const unit = byName.get(name)
      if (unit) return { kind: 'unit', unit }
    }
    return { kind: 'runtime' }
  }
}

const conversions = new Set(['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear'])

const decorations = [/_token_\d+$/, /_nchwc$/, /^fused /, /_quantized$/, /_float$/, /\/gemm$/, /_kernel$/]

/** The name itself, then with one decoration less at a time. */
function spellings(kernel: string): string[] {
  const names = [kernel]
  for (let at = 0; at < names.length && names.length < 32; at++)
    for (const decoration of decorations) {
      const bare = names[at]!.replace(decoration, '')
      if (bare !== names[at] && !names.includes(bare)) names.push(bare)
    }
  return names
}
