import { EdgewrightError } from '../../../error.ts'
import type { Binary, Op } from '../../../graph/ops.ts'
import { numbersOf } from '../../../graph/constant.ts'
import { isRecord } from '../config.ts'
import { axisOf, type LayerCall, type LayerTable } from './layer.ts'

const passed: LayerTable[string] = ({ inputs }) => [inputs[0]!]
const binary = (fn: Binary['fn']): Op => ({ kind: 'Binary', fn })

export const normalizationLayers: LayerTable = {
  BatchNormalization: readBatchNormalization,
  LayerNormalization: readLayerNormalization,
  Rescaling: ({ graph, config, inputs }) => {
    const scale = perChannel(config.raw('scale') ?? 1, config.where)
    const offset = perChannel(config.raw('offset') ?? 0, config.where)
    const scaled = graph.node(binary('Mul'), [inputs[0]!, graph.numbers('scale', shapeOf(scale), scale)])
    if (offset.every((number) => number === 0)) return [scaled]
    return [graph.node(binary('Add'), [scaled, graph.numbers('offset', shapeOf(offset), offset)])]
  },
  Normalization: readNormalization,
  // they do something in training only
  ...Object.fromEntries(
    [
      'Dropout',
      'SpatialDropout1D',
      'SpatialDropout2D',
      'GaussianNoise',
      'GaussianDropout',
      'AlphaDropout',
      'ActivityRegularization',
      'Identity',
      'RandomFlip',
      'RandomRotation',
      'RandomZoom',
      'RandomContrast',
      'RandomBrightness',
      'RandomTranslation',
      'StochasticDepth',
    ].map((name) => [name, passed]),
  ),
}

function readBatchNormalization(call: LayerCall): string[] {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const shape = graph.shape(x)
  const [first = -1, ...more] = config.has('axis') ? config.integers('axis') : [-1]
  const axis = axisOf(first, shape.length)
  if (more.length > 0 || axis < 1 || axis >= shape.length)
    throw unsupported(call, 'a BatchNormalization over several axes or over the batch')
  const channels = shape[axis]!
  const constant = (name: string, number: number) =>
    graph.numbers(name, [channels], new Float32Array(channels).fill(number))
  const parameter = (name: string) => graph.constant(name, weights.take(name, [channels]))
  const gamma = config.flag('scale', true) ? parameter('gamma') : constant('gamma', 1)
  const beta = config.flag('center', true) ? parameter('beta') : constant('beta', 0)
  const parameters = [gamma, beta, parameter('moving_mean'), parameter('moving_variance')]
  const epsilon = config.number('epsilon', 1e-3)
  const last = axis === shape.length - 1
  if (!last && axis !== 1) {
    const toLast = shape
      .map((_, i) => i)
      .toSpliced(axis, 1)
      .concat(axis)
    const back = shape.map((_, i) => toLast.indexOf(i))
    const turned = graph.node({ kind: 'Transpose', perm: toLast }, [x])
    const op: Op = { kind: 'BatchNormalization', epsilon, layout: 'channels-last' }
    return [graph.node({ kind: 'Transpose', perm: back }, [graph.node(op, [turned, ...parameters])])]
  }
  const layout = last ? 'channels-last' : 'channels-first'
  return [graph.node({ kind: 'BatchNormalization', epsilon, layout }, [x, ...parameters])]
}

function readLayerNormalization(call: LayerCall): string[] {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const shape = graph.shape(x)
  const axes = (config.has('axis') ? config.integers('axis') : [-1])
    .map((axis) => axisOf(axis, shape.length))
    .toSorted((a, b) => a - b)
  const axis = shape.length - axes.length
  if (axes.some((entry, i) => entry !== axis + i) || config.raw('rms_scaling') === true)
    throw unsupported(call, 'a LayerNormalization over other than the last axes')
  const inner = shape.slice(axis)
  const ones = () => graph.numbers('gamma', inner, new Float32Array(inner.reduce((a, b) => a * b, 1)).fill(1))
  const gamma = config.flag('scale', true) ? graph.constant('gamma', weights.take('gamma', inner)) : ones()
  const beta = config.flag('center', true) ? graph.constant('beta', weights.take('beta', inner)) : null
  return [
    graph.node({ kind: 'LayerNormalization', axis, epsilon: config.number('epsilon', 1e-3) }, [
      x,
      gamma,
      beta,
    ]),
  ]
}

/** Mean and variance are settings, or what `adapt` learned: then mean, variance and a count are weights. */
function readNormalization(call: LayerCall): string[] {
  const { graph, config, inputs, weights } = call
  const [x] = inputs as [string]
  const shape = graph.shape(x)
  if (config.flag('invert', false)) throw unsupported(call, 'an inverted Normalization')
  const raw = config.raw('axis')
  const axes = (raw === null ? [] : config.has('axis') ? config.integers('axis') : [-1]).map((axis) =>
    axisOf(axis, shape.length),
  )
  const kept = axes.map((axis) => shape[axis]!)
  const spread = shape.map((size, axis) => (axes.includes(axis) ? size : 1))
  const stated = config.has('mean') && config.has('variance')
  const mean = stated ? perChannel(config.raw('mean'), config.where) : numbersOf(weights.take('mean', kept))
  const variance = stated
    ? perChannel(config.raw('variance'), config.where)
    : numbersOf(weights.take('variance', kept))
  const shapeFor = (list: readonly number[]) => (list.length === 1 ? [] : spread)
  // Keras divides by the larger of the deviation and its epsilon
  const deviation = variance.map((number) => Math.max(Math.sqrt(number), 1e-7))
  const centred = graph.node(binary('Sub'), [x, graph.numbers('mean', shapeFor(mean), mean)])
  return [graph.node(binary('Div'), [centred, graph.numbers('deviation', shapeFor(deviation), deviation)])]
}

function perChannel(value: unknown, where: string): number[] {
  // Keras 3 wraps arrays
  const plain = isRecord(value) && isRecord(value.config) ? value.config.value : value
  const list = Array.isArray(plain) ? (plain.flat(8) as unknown[]) : [plain]
  if (!list.every((entry) => typeof entry === 'number' && Number.isFinite(entry)))
    throw new EdgewrightError('MODEL_BROKEN', 'A layer scales by something that is not a number.', { where })
  return list as number[]
}

function shapeOf(list: readonly number[]): number[] {
  return list.length === 1 ? [] : [list.length]
}

function unsupported({ className, name }: LayerCall, what: string): EdgewrightError {
  return new EdgewrightError('OPERATOR_UNSUPPORTED', `The model has ${what}, which is not supported.`, {
    where: `${className} ${name}`,
    hint: 'Export the model to ONNX instead.',
  })
}
