import { numbersOf } from '../graph/constant.ts'
import { GraphEditor } from '../graph/edit.ts'
import type { Op } from '../graph/ops.ts'
import type { Node } from '../graph/types.ts'
import { recognizeGelu } from './gelu.ts'
import { constantSide, onlyReader, requiresFloat, rewriteAll } from './match.ts'
import type { Pass } from './pass.ts'

/**
 * Activations spelled out by exporters become one operator: Max and Min with a number are Relu and Clip,
 * x · HardSigmoid(x) and x · clip(x + 3, 0, 6) / 6 are HardSwish, x · (1 + erf(x / √2)) / 2 is Gelu.
 */
export const canonicalActivations: Pass = {
  name: 'canonical-activations',
  requires: requiresFloat,
  run(graph) {
    const editor = new GraphEditor(graph)
    const changed = rewriteAll(
      editor,
      (node) =>
        asClip(editor, node) ||
        mergeClips(editor, node) ||
        asHardSwish(editor, node) ||
        recognizeGelu(editor, node),
    )
    return { graph: changed === 0 ? graph : editor.finish(), changed, notes: [] }
  },
}

/** Max(x, c), Min(x, c) and Clip(x, 0, ∞). */
function asClip(editor: GraphEditor, node: Node): boolean {
  if (node.op.kind === 'Clip') {
    if (node.op.min !== 0 || node.op.max !== Number.POSITIVE_INFINITY) return false
    editor.updateNode(node, { op: { kind: 'Relu' } })
    return true
  }
  if (node.op.kind !== 'Binary' || (node.op.fn !== 'Max' && node.op.fn !== 'Min')) return false
  const side = constantSide(editor, node)
  const bound = side && scalarOf(editor, node, side.index)
  if (!side || bound === null || !sameShape(editor, side.other, node.outputs[0]!)) return false
  const op: Op =
    node.op.fn === 'Max'
      ? { kind: 'Clip', min: bound, max: Number.POSITIVE_INFINITY }
      : { kind: 'Clip', min: Number.NEGATIVE_INFINITY, max: bound }
  editor.updateNode(node, { op, inputs: [side.other] })
  return true
}

/** Clip or Relu right after another. */
function mergeClips(editor: GraphEditor, second: Node): boolean {
  const outer = boundsOf(second.op)
  const first = outer && editor.producer(second.inputs[0]!)
  const inner = first && boundsOf(first.op)
  if (!outer || !first || !inner || onlyReader(editor, second.inputs[0]!) !== second) return false
  const clamp = (x: number) => Math.min(outer.max, Math.max(outer.min, x))
  editor.removeNode(first)
  editor.updateNode(second, {
    op: { kind: 'Clip', min: clamp(inner.min), max: clamp(inner.max) },
    inputs: first.inputs,
  })
  return true
}

function boundsOf(op: Op): { min: number; max: number } | null {
  if (op.kind === 'Relu') return { min: 0, max: Number.POSITIVE_INFINITY }
  return op.kind === 'Clip' ? op : null
}

/** x · g(x), where g is HardSigmoid(1/6, 1/2) or its long form; also (x · clip(x + 3, 0, 6)) / 6. */
function asHardSwish(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  if (op.kind !== 'Binary') return false
  const direct = op.fn === 'Mul' ? productWithGate(editor, node, 1) : null
  if (direct !== null) return toHardSwish(editor, node, direct)
  const inner = timesSixth(editor, node)
  const product = inner === null ? null : editor.producer(inner)
  if (product?.op.kind !== 'Binary' || product.op.fn !== 'Mul' || onlyReader(editor, inner!) !== node)
    return false
  const x = productWithGate(editor, product, 6)
  return x === null ? false : toHardSwish(editor, node, x)
}

function toHardSwish(editor: GraphEditor, node: Node, x: string): boolean {
  if (!sameShape(editor, x, node.outputs[0]!)) return false
  editor.updateNode(node, { op: { kind: 'HardSwish' }, inputs: [x] })
  return true
}

/** x where the product is x · gate, gate running from 0 to `top`. */
function productWithGate(editor: GraphEditor, product: Node, top: 1 | 6): string | null {
  const [a, b] = product.inputs as [string, string]
  if (gateOf(editor, b, top) === a) return a
  return gateOf(editor, a, top) === b ? b : null
}

function gateOf(editor: GraphEditor, name: string, top: 1 | 6): string | null {
  const node = editor.producer(name)
  if (!node) return null
  const { op } = node
  if (top === 1) {
    if (op.kind === 'HardSigmoid') return near(op.alpha, 1 / 6) && near(op.beta, 0.5) ? node.inputs[0]! : null
    const inner = timesSixth(editor, node)
    return inner === null ? null : gateOf(editor, inner, 6)
  }
  if (op.kind !== 'Clip' || op.min !== 0 || op.max !== 6) return null
  const add = editor.producer(node.inputs[0]!)
  if (add?.op.kind !== 'Binary' || add.op.fn !== 'Add') return null
  const side = constantSide(editor, add)
  return side && scalarOf(editor, add, side.index) === 3 ? side.other : null
}

/** The operand of a division by 6 or a product with 1/6. */
function timesSixth(editor: GraphEditor, node: Node): string | null {
  if (node.op.kind !== 'Binary') return null
  const side = constantSide(editor, node)
  const factor = side && scalarOf(editor, node, side.index)
  if (!side || factor === null) return null
  if (node.op.fn === 'Mul' && near(factor, 1 / 6)) return side.other
  return node.op.fn === 'Div' && side.index === 1 && factor === 6 ? side.other : null
}

function scalarOf(editor: GraphEditor, node: Node, index: number): number | null {
  const constant = editor.value(node.inputs[index]!).constant!
  if (constant.dtype !== 'float32') return null
  const numbers = numbersOf(constant)
  return numbers.length === 1 ? numbers[0]! : null
}

function near(a: number, b: number): boolean {
  return Math.abs(a - b) < 1e-5
}

function sameShape(editor: GraphEditor, a: string, b: string): boolean {
  return editor.type(a).shape.join() === editor.type(b).shape.join()
}
