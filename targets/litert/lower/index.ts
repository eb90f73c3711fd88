import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph, Node } from '../../../src/graph/types.ts'
import { recognizeGelu } from '../../../src/passes/gelu.ts'
import { rewriteAll } from '../../../src/passes/match.ts'
import { lowerActivation } from './activations.ts'
import { lowerLinear } from './linear.ts'
import { lowerNormalization } from './normalization.ts'
import { explicitPadding } from './padding.ts'
import { lowerPool } from './pools.ts'
import { lowerReduction } from './reductions.ts'

/** Rewrites one node into what TensorFlow Lite has; false where it leaves it. */
export type Lowering = (editor: GraphEditor, node: Node) => boolean

const lowerings: readonly Lowering[] = [
  lowerNormalization,
  lowerActivation,
  lowerReduction,
  lowerPool,
  lowerLinear,
  explicitPadding,
]

/**
 * The same function in the operators that `.tflite` files have, in the form that XNNPACK takes: a channels-last graph
 * with 2-D spatial operators, means over the spatial axes for global pools, fully connected layers with weights
 * [out, in], a bias everywhere, and padding that is SAME, VALID or an operator of its own.
 * What has no such form is left as it is and named by the constraints.
 */
export function lower(graph: Graph): Graph {
  const editor = new GraphEditor(graph)
  // a pattern goes before its parts
  const recognized = rewriteAll(editor, (node) => recognizeGelu(editor, node))
  const lowered = rewriteAll(editor, (node) => lowerings.some((lowering) => lowering(editor, node)))
  return recognized + lowered === 0 ? graph : editor.finish()
}
