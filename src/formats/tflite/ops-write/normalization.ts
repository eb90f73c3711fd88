import { numbersOf } from '../../../graph/constant.ts'
import { float32Constant } from '../../../graph/constant.ts'
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

/** Mean, variance and their use as single operators. */
export function writeLayerNormalization(node: NodeInWriting<'LayerNormalization'>): void {
  node.requireFloat('a layer normalization')
  const { axis, epsilon } = node.op
  const type = node.outputType
  const axes = node.integers([...type.shape.keys()].slice(axis), 'axes')
  const keep = options('ReducerOptions', { keepDims: true })
  const reduced = { ...type, shape: type.shape.map((size, i) => (i < axis ? size : 1)) }
  const x = node.input(0)
  const mean = node.step('MEAN', [x, axes], 'mean', reduced, keep)
  const squares = node.step('SQUARED_DIFFERENCE', [x, mean], 'squares', type)
  const variance = node.step('MEAN', [squares, axes], 'variance', reduced, keep)
  const guarded = node.step(
    'ADD',
    [variance, node.scalar(epsilon, 'epsilon')],
    'guarded',
    reduced,
    options('AddOptions', {}),
  )
  const inverse = node.step('RSQRT', [guarded], 'inverse', reduced)
  const centred = node.step('SUB', [x, mean], 'centred', type, options('SubOptions', {}))
  const unit = node.step('MUL', [centred, inverse], 'unit', type, options('MulOptions', {}))
  if (!node.has(2)) {
    node.write('MUL', [unit, node.input(1)], options('MulOptions', {}))
    return
  }
  const scaled = node.step('MUL', [unit, node.input(1)], 'scaled', type, options('MulOptions', {}))
  node.write('ADD', [scaled, node.input(2)], options('AddOptions', {}))
}
