import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op, OpOf } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
import { onlyReader } from '../../../src/passes/match.ts'
import { put } from './build.ts'

/** Pools over all that there is become MEAN and REDUCE_MAX over the spatial axes: XNNPACK has no quantized average pool. */
export function lowerPool(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  switch (op.kind) {
    case 'GlobalAveragePool':
      return put(editor, node, reduce('Mean', editor, node, op.layout), node.inputs)
    case 'GlobalMaxPool':
      return put(editor, node, reduce('Max', editor, node, op.layout), node.inputs)
    case 'AveragePool':
      return (
        poolsEverything(editor, node, op) &&
        put(editor, node, reduce('Mean', editor, node, op.layout), node.inputs)
      )
    case 'Reshape':
      return dropKeptAxes(editor, node)
    default:
      return false
  }
}

function reduce(
  fn: 'Mean' | 'Max',
  editor: GraphEditor,
  node: Node,
  layout: 'channels-first' | 'channels-last',
): Op {
  const rank = editor.type(node.inputs[0]!).shape.length
  const first = layout === 'channels-first' ? 2 : 1
  return { kind: 'Reduce', fn, axes: Array.from({ length: rank - 2 }, (_, i) => first + i), keepDims: true }
}

function poolsEverything(editor: GraphEditor, node: Node, op: OpOf<'AveragePool'>): boolean {
  const { shape } = editor.type(node.inputs[0]!)
  const spatial = op.layout === 'channels-first' ? shape.slice(2) : shape.slice(1, -1)
  const padded = [...op.padsBegin, ...op.padsEnd].some((pad) => pad !== 0)
  const dilated = op.dilations.some((dilation) => dilation !== 1)
  return !padded && !dilated && op.kernel.every((size, i) => size === spatial[i])
}

/** A mean that keeps its axes, then a Reshape that drops them, is a mean that does not keep them. */
function dropKeptAxes(editor: GraphEditor, node: Node): boolean {
  const input = node.inputs[0]!
  const mean = editor.producer(input)
  if (mean?.op.kind !== 'Reduce' || !mean.op.keepDims || onlyReader(editor, input) !== node) return false
  const { axes } = mean.op
  const kept = editor.type(input).shape.filter((_, axis) => !axes.includes(axis))
  if (kept.join() !== editor.type(node.outputs[0]!).shape.join()) return false
  editor.removeNode(node)
  editor.updateNode(mean, { op: { ...mean.op, keepDims: false }, outputs: node.outputs })
  return true
}
