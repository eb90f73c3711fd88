import { NotExpressible, type OnnxOperator } from '../read-operator.ts'
import type { ReadTable } from './table.ts'
import { autoPad, forwardWindow, perDimension, spatialShape } from './window.ts'

export const pool: ReadTable = {
  MaxPool: (operator) => {
    operator.onlyFirstOutput('the indices')
    operator.produceFirst({ kind: 'MaxPool', ...windowOf(operator) }, [operator.input(0)])
  },
  AveragePool: (operator) => {
    const countIncludePad = operator.attributes.flag('count_include_pad')
    operator.produce({ kind: 'AveragePool', countIncludePad, ...windowOf(operator) }, [operator.input(0)])
  },
  GlobalAveragePool: (operator) => global(operator, 'GlobalAveragePool'),
  GlobalMaxPool: (operator) => global(operator, 'GlobalMaxPool'),
}

function windowOf(operator: OnnxOperator) {
  const spatial = spatialShape(operator)
  const kernel = perDimension(operator, 'kernel_shape', spatial.length, 0, 1)
  if (kernel.includes(0)) throw operator.broken('lacks its kernel_shape')
  const window = forwardWindow(operator, spatial, kernel)
  // SAME fixes the output size itself
  const same = autoPad(operator).startsWith('SAME')
  const ceilMode = !same && operator.attributes.flag('ceil_mode')
  return { kernel, ...window, ceilMode, layout: 'channels-first' as const }
}

function global(operator: OnnxOperator, kind: 'GlobalAveragePool' | 'GlobalMaxPool'): void {
  if (operator.rank(0) < 3 || operator.rank(0) > 4)
    throw new NotExpressible(`it works on ${operator.rank(0) - 2} spatial dimensions`)
  operator.produce({ kind, layout: 'channels-first' }, [operator.input(0)])
}
