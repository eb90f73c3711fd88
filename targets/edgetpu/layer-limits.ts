import { type Limit, limited, ok, product, saw, shapeText } from './limit.ts'
import { nodeOf } from './operators.ts'

const spatial = ['CONV_2D', 'DEPTHWISE_CONV_2D', 'TRANSPOSE_CONV']
const weighted = [...spatial, 'FULLY_CONNECTED']
const reductions = ['MEAN', 'SUM', 'REDUCE_MAX', 'REDUCE_MIN']

/** Places that a mean may be over: 64×128 is mapped, 256×128 is not; where between is not known. */
export const maxMeanPlaces = 2 ** 14
export const maxSoftmaxElements = 16_000

/** Layers, activations and reductions. */
export const layerLimits: readonly Limit[] = [
  {
    id: 'constant-parameters',
    operators: weighted,
    sentence: 'Weights and biases are constant.',
    basis: 'documented',
    source: 'coral.ai',
    status: limited,
    check(operator) {
      const computed = operator.inputs.filter(({ constant }) => !constant)
      return computed.length <= 1 ? ok : saw(`${computed.at(-1)!.name} is computed`)
    },
  },
  {
    id: 'equal-dilation',
    operators: spatial,
    sentence: 'The dilation is the same in x and y.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check(operator) {
      const dilations = (nodeOf(operator, 'Conv') ?? nodeOf(operator, 'ConvTranspose'))?.op.dilations ?? []
      return new Set(dilations).size <= 1 ? ok : saw(`dilation ${dilations.join('×')}`)
    },
  },
  {
    id: 'fully-connected-output',
    operators: ['FULLY_CONNECTED'],
    sentence: 'A fully connected layer has the default weight format and makes a one-dimensional output.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    remedy: 'Write a layer over many places as a 1×1 convolution.',
    check({ outputs }) {
      const wide = outputs.find(({ type }) => type.shape.slice(0, -1).some((size) => size > 1))
      return wide ? saw(`${wide.name} has shape ${shapeText(wide)}`) : ok
    },
  },
  {
    id: 'softmax-size',
    operators: ['SOFTMAX'],
    sentence: 'A softmax is over a one-dimensional tensor of at most 16,000 elements.',
    basis: 'documented',
    source: 'coral.ai 2019',
    status: limited,
    remedy: 'End the network before it: the largest logit is the largest probability.',
    check({ outputs }) {
      const { shape } = outputs[0]!.type
      if (shape.slice(0, -1).some((size) => size > 1)) return saw(`shape ${shapeText(outputs[0]!)}`)
      return shape.at(-1)! <= maxSoftmaxElements ? ok : saw(`${shape.at(-1)} elements`)
    },
  },
  {
    id: 'prelu-alpha',
    operators: ['PRELU'],
    sentence: 'The slopes of a PReLU are constant, one for each channel (Keras: shared_axes=[1, 2]).',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check({ inputs }) {
      const slopes = inputs.find(({ constant }) => constant)
      if (!slopes) return saw('computed slopes')
      const elements = product(slopes.type.shape)
      return elements === Math.max(1, ...slopes.type.shape) ? ok : saw(`slopes of shape ${shapeText(slopes)}`)
    },
  },
  {
    id: 'no-fused-activation',
    operators: ['AVERAGE_POOL_2D', 'MAX_POOL_2D', 'CONCATENATION'],
    sentence: 'A pool or concatenation has no fused activation.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    remedy: 'Put the activation in an operator of its own.',
    check(operator) {
      const fused = nodeOf(operator, 'Relu') ?? nodeOf(operator, 'Clip') ?? nodeOf(operator, 'Tanh')
      return fused && operator.nodes.length > 1 ? saw(`a fused ${fused.op.kind}`) : ok
    },
  },
  {
    id: 'mean-size',
    operators: ['MEAN'],
    sentence:
      'A mean is over at most 16,384 places (64×128 is mapped, 256×128 is not; the bound between them is ours).',
    basis: 'observed',
    source: 'google-coral/edgetpu#461',
    status: limited,
    remedy: 'The rewrite split-mean takes it one axis after the other.',
    check(operator) {
      const from = operator.inputs[0]!.type.shape
      const to = operator.outputs[0]!.type.shape
      const places = product(from) / Math.max(1, product(to))
      return places <= maxMeanPlaces ? ok : saw(`${places} places`)
    },
  },
  {
    id: 'mean-channels',
    operators: ['MEAN'],
    sentence: 'A mean over channels has a multiple of 4 of them.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check(operator) {
      const axes = nodeOf(operator, 'Reduce')?.op.axes
      const { shape } = operator.inputs[0]!.type
      const channels = shape.at(-1)!
      return axes?.includes(shape.length - 1) && channels % 4 !== 0 ? saw(`${channels} channels`) : ok
    },
  },
  {
    id: 'reduction-axes',
    operators: reductions,
    sentence: 'A reduction leaves the batch alone.',
    basis: 'documented',
    source: 'Axis ARTPEC-7',
    status: limited,
    check(operator) {
      const axes = nodeOf(operator, 'Reduce')?.op.axes
      const rank = operator.inputs[0]!.type.shape.length
      return axes?.includes(0) && rank > 1 ? saw(`axes ${axes.join(', ')}`) : ok
    },
  },
]
