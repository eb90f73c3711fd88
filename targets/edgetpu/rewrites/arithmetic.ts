import { float32Constant, numbersOf } from '../../../src/graph/constant.ts'
import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Node } from '../../../src/graph/types.ts'
import { constantOperand } from '../../../src/passes/match.ts'
import { add, binary, put, scalar } from '../../litert/lower/build.ts'
import { changed, declined, type Outcome, type Rewrite } from './rewrite.ts'

/** What Coral’s table lacks and a sum, product or maximum says as well. */
export const plainArithmetic: Rewrite = {
  name: 'plain-arithmetic',
  sentence:
    'A division by a constant becomes a product, a square x · x, −x a product, |x| the larger of x and −x.',
  needs: null,
  apply(editor, node) {
    const { op } = node
    if (op.kind === 'Binary' && op.fn === 'Div') return divideByConstant(editor, node)
    if (op.kind === 'Binary' && op.fn === 'Pow') return square(editor, node)
    if (op.kind !== 'Unary' || editor.type(node.inputs[0]!).dtype !== 'float32') return null
    const x = node.inputs[0]!
    if (op.fn === 'Neg') {
      put(editor, node, binary('Mul'), [x, scalar(editor, node, -1, 'minus')])
      return changed
    }
    if (op.fn !== 'Abs') return null
    const negated = add(editor, node, binary('Mul'), [x, scalar(editor, node, -1, 'minus')], 'negated')
    put(editor, node, binary('Max'), [x, negated])
    return changed
  },
}

function divideByConstant(editor: GraphEditor, node: Node): Outcome {
  const divisor = constantOperand(editor, node, 1)
  if (divisor?.dtype !== 'float32') return declined('its divisor is computed')
  const numbers = numbersOf(divisor)
  if (numbers.some((number) => number === 0)) return declined('it divides by 0')
  const inverse = editor.addConstant(
    `${node.outputs[0]}_inverse`,
    float32Constant(
      divisor.shape,
      numbers.map((number) => 1 / number),
    ),
  )
  put(editor, node, binary('Mul'), [node.inputs[0]!, inverse])
  return changed
}

function square(editor: GraphEditor, node: Node): Outcome {
  const exponent = constantOperand(editor, node, 1)
  if (exponent?.dtype !== 'float32' || numbersOf(exponent).some((number) => number !== 2))
    return declined('only a square is a product')
  if (editor.type(node.outputs[0]!).shape.join() !== editor.type(node.inputs[0]!).shape.join())
    return declined('its exponent widens it')
  put(editor, node, binary('Mul'), [node.inputs[0]!, node.inputs[0]!])
  return changed
}
