import { GraphEditor } from '../graph/edit.ts'
import type { Graph, Node } from '../graph/types.ts'

/**
 * Writers of model files keep equal constants once: the zero biases of several layers, a scale of ones that is a running
 * variance too. Trained, they part. Each role and each layer gets its own copy of such a constant, under a name after
 * the node; kernels stay shared, and so do the other constants of layers that share their kernel.
 * @returns the same graph where nothing is shared so
 */
export function unshareConstants(graph: Graph): Graph {
  const editor = new GraphEditor(graph)
  const owners = new Map<string, Map<string, string>>()
  let changed = false
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name, input) => {
      const role = name === null ? null : roleOf(node, input)
      if (name === null || role === null || graph.values.get(name)!.constant?.dtype !== 'float32') return name
      const known = owners.get(name) ?? new Map<string, string>()
      owners.set(name, known)
      const owner = role === 'kernel' ? role : `${role} of ${layerOf(editor, node)}`
      const own = known.get(owner) ?? (known.size === 0 ? name : copyFor(editor, name, node))
      known.set(owner, own)
      return own
    })
    if (inputs.every((name, input) => name === node.inputs[input])) continue
    editor.updateNode(node, { inputs })
    changed = true
  }
  return changed ? editor.finish() : graph
}

function roleOf({ op }: Node, input: number): string | null {
  switch (op.kind) {
    case 'Conv':
    case 'ConvTranspose':
    case 'Gemm':
      return input === 2 ? 'bias' : 'kernel'
    case 'MatMul':
      return 'kernel'
    case 'BatchNormalization':
      return [null, 'scale', 'shift', 'mean', 'variance'][input]!
    case 'LayerNormalization':
    case 'InstanceNormalization':
      return [null, 'scale', 'shift'][input]!
    case 'PRelu':
      return [null, 'slope'][input]!
    default:
      return null
  }
}

/** What a node shares with others when a whole layer is applied several times: its kernel, or that of the layer before. */
function layerOf(editor: GraphEditor, node: Node): string {
  const kernel = kernelOf(editor, node)
  if (kernel !== null) return kernel
  const before = node.inputs[0] ? editor.producer(node.inputs[0]) : null
  return (before && kernelOf(editor, before)) ?? node.name
}

function kernelOf(editor: GraphEditor, { op, inputs }: Node): string | null {
  if (op.kind !== 'Conv' && op.kind !== 'ConvTranspose' && op.kind !== 'Gemm' && op.kind !== 'MatMul')
    return null
  return inputs.find((name) => name !== null && editor.value(name).constant) ?? null
}

function copyFor(editor: GraphEditor, name: string, node: Node): string {
  return editor.addConstant(`${node.name}/${name}`, editor.value(name).constant!)
}
