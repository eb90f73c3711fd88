import { inferTypes } from '../../../src/graph/infer.ts'
import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
import { add, put } from '../../litert/lower/build.ts'
import { changed, declined, type Rewrite } from './rewrite.ts'

/** SPLIT takes equal parts only; SPLIT_V is not in the table. */
export const splitToSlices: Rewrite = {
  name: 'split-to-slices',
  sentence: 'A split into unequal parts becomes slices.',
  needs: null,
  apply(editor, node) {
    const { op } = node
    if (op.kind !== 'Split' || new Set(op.sizes).size === 1) return null
    const x = node.inputs[0]!
    editor.removeNode(node)
    let start = 0
    for (const [i, size] of op.sizes.entries()) {
      const output = node.outputs[i]!
      const slice: Op = { kind: 'Slice', axes: [op.axis], starts: [start], ends: [start + size], steps: [1] }
      editor.retype(output, inferTypes(slice, [editor.value(x)], 1, node.name)[0]!)
      replaceNode(editor, node, i, slice, x, output)
      start += size
    }
    return changed
  },
}

/** Every n-th place is a max pool of 1×1 with stride n: integers pass as they are. */
export const stridedSliceToPool: Rewrite = {
  name: 'strided-slice-to-pool',
  sentence: 'A slice with strides over height and width becomes a 1×1 max pool with these strides.',
  needs: null,
  apply(editor, node) {
    const { op } = node
    if (op.kind !== 'Slice' || op.steps.every((step) => step === 1)) return null
    const { shape } = editor.type(node.inputs[0]!)
    if (shape.length !== 4) return declined(`it is over ${shape.length} dimensions`)
    const strided = op.axes.filter((_, i) => op.steps[i] !== 1)
    if (strided.some((axis) => axis !== 1 && axis !== 2))
      return declined('its strides are over the batch or the channels')
    if (op.steps.some((step) => step < 1)) return declined('it runs backwards')
    const plain: Op = { ...op, steps: op.steps.map(() => 1) }
    const whole = op.axes.every((axis, i) => op.starts[i] === 0 && op.ends[i]! >= shape[axis]!)
    const cut = whole ? node.inputs[0]! : add(editor, node, plain, [node.inputs[0]!], 'cut')
    const strides = [1, 2].map((axis) => op.steps[op.axes.indexOf(axis)] ?? 1)
    put(
      editor,
      node,
      {
        kind: 'MaxPool',
        kernel: [1, 1],
        strides,
        dilations: [1, 1],
        padsBegin: [0, 0],
        padsEnd: [0, 0],
        ceilMode: false,
        layout: 'channels-last',
      },
      [cut],
    )
    return changed
  },
}

function replaceNode(editor: GraphEditor, node: Node, part: number, op: Op, x: string, output: string): void {
  const type = editor.type(output)
  const name = editor.freshName(`${output}_part`)
  editor.addNode({
    name: `${node.name}_part${part}`,
    op,
    inputs: [x],
    outputs: [{ name, type }],
    source: node.source,
  })
  const added = editor.producer(name)!
  // the part keeps the name that readers and graph outputs know
  editor.updateNode(added, { outputs: [output] })
}
