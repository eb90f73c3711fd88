import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const type: ReadTable = {
  CAST: (operator) => operator.produce({ kind: 'Cast' }, [operator.input(0)]),
  QUANTIZE: readConvert,
  DEQUANTIZE: readDequantize,
}

function readConvert(operator: OperatorInReading): void {
  if (!operator.quantized) throw new NotExpressible('neither side of it is quantized')
  operator.produce({ kind: 'Convert' }, [operator.input(0)])
}

/** Weights of 16-bit floats stand behind one of these too. */
function readDequantize(operator: OperatorInReading): void {
  if (operator.type(0).dtype === 'float16') operator.produce({ kind: 'Cast' }, [operator.input(0)])
  else readConvert(operator)
}
