import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import { constantSide, onlyReader } from '../../../src/passes/match.ts'
import { add, binary, put, scalar } from './build.ts'

export function lowerActivation(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  switch (op.kind) {
    case 'Softmax':
    case 'LogSoftmax':
      return alongLastAxis(editor, node, op)
    case 'HardSigmoid':
      return op.alpha > 0 && hardSigmoid(editor, node, op.alpha, op.beta)
    case 'Unary':
      return unary(editor, node, op.fn)
    case 'Binary':
      return op.fn === 'Mul' && gelu(editor, node)
    default:
      return false
  }
}

/** TensorFlow Lite normalizes along the last axis only. */
function alongLastAxis(editor: GraphEditor, node: Node, op: Extract<Op, { axis: number }>): boolean {
  const rank = editor.type(node.outputs[0]!).shape.length
  if (op.axis === rank - 1) return false
  const perm = Array.from({ length: rank }, (_, axis) => axis)
  // an exchange of two axes is its own inverse
  ;[perm[op.axis], perm[rank - 1]] = [rank - 1, op.axis]
  const turned = add(editor, node, { kind: 'Transpose', perm }, [node.inputs[0]!], 'turned')
  const result = add(editor, node, { ...op, axis: rank - 1 } as Op, [turned], 'last')
  return put(editor, node, { kind: 'Transpose', perm }, [result])
}

/** clip(αx + β, 0, 1) = α · clip(x + β/α, 0, 1/α): the clip is fused into the addition. */
function hardSigmoid(editor: GraphEditor, node: Node, alpha: number, beta: number): boolean {
  const top = 1 / alpha
  const shifted = add(
    editor,
    node,
    binary('Add'),
    [node.inputs[0]!, scalar(editor, node, beta / alpha, 'offset')],
    'shifted',
  )
  // 1/6 is not exact: its inverse is meant to be 6
  const max = Math.abs(top - Math.round(top)) < 1e-5 ? Math.round(top) : top
  const clipped = add(editor, node, { kind: 'Clip', min: 0, max }, [shifted], 'clipped')
  return put(editor, node, binary('Mul'), [clipped, scalar(editor, node, 1 / max, 'slope')])
}

function unary(editor: GraphEditor, node: Node, fn: string): boolean {
  const x = node.inputs[0]!
  if (editor.type(x).dtype !== 'float32') return false
  const one = () => scalar(editor, node, 1, 'one')
  switch (fn) {
    case 'Reciprocal':
      return put(editor, node, binary('Div'), [one(), x])
    case 'Softsign': {
      const magnitude = add(editor, node, { kind: 'Unary', fn: 'Abs' }, [x], 'magnitude')
      return put(editor, node, binary('Div'), [
        x,
        add(editor, node, binary('Add'), [magnitude, one()], 'denominator'),
      ])
    }
    case 'Softplus': {
      // max(x, 0) + log(1 + exp(−|x|)) does not overflow
      const magnitude = add(editor, node, { kind: 'Unary', fn: 'Abs' }, [x], 'magnitude')
      const negated = add(editor, node, { kind: 'Unary', fn: 'Neg' }, [magnitude], 'negated')
      const power = add(editor, node, { kind: 'Unary', fn: 'Exp' }, [negated], 'power')
      const sum = add(editor, node, binary('Add'), [power, one()], 'sum')
      const rest = add(editor, node, { kind: 'Unary', fn: 'Log' }, [sum], 'rest')
      return put(editor, node, binary('Add'), [add(editor, node, { kind: 'Relu' }, [x], 'positive'), rest])
    }
    case 'Erf':
      return erf(editor, node, x)
    default:
      return false
  }
}

/** Abramowitz and Stegun 7.1.26: within 1.5e-7 of the error function, the precision of float32. */
const erfShare = 0.3275911
const erfCoefficients = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]

function erf(editor: GraphEditor, node: Node, x: string): boolean {
  const number = (value: number, suffix: string) => scalar(editor, node, value, suffix)
  const step = (op: Op, inputs: string[], suffix: string) => add(editor, node, op, inputs, suffix)
  const magnitude = step({ kind: 'Unary', fn: 'Abs' }, [x], 'magnitude')
  const scaled = step(binary('Mul'), [magnitude, number(erfShare, 'p')], 'scaled')
  const t = step(
    binary('Div'),
    [number(1, 'one'), step(binary('Add'), [scaled, number(1, 'one')], 'denominator')],
    't',
  )
  let sum: string | null = null
  for (const [i, coefficient] of erfCoefficients.entries()) {
    const shifted: string =
      sum === null
        ? number(coefficient, `a${i}`)
        : step(binary('Add'), [sum, number(coefficient, `a${i}`)], `sum${i}`)
    sum = step(binary('Mul'), [shifted, t], `horner${i}`)
  }
  const square = step(binary('Mul'), [x, x], 'square')
  const decay = step(
    { kind: 'Unary', fn: 'Exp' },
    [step({ kind: 'Unary', fn: 'Neg' }, [square], 'negated')],
    'decay',
  )
  const rest = step(binary('Sub'), [number(1, 'one'), step(binary('Mul'), [sum!, decay], 'tail')], 'rest')
  return put(editor, node, binary('Mul'), [step({ kind: 'Unary', fn: 'Sign' }, [x], 'sign'), rest])
}

/** x · (1 + erf(x / √2)) · ½ in either order of its factors, as exporters spell Gelu. */
function gelu(editor: GraphEditor, node: Node): boolean {
  for (const [inner, outer] of [node.inputs, [...node.inputs].reverse()] as [string, string][]) {
    const half = scalarFactor(editor, node)
    const product = half && close(half.value, 0.5) ? editor.producer(half.other) : null
    // (x · gate) · ½
    if (product && isBinary(product, 'Mul') && onlyReader(editor, half!.other) === node) {
      const x =
        gatedBy(editor, product.inputs[0]!, product.inputs[1]!) ??
        gatedBy(editor, product.inputs[1]!, product.inputs[0]!)
      if (x !== null) return put(editor, node, { kind: 'Gelu', approximate: 'none' }, [x])
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
      if (x !== null) return put(editor, node, { kind: 'Gelu', approximate: 'none' }, [x])
    }
  }
  return false
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
