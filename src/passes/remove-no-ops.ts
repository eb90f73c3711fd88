import { isDeepStrictEqual } from 'node:util'
import { GraphEditor } from '../graph/edit.ts'
import type { Node } from '../graph/types.ts'
import { bypass, constantSide, perChannelNumbers, rewriteAll } from './match.ts'
import type { Pass, PassNote } from './pass.ts'

/** Operators whose result is their operand: Identity, a Cast or Reshape to the same, adding 0, multiplying by 1, … */
export const removeNoOps: Pass = {
  name: 'remove-no-ops',
  run(graph) {
    const editor = new GraphEditor(graph)
    const notes = new Map<string, Omit<PassNote, 'pass'>>()
    const changed = rewriteAll(editor, (node) => {
      const same = operandThatPasses(editor, node)
      if (same === null) return false
      const refusal = bypass(editor, node, same)
      if (refusal !== null) notes.set(node.name, { where: node.name, reason: `kept: ${refusal}` })
      return refusal === null
    })
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [...notes.values()] }
  },
}

/** The operand that equals the result, or null. */
function operandThatPasses(editor: GraphEditor, node: Node): string | null {
  const input = node.inputs[0]
  const output = node.outputs[0]
  if (!input || !output || node.outputs.length !== 1) return null
  const from = editor.type(input)
  const to = editor.type(output)
  const sameShape =
    from.shape.length === to.shape.length && from.shape.every((dimension, i) => dimension === to.shape[i])
  // a Reshape or Identity between two scales requantizes
  if (!isDeepStrictEqual(from.quantization, to.quantization)) return null
  const { op } = node
  switch (op.kind) {
    case 'Identity':
    case 'Reshape':
    case 'Expand':
    case 'Tile':
      return sameShape ? input : null
    case 'Cast':
      return from.dtype === to.dtype ? input : null
    case 'Transpose':
      return op.perm.every((axis, i) => axis === i) ? input : null
    case 'Pad':
      return sameShape && [...op.padsBegin, ...op.padsEnd].every((pad) => pad === 0) ? input : null
    case 'Slice':
      return sameShape && op.steps.every((step) => step > 0) ? input : null
    case 'Concat':
      return node.inputs.length === 1 ? input : null
    case 'Split':
      return sameShape ? input : null
    case 'Clip':
      return op.min === Number.NEGATIVE_INFINITY && op.max === Number.POSITIVE_INFINITY ? input : null
    case 'Binary': {
      const side = constantSide(editor, node)
      if (side?.constant.dtype !== 'float32') return null
      const neutral =
        op.fn === 'Add' || op.fn === 'Sub'
          ? 0
          : op.fn === 'Mul' || op.fn === 'Div' || op.fn === 'Pow'
            ? 1
            : null
      if (neutral === null || (side.index === 0 && op.fn !== 'Add' && op.fn !== 'Mul')) return null
      const { shape } = editor.type(side.other)
      // broadcasting must not make the operand larger
      if (shape.length !== to.shape.length || shape.some((dimension, i) => dimension !== to.shape[i]))
        return null
      const numbers = shape.length > 0 ? perChannelNumbers(side.constant, shape, shape.length - 1) : null
      return numbers?.every((x) => x === neutral) ? side.other : null
    }
    default:
      return null
  }
}
