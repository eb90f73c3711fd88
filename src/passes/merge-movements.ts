import { GraphEditor } from '../graph/edit.ts'
import type { Op } from '../graph/ops.ts'
import type { Node } from '../graph/types.ts'
import { onlyReader, requiresFloat, rewriteAll } from './match.ts'
import type { Pass } from './pass.ts'

/** Reshape after Reshape and Transpose after Transpose become one. */
export const mergeMovements: Pass = {
  name: 'merge-movements',
  requires: requiresFloat,
  run(graph) {
    const editor = new GraphEditor(graph)
    const changed = rewriteAll(editor, (node) => merge(editor, node))
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [] }
  },
}

function merge(editor: GraphEditor, second: Node): boolean {
  if (second.op.kind !== 'Reshape' && second.op.kind !== 'Transpose') return false
  const between = second.inputs[0]!
  const first = editor.producer(between)
  if (!first || onlyReader(editor, between) !== second) return false
  const op = merged(first.op, second.op)
  if (!op) return false
  editor.removeNode(first)
  editor.updateNode(second, { op, inputs: [first.inputs[0]!] })
  return true
}

function merged(first: Op, second: Op): Op | null {
  if (first.kind === 'Reshape' && second.kind === 'Reshape') return second
  if (first.kind === 'Transpose' && second.kind === 'Transpose')
    return { kind: 'Transpose', perm: second.perm.map((axis) => first.perm[axis]!) }
  return null
}
