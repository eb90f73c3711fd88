import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Node } from '../../../src/graph/types.ts'
import { onlyReader } from '../../../src/passes/match.ts'
import { add, put } from '../../litert/lower/build.ts'
import { changed, declined, type Outcome, type Rewrite } from './rewrite.ts'

/** A channel shuffle is a Reshape to five dimensions, a Transpose and a Reshape back; four say the same. */
export const mergeTransposedAxes: Rewrite = {
  name: 'merge-transposed-axes',
  sentence: 'Axes that a Transpose between two Reshapes keeps side by side become one axis.',
  needs: null,
  apply(editor, node) {
    if (node.op.kind !== 'Transpose') return null
    const { shape } = editor.type(node.inputs[0]!)
    if (!isDeep(shape)) return null
    return merge(editor, node, node.op.perm, shape)
  },
}

function merge(editor: GraphEditor, node: Node, perm: readonly number[], shape: readonly number[]): Outcome {
  const before = editor.producer(node.inputs[0]!)
  const after = onlyReader(editor, node.outputs[0]!)
  if (before?.op.kind !== 'Reshape' || onlyReader(editor, node.inputs[0]!) !== node)
    return declined('no Reshape of its own is before it')
  if (typeof after === 'string' || after.op.kind !== 'Reshape')
    return declined('no Reshape of its own is behind it')
  // runs of axes that follow one another before and after, places of size 1 aside
  const wide = perm.filter((axis) => shape[axis]! > 1)
  const runs: number[][] = []
  const next = (axis: number) => shape.findIndex((size, other) => other > axis && size > 1)
  for (const axis of wide) {
    const last = runs.at(-1)
    if (last && next(last.at(-1)!) === axis) last.push(axis)
    else runs.push([axis])
  }
  const size = (run: readonly number[]) => run.reduce((count, axis) => count * shape[axis]!, 1)
  const inPlace = [...runs].sort((a, b) => a[0]! - b[0]!)
  // a leading 1 stands for the batch
  const merged = [1, ...inPlace.map(size)]
  if (isDeep(merged)) return declined(`${runs.length} axes change places`)
  const order = [0, ...runs.map((run) => 1 + inPlace.indexOf(run))]
  const flat = add(editor, node, { kind: 'Reshape', shape: merged }, [before.inputs[0]!], 'merged')
  const turned = add(editor, node, { kind: 'Transpose', perm: order }, [flat], 'turned')
  put(editor, after, after.op, [turned])
  editor.removeNode(node)
  editor.removeNode(before)
  return changed
}

function isDeep(shape: readonly number[]): boolean {
  return shape.slice(0, -3).some((size) => size > 1)
}
