import { GraphEditor } from '../graph/edit.ts'
import type { Graph, Node } from '../graph/types.ts'
import { learnedConstants, runningStatistics } from './trainable.ts'

/**
 * Writers of model files keep equal constants once: the zero biases of several layers, a scale of ones that is a running
 * variance too, or a number of a formula. Trained, they part: each role and each layer gets its own copy of what was
 * learned, under a name after the node. Kernels stay shared, and so do the other constants of layers that share theirs.
 * @returns the same graph where nothing is shared so
 */
export function unshareConstants(graph: Graph): Graph {
  const trained = new Set([...learnedConstants(graph).keys(), ...runningStatistics(graph)])
  const editor = new GraphEditor(graph)
  /** By constant, the name that each owner has it under. */
  const owners = new Map<string, Map<string, string>>()
  let changed = false
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name, input) => {
      if (name === null || !trained.has(name)) return name
      const names = owners.get(name) ?? new Map<string, string>()
      owners.set(name, names)
      const owner = ownerOf(editor, node, input)
      const own = names.get(owner) ?? (names.size === 0 ? name : copyFor(editor, name, node))
      names.set(owner, own)
      return own
    })
    if (inputs.every((name, input) => name === node.inputs[input])) continue
    editor.updateNode(node, { inputs })
    changed = true
  }
  return changed ? editor.finish() : graph
}

function ownerOf(editor: GraphEditor, node: Node, input: number): string {
  const role = roleOf(node, input)
  return role === 'kernel' || role === 'number' ? role : `${role} of ${layerOf(editor, node)}`
}

/** What a constant is to an operator: `kernel`, part of a layer beside its kernel, or a `number` that is not learned. */
function roleOf({ op }: Node, input: number): string {
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
    case 'Gemm':
      return input === 2 ? 'bias' : 'kernel'
    // a table of embeddings may be a kernel at the other end
    case 'Gather':
    case 'MatMul':
      return 'kernel'
    case 'BatchNormalization':
    case 'LayerNormalization':
    case 'InstanceNormalization':
      return ['number', 'scale', 'shift', 'mean', 'variance'][input]!
    case 'PRelu':
      return 'slope'
    case 'Binary':
      return op.fn === 'Add' || op.fn === 'Mul' ? op.fn : 'number'
    default:
      return 'number'
  }
}

/** What is the same where a layer is applied several times: its kernel, or that of the layer before. */
function layerOf(editor: GraphEditor, node: Node): string {
  const kernel = kernelOf(editor, node)
  if (kernel !== null) return kernel
  for (const name of node.inputs) {
    const before = name === null ? null : editor.producer(name)
    const its = before && kernelOf(editor, before)
    if (its) return its
  }
  return node.name
}

function kernelOf(editor: GraphEditor, node: Node): string | null {
  return (
    node.inputs.find(
      (name, input) => name !== null && roleOf(node, input) === 'kernel' && editor.value(name).constant,
    ) ?? null
  )
}

function copyFor(editor: GraphEditor, name: string, node: Node): string {
  return editor.addConstant(`${node.name}/${name}`, editor.value(name).constant!)
}
