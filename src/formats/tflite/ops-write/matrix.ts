import type { Fusion } from '../fuse.ts'
import type { TensorType } from '../../../graph/types.ts'
import { elementCount } from '../../../tensor.ts'
import { transposing } from '../turn.ts'
import { reshapeConstant } from '../weights.ts'
import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'

/** FULLY_CONNECTED where its form fits, else the sum of its parts. */
export function writeGemm(gemm: NodeInWriting<'Gemm'>): void {
  const { op } = gemm
  const columns = op.transB ? gemm.type(1).shape[0]! : gemm.type(1).shape[1]!
  const bias = gemm.has(2) ? biasOf(gemm, columns) : -1
  if (op.alpha === 1 && bias !== null && (bias < 0 || op.beta === 1)) {
    const a = op.transA ? gemm.transposed(gemm.input(0), [1, 0], 'a') : gemm.input(0)
    gemm.write('FULLY_CONNECTED', [a, weightsOf(gemm), bias], fullyConnected(gemm.activation, false))
    return
  }
  gemm.requireFloat('a scaled matrix product')
  writeScaled(gemm)
}

/** The node is the Reshape at the end; operands are those of the whole. */
export function writeKeepingDimensions(
  reshape: NodeInWriting<'Reshape'>,
  gemm: NodeInWriting<'Gemm'>,
  { rows }: Extract<Fusion, { kind: 'keepDimensions' }>,
): void {
  const { network } = reshape
  const bias = gemm.has(2) ? biasOf(gemm, gemm.type(1).shape[0]!) : -1
  if (bias === null || (bias >= 0 && gemm.op.beta !== 1))
    throw gemm.unsupported('a matrix product with a sum of this shape')
  const x = network.tensor(rows.inputs[0]!)
  reshape.write('FULLY_CONNECTED', [x, weightsOf(gemm), bias], fullyConnected(gemm.activation, true))
}

function fullyConnected(activation: number, keepNumDims: boolean) {
  return options('FullyConnectedOptions', { activation, keepNumDims })
}

/** [out, in] */
function weightsOf(gemm: NodeInWriting<'Gemm'>): number {
  if (gemm.op.transB) return gemm.input(1)
  const known = gemm.network.turned(gemm.name(1), transposing('transposed', [1, 0]))
  return known ?? gemm.transposed(gemm.input(1), [1, 0], 'b')
}

/** A vector of one number for each column; null where c is more or less than that. */
function biasOf(gemm: NodeInWriting<'Gemm'>, columns: number): number | null {
  const { shape } = gemm.type(2)
  if (shape.length === 1 && shape[0] === columns) return gemm.input(2)
  const perColumn = shape.at(-1) === columns && elementCount(shape) === columns
  if (!perColumn) return null
  return gemm.network.turned(gemm.name(2), {
    name: 'bias',
    turn: (bias) => reshapeConstant(bias, [columns]),
    quantization: (stored) => (stored && stored.axis !== null ? { ...stored, axis: 0 } : stored),
  })
}

function writeScaled(gemm: NodeInWriting<'Gemm'>): void {
  const { op } = gemm
  const type: TensorType = { dtype: 'float32', shape: gemm.outputType.shape, quantization: null }
  const scalar = (value: number, like: string) => gemm.scalar(value, like, type)
  const last = (op.alpha === 1 ? 1 : 2) + (gemm.has(2) ? 1 : 0)
  const a = op.transA ? gemm.transposed(gemm.input(0), [1, 0], 'a') : gemm.input(0)
  let at = gemm.step('FULLY_CONNECTED', [a, weightsOf(gemm), -1], 'product', type, fullyConnected(0, false))
  const sum = gemm.has(2)
  if (op.alpha !== 1) {
    const scaled = [at, scalar(op.alpha, 'alpha')]
    if (!sum) {
      gemm.write('MUL', scaled, options('MulOptions', { activation: gemm.activation }))
      return
    }
    at = gemm.step('MUL', scaled, `scaled_${last}`, type, options('MulOptions', {}))
  }
  const c =
    op.beta === 1
      ? gemm.input(2)
      : gemm.step(
          'MUL',
          [gemm.input(2), scalar(op.beta, 'beta')],
          'c',
          { ...type, shape: gemm.type(2).shape },
          options('MulOptions', {}),
        )
  gemm.write('ADD', [at, c], options('AddOptions', { activation: gemm.activation }))
}

export function writeMatMul(
  matmul: NodeInWriting<'MatMul'>,
  fusion: Extract<Fusion, { kind: 'transposed' }> | null,
): void {
  const { network } = matmul
  const operand = (index: number, from: string) => {
    const x = network.tensor(from)
    const { shape } = network.type(x)
    if (shape.length > 1) return x
    return matmul.reshaped(x, index === 0 ? [1, ...shape] : [...shape, 1], `matrix_${index}`)
  }
  const a = operand(0, fusion?.x?.inputs[0] ?? matmul.name(0))
  const b = operand(1, fusion?.y?.inputs[0] ?? matmul.name(1))
  const values = options('BatchMatMulOptions', { adjX: Boolean(fusion?.x), adjY: Boolean(fusion?.y) })
  const vectors = matmul.type(0).shape.length === 1 || matmul.type(1).shape.length === 1
  if (!vectors) {
    matmul.write('BATCH_MATMUL', [a, b], values)
    return
  }
  const [left, right] = [network.type(a).shape, network.type(b).shape]
  const batch = left.length >= right.length ? left.slice(0, -2) : right.slice(0, -2)
  const shape = [...batch, left.at(-2)!, right.at(-1)!]
  const product = matmul.step('BATCH_MATMUL', [a, b], 'matrix', { ...matmul.outputType, shape }, values)
  const target = matmul.outputType.shape
  matmul.write(
    'RESHAPE',
    [product, matmul.integers(target, 'vector_shape')],
    options('ReshapeOptions', { newShape: target }),
  )
}
