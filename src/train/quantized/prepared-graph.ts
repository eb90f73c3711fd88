import { float32Constant, numbersOf } from '../../graph/constant.ts'
import { GraphEditor } from '../../graph/edit.ts'
import type { Graph } from '../../graph/types.ts'
import { unshareConstants } from '../unshare-constants.ts'

/**
 * The same network as training wants it: every node has a name of its own, and what a Gemm multiplies its product by is in
 * its weights, since a target stores them so; layers that share a bias get their own.
 */
export function prepareForTraining(given: Graph): Graph {
  const graph = unshareConstants(given)
  const editor = new GraphEditor(graph)
  const names = new Set<string>()
  for (const node of graph.nodes) {
    let name = node.name
    for (let i = 1; name === '' || names.has(name); i++) name = `${node.name || node.op.kind}_${i}`
    names.add(name)
    const { op, inputs } = node
    const weights = op.kind === 'Gemm' && op.alpha !== 1 ? graph.values.get(inputs[1]!)!.constant : null
    if (op.kind === 'Gemm' && weights) {
      const scaled = float32Constant(
        weights.shape,
        numbersOf(weights).map((w) => w * op.alpha),
      )
      const made = editor.addConstant(editor.freshName(`${inputs[1]!}_scaled`), scaled)
      editor.updateNode(node, {
        name,
        op: { ...op, alpha: 1 },
        inputs: inputs.map((input, position) => (position === 1 ? made : input)),
      })
    } else if (name !== node.name) editor.updateNode(node, { name })
  }
  return editor.finish()
}
