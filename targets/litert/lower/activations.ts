import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
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
