import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Node } from '../../../src/graph/types.ts'
import { add, put } from '../../litert/lower/build.ts'
import { changed, declined, mostCopies, type Outcome, type Rewrite } from './rewrite.ts'

/** A single place resized is that place repeated; concatenation moves integers as they are. */
export const repeatOnePlace: Rewrite = {
  name: 'repeat-one-place',
  sentence: 'A resize from 1×1 becomes concatenations of the place with itself.',
  needs: null,
  apply(editor, node) {
    const { op } = node
    if (op.kind !== 'Resize' || op.layout !== 'channels-last') return null
    const { shape } = editor.type(node.inputs[0]!)
    if (shape.length !== 4 || shape[1] !== 1 || shape[2] !== 1) return null
    if (op.coordinateTransformation === 'tf_crop_and_resize')
      return declined('it crops, and may fill in another number')
    return repeat(
      editor,
      node,
      op.sizes.map((size, axis) => size / shape[axis]!),
    )
  },
}

/** Tile and Expand, which the table lacks. */
export const repeatByConcatenation: Rewrite = {
  name: 'repeat-by-concatenation',
  sentence: 'Tile and BROADCAST_TO become concatenations of a tensor with itself.',
  needs: null,
  apply(editor, node) {
    const { op } = node
    if (op.kind === 'Tile') return repeat(editor, node, op.repeats)
    if (op.kind !== 'Expand') return null
    const { shape } = editor.type(node.inputs[0]!)
    if (shape.length !== op.shape.length) return declined('it adds dimensions')
    return repeat(
      editor,
      node,
      op.shape.map((size, axis) => size / shape[axis]!),
    )
  },
}

function repeat(editor: GraphEditor, node: Node, repeats: readonly number[]): Outcome {
  const axes = repeats.flatMap((count, axis) => (count > 1 ? [{ axis, count }] : []))
  if (repeats[0]! > 1) return declined('it repeats along the batch')
  if (axes.some(({ count }) => !Number.isInteger(count) || count > mostCopies))
    return declined(`more than ${mostCopies} copies`)
  if (axes.length === 0) return declined('it repeats nothing')
  let current = node.inputs[0]!
  for (const [i, { axis, count }] of axes.entries()) {
    const copies = Array.from({ length: count }, () => current)
    if (i === axes.length - 1) put(editor, node, { kind: 'Concat', axis }, copies)
    else current = add(editor, node, { kind: 'Concat', axis }, copies, `axis${axis}`)
  }
  return changed
}
