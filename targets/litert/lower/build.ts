import { float32Constant } from '../../../src/graph/constant.ts'
import type { GraphEditor } from '../../../src/graph/edit.ts'
import { inferTypes } from '../../../src/graph/infer.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'

/** Adds an operator that a rewrite of `node` needs and returns its result; the type is inferred. */
export function add(
  editor: GraphEditor,
  node: Node,
  op: Op,
  inputs: readonly (string | null)[],
  suffix: string,
): string {
  const operands = inputs.map((input) => (input === null ? null : editor.value(input)))
  const [type] = inferTypes(op, operands, 1, node.name)
  const name = editor.freshName(`${node.outputs[0]}_${suffix}`)
  editor.addNode({
    name: `${node.name}_${suffix}`,
    op,
    inputs,
    outputs: [{ name, type: type! }],
    source: node.source,
  })
  return name
}

/** Puts an operator in the node's place, under its name and with its output. */
export function put(editor: GraphEditor, node: Node, op: Op, inputs: readonly (string | null)[]): true {
  editor.updateNode(node, { op, inputs })
  return true
}

/** A float32 scalar that every operator broadcasts. */
export function scalar(editor: GraphEditor, node: Node, value: number, suffix: string): string {
  return editor.addConstant(`${node.outputs[0]}_${suffix}`, float32Constant([1], [value]))
}

export function binary(fn: 'Add' | 'Sub' | 'Mul' | 'Div' | 'Min' | 'Max' | 'Pow'): Op {
  return { kind: 'Binary', fn }
}
