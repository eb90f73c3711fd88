import type { Op } from '../../../graph/ops.ts'
import { EdgewrightError } from '../../../error.ts'
import { isRecord, LayerConfig } from '../config.ts'
import { axisOf, type LayerCall, type LayerTable } from './layer.ts'
import { quantizeActivation } from './quantized.ts'

/** Constants of Klambauer et al. 2017, Self-Normalizing Neural Networks. */
const selu = { alpha: 1.6732632423543772, scale: 1.0507009873554805 }

type Activation = (call: LayerCall, x: string) => string
const single =
  (op: Op): Activation =>
  ({ graph }, x) =>
    graph.node(op, [x])
const mul: Op = { kind: 'Binary', fn: 'Mul' }
const timesX =
  (op: Op): Activation =>
  ({ graph }, x) =>
    graph.node(mul, [x, graph.node(op, [x])])

const activations: Readonly<Record<string, Activation>> = {
  linear: (_, x) => x,
  relu: single({ kind: 'Relu' }),
  relu6: single({ kind: 'Clip', min: 0, max: 6 }),
  leaky_relu: single({ kind: 'LeakyRelu', alpha: 0.2 }),
  sigmoid: single({ kind: 'Sigmoid' }),
  tanh: single({ kind: 'Tanh' }),
  elu: single({ kind: 'Elu', alpha: 1 }),
  celu: single({ kind: 'Elu', alpha: 1 }),
  selu: ({ graph }, x) =>
    graph.node(mul, [graph.node({ kind: 'Elu', alpha: selu.alpha }, [x]), graph.scalar(selu.scale)]),
  softplus: single({ kind: 'Unary', fn: 'Softplus' }),
  softsign: single({ kind: 'Unary', fn: 'Softsign' }),
  exponential: single({ kind: 'Unary', fn: 'Exp' }),
  swish: timesX({ kind: 'Sigmoid' }),
  gelu: single({ kind: 'Gelu', approximate: 'none' }),
  gelu_new: single({ kind: 'Gelu', approximate: 'tanh' }),
  mish: ({ graph }, x) =>
    graph.node(mul, [x, graph.node({ kind: 'Tanh' }, [graph.node({ kind: 'Unary', fn: 'Softplus' }, [x])])]),
  hard_sigmoid: ({ graph, kerasMajor }, x) =>
    graph.node({ kind: 'HardSigmoid', alpha: kerasMajor >= 3 ? 1 / 6 : 0.2, beta: 0.5 }, [x]),
  hard_swish: single({ kind: 'HardSwish' }),
  hard_tanh: single({ kind: 'Clip', min: -1, max: 1 }),
  softmax: ({ graph }, x) => graph.node({ kind: 'Softmax', axis: graph.shape(x).length - 1 }, [x]),
  log_softmax: ({ graph }, x) => graph.node({ kind: 'LogSoftmax', axis: graph.shape(x).length - 1 }, [x]),
}

const aliases: Readonly<Record<string, string>> = {
  silu: 'swish',
  hard_silu: 'hard_swish',
  hardsigmoid: 'hard_sigmoid',
  logsoftmax: 'log_softmax',
  gelunew: 'gelu_new',
}

/** Applies the activation that a layer's setting names; absent means none. */
export function activate(call: LayerCall, x: string, setting = 'activation', fallback = 'linear'): string {
  return applyActivation(call, x, call.config.raw(setting) ?? fallback)
}

function applyActivation(call: LayerCall, x: string, activation: unknown): string {
  if (typeof activation === 'string') return namedActivation(call, x, activation)
  if (isRecord(activation)) {
    const { class_name: className, config } = activation
    // tfmot wraps the activation of a layer that it quantizes
    if (className === 'QuantizeAwareActivation' && isRecord(config)) {
      const before = quantizeActivation(call.graph, x, call.ranges?.get('pre_activation') ?? null)
      const after = applyActivation(call, before, config.activation)
      return quantizeActivation(call.graph, after, call.ranges?.get('post_activation') ?? null)
    }
    if (className === 'NoOpActivation') return x
    if (typeof config === 'string') return namedActivation(call, x, config)
    if (typeof className === 'string' && activationLayers[className])
      return activationLayers[className]({
        ...call,
        inputs: [x],
        config: new LayerConfig(config ?? {}, call.name),
      })[0]!
    if (typeof className === 'string') return namedActivation(call, x, className)
  }
  throw unknownActivation(call, activation)
}

function namedActivation(call: LayerCall, x: string, name: string): string {
  const plain = name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
  const apply = activations[aliases[plain] ?? plain]
  if (!apply) throw unknownActivation(call, name)
  return apply(call, x)
}

function unknownActivation(call: LayerCall, activation: unknown): EdgewrightError {
  return new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'The model uses an activation that Edgewright does not know.',
    {
      where: `${call.className} ${call.name}`,
      saw: (JSON.stringify(activation) ?? String(activation)).slice(0, 200),
      hint: 'Use one of Keras’s own, or export the model to ONNX.',
    },
  )
}

/** Layers that are nothing but an activation. */
export const activationLayers: LayerTable = {
  Activation: (call) => [activate(call, call.inputs[0]!)],
  ReLU: readRelu,
  LeakyReLU: ({ graph, config, inputs }) => {
    const alpha = config.has('negative_slope') ? config.number('negative_slope') : config.number('alpha', 0.3)
    return [graph.node({ kind: 'LeakyRelu', alpha }, inputs)]
  },
  ELU: ({ graph, config, inputs }) => [graph.node({ kind: 'Elu', alpha: config.number('alpha', 1) }, inputs)],
  PReLU: readPRelu,
  Softmax: ({ graph, config, inputs }) => {
    const rank = graph.shape(inputs[0]!).length
    const [axis = -1, ...more] = config.has('axis') ? config.integers('axis') : [-1]
    if (more.length > 0)
      throw new EdgewrightError('OPERATOR_UNSUPPORTED', 'A softmax over several axes is not supported.', {
        where: config.where,
      })
    return [graph.node({ kind: 'Softmax', axis: axisOf(axis, rank) }, inputs)]
  },
  ThresholdedReLU: ({ graph, config, inputs }) => [thresholded(graph, inputs[0]!, config.number('theta', 1))],
}

/** max_value, negative_slope and threshold: f(x) = max_value, x, or negative_slope · (x − threshold). */
function readRelu({ graph, config, inputs }: LayerCall): string[] {
  const [x] = inputs as [string]
  const slope = config.has('negative_slope') ? config.number('negative_slope') : 0
  const threshold = config.has('threshold') ? config.number('threshold') : 0
  const max = config.has('max_value') ? config.number('max_value') : Infinity
  if (threshold === 0) {
    if (slope === 0 && max === Infinity) return [graph.node({ kind: 'Relu' }, [x])]
    if (slope === 0) return [graph.node({ kind: 'Clip', min: 0, max }, [x])]
    const leaky = graph.node({ kind: 'LeakyRelu', alpha: slope }, [x])
    return [max === Infinity ? leaky : graph.node({ kind: 'Clip', min: -Infinity, max }, [leaky])]
  }
  const shifted = graph.node({ kind: 'Binary', fn: 'Sub' }, [x, graph.scalar(threshold)])
  const below = graph.node(mul, [shifted, graph.scalar(slope)])
  const above = max === Infinity ? x : graph.node({ kind: 'Clip', min: -Infinity, max }, [x])
  const isAbove = graph.node({ kind: 'Comparison', fn: 'GreaterOrEqual' }, [x, graph.scalar(threshold)])
  return [graph.node({ kind: 'Where' }, [isAbove, above, below])]
}

function thresholded(graph: LayerCall['graph'], x: string, theta: number): string {
  const isAbove = graph.node({ kind: 'Comparison', fn: 'Greater' }, [x, graph.scalar(theta)])
  return graph.node({ kind: 'Where' }, [isAbove, x, graph.scalar(0)])
}

function readPRelu({ graph, inputs, weights }: LayerCall): string[] {
  const [x] = inputs as [string]
  // one slope for each element but the batch; shared axes have size 1
  const slope = weights.take('alpha', new Array<null>(graph.shape(x).length - 1).fill(null))
  return [graph.node({ kind: 'PRelu' }, [x, graph.constant('alpha', slope)])]
}
