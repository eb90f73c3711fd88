import { float32Constant } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph } from '../../src/graph/types.ts'
import { isFusedClip } from './numerics.ts'

/** Real clips that no RELU stands for become MAXIMUM and MINIMUM with a number. */
export function spellClips(graph: Graph): Graph {
  const editor = new GraphEditor(graph)
  for (const node of graph.nodes) {
    const { op } = node
    const output = node.outputs[0]!
    const type = graph.values.get(output)?.type
    if (op.kind !== 'Clip' || isFusedClip(op) || type?.quantization || type?.dtype !== 'float32') continue
    const bound = (value: number, suffix: string) =>
      editor.addConstant(`${output}_${suffix}`, float32Constant([1], [value]))
    const below = Number.isFinite(op.min)
    const above = Number.isFinite(op.max)
    if (!below && !above) editor.updateNode(node, { op: { kind: 'Identity' } })
    else if (!(below && above))
      editor.updateNode(node, {
        op: { kind: 'Binary', fn: below ? 'Max' : 'Min' },
        inputs: [node.inputs[0]!, bound(below ? op.min : op.max, 'bound')],
      })
    else {
      const raised = editor.freshName(`${output}_raised`)
      editor.addNode({
        name: `${node.name}_raise`,
        op: { kind: 'Binary', fn: 'Max' },
        inputs: [node.inputs[0]!, bound(op.min, 'min')],
        outputs: [{ name: raised, type }],
        source: node.source,
      })
      editor.updateNode(node, { op: { kind: 'Binary', fn: 'Min' }, inputs: [raised, bound(op.max, 'max')] })
    }
  }
  return editor.finish()
}
