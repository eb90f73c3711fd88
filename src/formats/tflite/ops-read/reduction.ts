import type { Reduce } from '../../../graph/ops.ts'
import type { OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const reduction: ReadTable = {
  MEAN: reduce('Mean'),
  SUM: reduce('Sum'),
  REDUCE_MAX: reduce('Max'),
  REDUCE_MIN: reduce('Min'),
  REDUCE_PROD: reduce('Prod'),
  ARG_MAX: (operator) => readArg(operator, 'ArgMax'),
  ARG_MIN: (operator) => readArg(operator, 'ArgMin'),
}

function reduce(fn: Reduce['fn']) {
  return (operator: OperatorInReading): void => {
    const rank = operator.shape(0).length
    const axes = [...new Set(operator.numbers(1, 'axes').map((axis) => operator.axis(axis, rank)))]
    const { keepDims } = operator.options('ReducerOptions')
    operator.produce({ kind: 'Reduce', fn, axes: axes.toSorted((a, b) => a - b), keepDims }, [
      operator.input(0),
    ])
  }
}

/** Ours gives 64-bit indices; the file says which it wants. */
function readArg(operator: OperatorInReading, kind: 'ArgMax' | 'ArgMin'): void {
  const [axis] = operator.numbers(1, 'axis')
  const rank = operator.shape(0).length
  const op = {
    kind,
    axis: operator.axis(axis ?? Number.NaN, rank),
    keepDims: false,
    selectLastIndex: false,
  } as const
  if (operator.declared().dtype === 'int64') operator.produce(op, [operator.input(0)])
  else operator.produce({ kind: 'Cast' }, operator.steps(op, [operator.input(0)], 'indices', [null]))
}
