import { numbersOf } from '../graph/constant.ts'
import type { GraphEditor } from '../graph/edit.ts'
import type { Node } from '../graph/types.ts'
import { constantSide, onlyReader } from './match.ts'

/** x · (1 + erf(x / √2)) · ½ in either order of its factors, as exporters spell Gelu. */
export function recognizeGelu(editor: GraphEditor, node: Node): boolean {
  if (!isBinary(node, 'Mul')) return false
  for (const [inner, outer] of [node.inputs, [...node.inputs].reverse()] as [string, string][]) {
    const half = scalarFactor(editor, node)
    const product = half && close(half.value, 0.5) ? editor.producer(half.other) : null
    // (x · gate) · ½
    if (product && isBinary(product, 'Mul') && onlyReader(editor, half!.other) === node) {
      const x =
        gatedBy(editor, product.inputs[0]!, product.inputs[1]!) ??
        gatedBy(editor, product.inputs[1]!, product.inputs[0]!)
      if (x !== null) return becomes(editor, node, x)
    }
    // (x · ½) · gate, and x · (gate · ½)
    for (const [scaled, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      const producer = editor.producer(scaled)
      const factor = producer && isBinary(producer, 'Mul') ? scalarFactor(editor, producer) : null
      if (!factor || !close(factor.value, 0.5)) continue
      const x = gatedBy(editor, factor.other, other) ?? gatedBy(editor, other, factor.other)
      if (x !== null) return becomes(editor, node, x)
    }
  }
  return false
}

function becomes(editor: GraphEditor, node: Node, x: string): true {
  editor.updateNode(node, { op: { kind: 'Gelu', approximate: 'none' }, inputs: [x] })
  return true
}

/** x where `gate` is 1 + erf(x / √2). */
function gatedBy(editor: GraphEditor, x: string, gate: string): string | null {
  const sum = editor.producer(gate)
  const one = sum && isBinary(sum, 'Add') ? scalarFactor(editor, sum) : null
  const erfNode = one && close(one.value, 1) ? editor.producer(one.other) : null
  if (erfNode?.op.kind !== 'Unary' || erfNode.op.fn !== 'Erf') return null
  const scaled = editor.producer(erfNode.inputs[0]!)
  const factor = scaled && isBinary(scaled, 'Mul') ? scalarFactor(editor, scaled) : null
  const divisor = scaled && isBinary(scaled, 'Div') ? scalarFactor(editor, scaled) : null
  const share = factor ? factor.value : divisor ? 1 / divisor.value : Number.NaN
  return close(share, Math.SQRT1_2) && (factor ?? divisor)!.other === x ? x : null
}

function isBinary(node: Node, fn: string): boolean {
  return node.op.kind === 'Binary' && node.op.fn === fn
}

function scalarFactor(editor: GraphEditor, node: Node): { value: number; other: string } | null {
  const side = constantSide(editor, node)
  if (side?.constant.dtype !== 'float32') return null
  const numbers = numbersOf(side.constant)
  return numbers.length === 1 ? { value: numbers[0]!, other: side.other } : null
}

function close(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-5 * Math.abs(b)
}
