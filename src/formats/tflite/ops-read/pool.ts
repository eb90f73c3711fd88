import type { OperatorInReading } from '../read-operator.ts'
import { imageOf, windowOf } from './convolution.ts'
import type { ReadTable } from './table.ts'

export const pool: ReadTable = {
  AVERAGE_POOL_2D: (operator) => readPool(operator, 'AveragePool'),
  MAX_POOL_2D: (operator) => readPool(operator, 'MaxPool'),
}

function readPool(operator: OperatorInReading, kind: 'AveragePool' | 'MaxPool'): void {
  const options = operator.options('Pool2DOptions')
  const kernel = [options.filterHeight, options.filterWidth]
  const window = windowOf(operator, options, imageOf(operator, 0).slice(1, 3), kernel)
  const shared = { ...window, kernel, ceilMode: false, layout: 'channels-last' } as const
  operator.produceActivated(
    kind === 'MaxPool' ? { kind, ...shared } : { kind, ...shared, countIncludePad: false },
    [operator.input(0)],
    options.activation,
  )
}
