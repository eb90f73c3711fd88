import { elementCount } from '../../../tensor.ts'
import { NotExpressible, type OperatorInReading } from '../read-operator.ts'
import type { ReadTable } from './table.ts'

export const matrix: ReadTable = { FULLY_CONNECTED: readFullyConnected, BATCH_MATMUL: readBatchMatMul }

/** Whatever the rank of x, its rows are as long as the weights are wide. */
function readFullyConnected(operator: OperatorInReading): void {
  const options = operator.options('FullyConnectedOptions')
  if (options.weightsFormat !== 0) throw new NotExpressible('its weights are shuffled')
  const x = operator.shape(0)
  const w = operator.shape(1)
  if (w.length !== 2) throw operator.broken('needs weights of two dimensions', `[${w.join(',')}]`)
  const [outputs, width] = w as [number, number]
  if (width === 0 || elementCount(x) % width !== 0)
    throw operator.broken('has weights for another number of inputs', `[${w.join(',')}] for [${x.join(',')}]`)
  const rows = elementCount(x) / width
  const flat = x.length === 2 && x[1] === width
  const a = flat
    ? operator.input(0)
    : operator.step({ kind: 'Reshape', shape: [rows, width] }, [operator.input(0)], 'rows')
  const inputs = [a, operator.input(1)]
  const bias = operator.optional(2)
  if (bias !== null) inputs.push(bias)
  const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const
  const keeps = options.keepNumDims && x.length !== 2
  if (!keeps) {
    operator.produceActivated(gemm, inputs, options.activation)
    return
  }
  const product = operator.activatedStep(gemm, inputs, 'product', options.activation)
  operator.produce({ kind: 'Reshape', shape: [...x.slice(0, -1), outputs] }, [product])
}

function readBatchMatMul(operator: OperatorInReading): void {
  const options = operator.options('BatchMatMulOptions')
  const a = options.adjX ? swapped(operator, 0, 'x') : operator.input(0)
  const b = options.adjY ? swapped(operator, 1, 'y') : operator.input(1)
  operator.produce({ kind: 'MatMul' }, [a, b])
}

function swapped(operator: OperatorInReading, index: number, which: string): string {
  const rank = operator.shape(index).length
  if (rank < 2) throw operator.broken('needs inputs of two dimensions or more')
  if (operator.type(index).quantization?.axis != null)
    throw new NotExpressible('it transposes per-channel integers')
  const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2]
  return operator.step({ kind: 'Transpose', perm }, [operator.input(index)], `${which}_transposed`)
}
