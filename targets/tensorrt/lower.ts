import { GraphEditor } from '../../src/graph/edit.ts'
import type { Graph, Node } from '../../src/graph/types.ts'
import { add, binary, put, scalar } from '../litert/lower/build.ts'
import { lowerNormalization } from '../litert/lower/normalization.ts'
import type { TargetOptions } from '../target.ts'

/** From this version on a layer normalization is an operator of its own, with its sums in float32. */
const normalizes = '8.6'

/**
 * Operators that ONNX has from operator set 14, 17 and 20 on, in those that every TensorRT from 8 on parses: what it
 * then fuses again.
 */
export function lower(graph: Graph, { accelerator }: Pick<TargetOptions, 'accelerator'>): Graph {
  const editor = new GraphEditor(graph)
  const newest = accelerator?.newestTensorRt ?? null
  const splitsNormalization = newest !== null && isOlder(newest, normalizes)
  let changed = false
  for (const node of editor.nodes) {
    const { kind } = node.op
    if (kind === 'HardSwish') changed = hardSwish(editor, node)
    else if (kind === 'Gelu') changed = gelu(editor, node, node.op.approximate)
    else if (kind === 'LayerNormalization' && splitsNormalization)
      changed = lowerNormalization(editor, node) || changed
  }
  return changed ? editor.finish() : graph
}

/** `8.2` before `8.10`. */
export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number))
  const [major = 0, minor = 0] = a!
  const [otherMajor = 0, otherMinor = 0] = b!
  return major < otherMajor || (major === otherMajor && minor < otherMinor)
}

/** x · clip(x/6 + ½, 0, 1). */
function hardSwish(editor: GraphEditor, node: Node): boolean {
  const x = node.inputs[0]!
  const gate = add(editor, node, { kind: 'HardSigmoid', alpha: 1 / 6, beta: 0.5 }, [x], 'gate')
  return put(editor, node, binary('Mul'), [x, gate])
}

/** ½x · (1 + erf(x/√2)), or with tanh(√(2/π) · (x + 0.044715x³)) in the place of erf. */
function gelu(editor: GraphEditor, node: Node, approximate: 'none' | 'tanh'): boolean {
  const x = node.inputs[0]!
  const times = (value: string, factor: number, suffix: string) =>
    add(editor, node, binary('Mul'), [value, scalar(editor, node, factor, `${suffix}_factor`)], suffix)
  const bounded =
    approximate === 'none'
      ? add(editor, node, { kind: 'Unary', fn: 'Erf' }, [times(x, Math.SQRT1_2, 'scaled')], 'erf')
      : add(editor, node, { kind: 'Tanh' }, [tanhArgument(editor, node, x, times)], 'tanh')
  const gate = add(editor, node, binary('Add'), [bounded, scalar(editor, node, 1, 'one')], 'gate')
  return put(editor, node, binary('Mul'), [times(x, 0.5, 'half'), gate])
}

/** √(2/π) · x · (1 + 0.044715x²). */
function tanhArgument(
  editor: GraphEditor,
  node: Node,
  x: string,
  times: (value: string, factor: number, suffix: string) => string,
): string {
  const square = add(editor, node, binary('Mul'), [x, x], 'square')
  const rest = times(square, 0.044715, 'cubic')
  const factor = add(editor, node, binary('Add'), [rest, scalar(editor, node, 1, 'cubic_one')], 'cubic_sum')
  return times(add(editor, node, binary('Mul'), [x, factor], 'cubed'), Math.sqrt(2 / Math.PI), 'scaled')
}
