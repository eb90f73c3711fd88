import type { GraphEditor } from '../../../src/graph/edit.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Node } from '../../../src/graph/types.ts'
import { add, binary, put } from './build.ts'

/** Norms and log-sums in terms of SUM; REDUCE_MAX keeps exp from overflowing. */
export function lowerReduction(editor: GraphEditor, node: Node): boolean {
  const { op } = node
  if (op.kind !== 'Reduce') return false
  const x = node.inputs[0]!
  const sum: Op = { ...op, fn: 'Sum' }
  const unary = (fn: 'Abs' | 'Sqrt' | 'Log' | 'Exp', from: string, suffix: string) =>
    add(editor, node, { kind: 'Unary', fn }, [from], suffix)
  const square = () => add(editor, node, binary('Mul'), [x, x], 'square')
  switch (op.fn) {
    case 'L1':
      return put(editor, node, sum, [unary('Abs', x, 'magnitude')])
    case 'SumSquare':
      return put(editor, node, sum, [square()])
    case 'L2':
      return put(editor, node, { kind: 'Unary', fn: 'Sqrt' }, [add(editor, node, sum, [square()], 'sum')])
    case 'LogSum':
      return put(editor, node, { kind: 'Unary', fn: 'Log' }, [add(editor, node, sum, [x], 'sum')])
    case 'LogSumExp': {
      const kept: Op = { ...op, fn: 'Max', keepDims: true }
      const top = add(editor, node, kept, [x], 'top')
      const power = unary('Exp', add(editor, node, binary('Sub'), [x, top], 'below'), 'power')
      const log = unary('Log', add(editor, node, sum, [power], 'sum'), 'log')
      const back = op.keepDims ? top : add(editor, node, { ...op, fn: 'Max' }, [x], 'maximum')
      return put(editor, node, binary('Add'), [log, back])
    }
    default:
      return false
  }
}
