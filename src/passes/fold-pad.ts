import { GraphEditor } from '../graph/edit.ts'
import type { Op } from '../graph/ops.ts'
import type { Node } from '../graph/types.ts'
import { onlyReader, requiresFloat, rewriteAll } from './match.ts'
import type { Pass, PassNote } from './pass.ts'

/** Zero padding moves into the convolution or average pool that reads it. */
export const foldPad: Pass = {
  name: 'fold-pad',
  requires: requiresFloat,
  run(graph) {
    const editor = new GraphEditor(graph)
    const notes = new Map<string, Omit<PassNote, 'pass'>>()
    const changed = rewriteAll(editor, (node) => {
      if (node.op.kind !== 'Pad') return false
      const refusal = fold(editor, node, node.op)
      if (refusal !== null) notes.set(node.name, { where: node.name, reason: `kept: ${refusal}` })
      return refusal === null
    })
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [...notes.values()] }
  },
}

function fold(
  editor: GraphEditor,
  pad: Node,
  { mode, value, padsBegin, padsEnd }: Extract<Op, { kind: 'Pad' }>,
): string | null {
  if (mode !== 'constant' || value !== 0) return 'it does not pad with zeros'
  if ([...padsBegin, ...padsEnd].some((width) => width < 0)) return 'it crops'
  const reader = onlyReader(editor, pad.outputs[0]!)
  if (typeof reader === 'string') return reader
  const { op } = reader
  if (op.kind !== 'Conv' && op.kind !== 'AveragePool') return `${reader.name} takes no zero padding`
  if (reader.inputs[0] !== pad.outputs[0]) return 'it pads weights'
  const first = op.layout === 'channels-first' ? 2 : 1
  const spatial = op.padsBegin.length
  const outside = (widths: readonly number[]) =>
    widths.some((width, axis) => width > 0 && (axis < first || axis >= first + spatial))
  if (outside(padsBegin) || outside(padsEnd)) return 'it pads the batch or the channels'
  if (op.kind === 'AveragePool') {
    if (op.ceilMode) return `${reader.name} rounds its size up`
    const pads = [...op.padsBegin, ...op.padsEnd].some((width) => width > 0)
    if (pads && !op.countIncludePad) return `${reader.name} does not count its own padding`
  }
  const sum = (own: readonly number[], widths: readonly number[]) =>
    own.map((width, i) => width + widths[first + i]!)
  const padded = { padsBegin: sum(op.padsBegin, padsBegin), padsEnd: sum(op.padsEnd, padsEnd) }
  const next: Op =
    op.kind === 'AveragePool' ? { ...op, ...padded, countIncludePad: true } : { ...op, ...padded }
  editor.removeNode(pad)
  editor.updateNode(reader, { op: next, inputs: [pad.inputs[0]!, ...reader.inputs.slice(1)] })
  return null
}
