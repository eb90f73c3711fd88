import { float32Constant, numbersOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph, Node } from '../../src/graph/types.ts'

/**
 * The same function with two channels `times` as large after each normalization of a block, as checkpoints of large
 * transformers have them: scale and bias are multiplied there, the rows of what reads them divided.
 */
export function withOutlierChannels(graph: Graph, times: number): Graph {
  const editor = new GraphEditor(graph)
  const change = (node: Node, index: number, factor: (element: number) => number) => {
    const name = node.inputs[index]!
    const constant = editor.value(name).constant!
    const numbers = numbersOf(constant).map((x, element) => x * factor(element))
    const changed = editor.addConstant(`${name}_outliers`, float32Constant(constant.shape, numbers))
    return editor.updateNode(node, {
      inputs: node.inputs.map((input, position) => (position === index ? changed : input)),
    })
  }
  const norms = editor.nodes.filter(({ op }) => op.kind === 'LayerNormalization')
  for (const [position, norm] of norms.entries()) {
    const readers = editor.consumers(norm.outputs[0]!)
    if (!readers.every(({ op }) => op.kind === 'MatMul')) continue
    const width = editor.type(norm.outputs[0]!).shape.at(-1)!
    const chosen = [7 + 5 * position, 31 + 3 * position].map((channel) => channel % width)
    const factor = (channel: number) => (chosen.includes(channel) ? times : 1)
    change(change(norm, 1, factor), 2, factor)
    for (const reader of readers) {
      const columns = editor.type(reader.inputs[1]!).shape[1]!
      change(reader, 1, (element) => 1 / factor(Math.floor(element / columns)))
    }
  }
  return editor.finish()
}
