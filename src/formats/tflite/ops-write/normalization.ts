import { float32Constant, numbersOf } from '../../../graph/constant.ts'
import { options } from '../write-graph.ts'
import type { NodeInWriting } from './context.ts'

/** A multiplication and an addition by channel. */
export function writeBatchNormalization(node: NodeInWriting<'BatchNormalization'>): void {
  node.requireFloat('a batch normalization')
  const parameters = [1, 2, 3, 4].map((index) => node.network.value(node.name(index)).constant)
  if (parameters.some((constant) => !constant))
    throw node.unsupported('a batch normalization by computed numbers')
  const [scale, bias, mean, variance] = parameters.map((constant) => numbersOf(constant!)) as [
    number[],
    number[],
    number[],
    number[],
  ]
  const factor = scale.map((s, i) => s / Math.sqrt(variance[i]! + node.op.epsilon))
  const shift = bias.map((b, i) => b - mean[i]! * factor[i]!)
  const vector = (numbers: number[], like: string) =>
    node.network.parameter(float32Constant([numbers.length], numbers), node.inside(like))
  const product = node.step(
    'MUL',
    [node.input(0), vector(factor, 'factor')],
    'scaled',
    node.outputType,
    options('MulOptions', {}),
  )
  node.write('ADD', [product, vector(shift, 'shift')], options('AddOptions', {}))
}

export function writeLayerNormalization(node: NodeInWriting<'LayerNormalization'>): void {
  node.requireFloat('a layer normalization')
  const { shape } = node.outputType
  const bias = node.has(2) ? node.input(2) : null
  writeStandardized(node, [...shape.keys()].slice(node.op.axis), node.op.epsilon, node.input(1), bias)
}

/** Channels first by definition; in the file's own operators no axis is special. */
export function writeInstanceNormalization(node: NodeInWriting<'InstanceNormalization'>): void {
  node.requireFloat('an instance normalization')
  const { shape } = node.outputType
  const channel = [shape[1]!, ...new Array<number>(shape.length - 2).fill(1)]
  const parameter = (index: number, like: string) => node.reshaped(node.input(index), channel, like)
  const axes = [...shape.keys()].slice(2)
  writeStandardized(node, axes, node.op.epsilon, parameter(1, 'scale'), parameter(2, 'bias'))
}

/** Mean, variance and their use as single operators. */
function writeStandardized(
  node: NodeInWriting,
  over: readonly number[],
  epsilon: number,
  scale: number,
  bias: number | null,
): void {
  const type = node.outputType
  const axes = node.integers(over, 'axes')
  const keep = options('ReducerOptions', { keepDims: true })
  const reduced = { ...type, shape: type.shape.map((size, axis) => (over.includes(axis) ? 1 : size)) }
  const mul = options('MulOptions', {})
  const x = node.input(0)
  const mean = node.step('MEAN', [x, axes], 'mean', reduced, keep)
  const squares = node.step('SQUARED_DIFFERENCE', [x, mean], 'squares', type)
  const variance = node.step('MEAN', [squares, axes], 'variance', reduced, keep)
  const guard = node.scalar(epsilon, 'epsilon')
  const guarded = node.step('ADD', [variance, guard], 'guarded', reduced, options('AddOptions', {}))
  const inverse = node.step('RSQRT', [guarded], 'inverse', reduced)
  const centred = node.step('SUB', [x, mean], 'centred', type, options('SubOptions', {}))
  const unit = node.step('MUL', [centred, inverse], 'unit', type, mul)
  if (bias === null) node.write('MUL', [unit, scale], mul)
  else
    node.write('ADD', [node.step('MUL', [unit, scale], 'scaled', type, mul), bias], options('AddOptions', {}))
}
