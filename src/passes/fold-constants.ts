import type { Evaluator } from '../execute/evaluator.ts'
import { constantOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Graph, Node } from '../graph/types.ts'
import { byteLength, bytesOf, type Tensor, viewAs } from '../tensor.ts'
import type { Pass } from './pass.ts'

/** A folded constant may be larger than what it is made of, but not by more than this. */
const growthLimitBytes = 16 << 20

/** Computes what depends on constants only, in one run of `makeEvaluator`'s runtime. */
export function foldConstants(makeEvaluator: (graph: Graph) => Promise<Evaluator>): Pass {
  return {
    name: 'fold-constants',
    async run(graph) {
      const { foldable, notes } = constantNodes(graph)
      const wanted = frontier(graph, foldable)
      if (wanted.length === 0) return { graph, changed: 0, notes }
      const results = await evaluate(graph, foldable, wanted, makeEvaluator)
      const editor = new GraphEditor(graph)
      for (const node of foldable) editor.removeNode(node)
      for (const name of wanted) {
        const { dtype, shape, data } = results.get(name)!
        // a copy: the runtime's buffer ends with the run
        const bytes = bytesOf(data).slice()
        const constant = editor.addConstant(`${name}_folded`, constantOf(dtype, shape, viewAs(dtype, bytes)))
        editor.redirect(name, constant)
      }
      return { graph: editor.finish(), changed: foldable.size, notes }
    },
  }
}

function constantNodes(graph: Graph) {
  const foldable = new Set<Node>()
  const notes: { where: string; reason: string }[] = []
  const known = new Map<string, number>()
  for (const value of graph.values.values())
    if (value.constant) known.set(value.name, value.constant.byteLength)
  const outputs = new Set(graph.outputs)
  for (const node of graph.nodes) {
    const operands = node.inputs.filter((input): input is string => input !== null)
    if (!operands.every((input) => known.has(input))) continue
    const types = node.outputs.map((output) => graph.values.get(output)!.type)
    if (
      node.op.kind === 'Opaque' ||
      node.op.kind === 'Convert' ||
      types.some((type) => type.dtype === 'string')
    ) {
      if (node.op.kind === 'Opaque')
        notes.push({
          where: node.name,
          reason: 'kept: an operator that is not known may not be a function of its operands',
        })
      continue
    }
    if (node.outputs.some((output) => outputs.has(output))) {
      notes.push({ where: node.name, reason: 'kept: it gives an output of the graph' })
      continue
    }
    const bytes = types.reduce((sum, type) => sum + byteLength(type.dtype, type.shape), 0)
    const from = operands.reduce((sum, input) => sum + known.get(input)!, 0)
    if (bytes > from + growthLimitBytes) {
      notes.push({ where: node.name, reason: `kept: ${bytes} bytes would take the place of ${from}` })
      continue
    }
    foldable.add(node)
    for (const [i, output] of node.outputs.entries())
      known.set(output, byteLength(types[i]!.dtype, types[i]!.shape))
  }
  return { foldable, notes }
}

/** Values that foldable nodes make and others read. */
function frontier(graph: Graph, foldable: ReadonlySet<Node>): string[] {
  const made = new Set([...foldable].flatMap((node) => node.outputs))
  const wanted = new Set<string>()
  for (const node of graph.nodes) {
    if (foldable.has(node)) continue
    const captures = node.op.kind === 'Opaque' ? node.op.captures : []
    for (const name of [...node.inputs, ...captures]) if (name !== null && made.has(name)) wanted.add(name)
  }
  return [...wanted]
}

async function evaluate(
  graph: Graph,
  foldable: ReadonlySet<Node>,
  wanted: readonly string[],
  makeEvaluator: (graph: Graph) => Promise<Evaluator>,
): Promise<Map<string, Tensor>> {
  const editor = new GraphEditor({ ...graph, inputs: [], outputs: wanted, nodes: [...foldable] })
  const evaluator = await makeEvaluator(editor.finish())
  try {
    return await evaluator.run(new Map(), wanted)
  } finally {
    await evaluator.close()
  }
}
