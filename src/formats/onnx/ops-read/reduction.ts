import { reduceFunctions } from '../../../graph/ops.ts'
import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

type ReduceFunction = (typeof reduceFunctions)[number]

export const reduction: ReadTable = {
  ...Object.fromEntries(
    reduceFunctions.map((fn) => [`Reduce${fn}`, (operator: OnnxOperator) => readReduce(operator, fn)]),
  ),
  ArgMax: (operator) => readArg(operator, 'ArgMax'),
  ArgMin: (operator) => readArg(operator, 'ArgMin'),
}

/** Axes are an attribute until operator set 17 (ReduceSum: 12), an input since. */
function readReduce(operator: OnnxOperator, fn: ReduceFunction): void {
  const rank = operator.rank(0)
  const asInput = operator.opset >= (fn === 'Sum' ? 13 : 18)
  const stated = asInput ? operator.optionalNumbers(1, 'list of axes') : operator.attributes.ints('axes')
  const keepDims = operator.attributes.flag('keepdims', true)
  if (asInput && (stated?.length ?? 0) === 0 && operator.attributes.flag('noop_with_empty_axes')) {
    // a sum of one element is that element; a norm of it is not
    if (!['Sum', 'Mean', 'Max', 'Min', 'Prod'].includes(fn))
      throw new NotExpressible('it reduces over no axes')
    operator.alias(operator.input(0))
    return
  }
  const axes =
    stated && stated.length > 0 ? operator.axes(stated, rank) : Array.from({ length: rank }, (_, i) => i)
  if (rank === 0) throw new NotExpressible('it reduces a scalar')
  operator.produce({ kind: 'Reduce', fn, axes: axes.sort((a, b) => a - b), keepDims }, [operator.input(0)])
}

function readArg(operator: OnnxOperator, kind: 'ArgMax' | 'ArgMin'): void {
  const { attributes } = operator
  const axis = operator.axis(attributes.int('axis', 0), operator.rank(0))
  operator.produce(
    {
      kind,
      axis,
      keepDims: attributes.flag('keepdims', true),
      selectLastIndex: attributes.flag('select_last_index'),
    },
    [operator.input(0)],
  )
}
