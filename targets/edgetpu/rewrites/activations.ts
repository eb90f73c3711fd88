import { float32Constant } from '../../../src/graph/constant.ts'
import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Node } from '../../../src/graph/types.ts'
import { add, binary, put, scalar } from '../../litert/lower/build.ts'
import { changed, declined, type Rewrite } from './rewrite.ts'

/** x · relu6(x + 3) / 6: each step has a range of its own, so nothing of the narrow negative tail is lost. */
export const decomposeHardSwish: Rewrite = {
  name: 'decompose-hard-swish',
  sentence: 'A hard-swish becomes x · relu6(x + 3) / 6.',
  needs: null,
  apply(editor, node) {
    if (node.op.kind !== 'HardSwish') return null
    const x = node.inputs[0]!
    const shifted = add(editor, node, binary('Add'), [x, scalar(editor, node, 3, 'three')], 'shifted')
    const clipped = add(editor, node, { kind: 'Clip', min: 0, max: 6 }, [shifted], 'clipped')
    const gate = add(editor, node, binary('Mul'), [clipped, scalar(editor, node, 1 / 6, 'sixth')], 'gate')
    put(editor, node, binary('Mul'), [x, gate])
    return changed
  },
}

/** Coral maps PReLU with one slope a channel; its output keeps a scale of its own, which max(x, αx) would not. */
export const leakyReluToPrelu: Rewrite = {
  name: 'leaky-relu-to-prelu',
  sentence: 'A leaky ReLU becomes a PReLU with the same slope for all channels.',
  needs: null,
  apply(editor, node) {
    if (node.op.kind !== 'LeakyRelu') return null
    const { shape } = editor.type(node.inputs[0]!)
    if (shape.length < 2) return declined('its input has no channels')
    const slopes = new Float32Array(shape.at(-1)!).fill(node.op.alpha)
    const slopeShape = [...shape.slice(1, -1).map(() => 1), shape.at(-1)!]
    const constant = editor.addConstant(`${node.outputs[0]}_slope`, float32Constant(slopeShape, slopes))
    put(editor, node, { kind: 'PRelu' }, [node.inputs[0]!, constant])
    return changed
  },
}

/** Another function: only where the user allows it. */
export const replaceByRelu6: Rewrite = {
  name: 'replace-by-relu6',
  sentence: 'Hard-swish, swish, Gelu, Elu and leaky ReLU become ReLU6.',
  needs: 'relu6',
  apply(editor, node) {
    const x = smoothed(editor, node)
    if (x === null) return null
    put(editor, node, { kind: 'Clip', min: 0, max: 6 }, [x])
    return changed
  },
}

/** The operand of an activation that ReLU6 may stand for. */
function smoothed(editor: GraphEditor, node: Node): string | null {
  const { op } = node
  if (op.kind === 'HardSwish' || op.kind === 'Gelu' || op.kind === 'Elu' || op.kind === 'LeakyRelu')
    return node.inputs[0]!
  if (op.kind !== 'Binary' || op.fn !== 'Mul') return null
  const [a, b] = node.inputs as [string, string]
  const isSigmoidOf = (gate: string, x: string) => {
    const producer = editor.producer(gate)
    return producer?.op.kind === 'Sigmoid' && producer.inputs[0] === x
  }
  if (isSigmoidOf(b, a)) return a
  return isSigmoidOf(a, b) ? b : null
}
