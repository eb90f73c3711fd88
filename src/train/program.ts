import { EdgewrightError } from '../error.ts'
import type { Graph } from '../graph/types.ts'
import { elementCount } from '../tensor.ts'
import { GraphBuilder } from './builder.ts'
import { gradientsOf } from './differentiate.ts'
import type { Loss } from './losses.ts'
import type { Network, Parameter } from './network.ts'
import type { Optimizer } from './optimizers.ts'

/** A tensor that a step takes and gives back changed. float32. */
export interface StateTensor {
  /** Input of the program. */
  readonly name: string
  /** Output of the program. */
  readonly next: string
  readonly shape: readonly number[]
  readonly initial: Float32Array
}

/** One step of training as one graph: forward, loss, backward, optimizer. */
export interface Program {
  readonly graph: Graph
  /** Data inputs: the network's own and those of the loss. */
  readonly feeds: readonly string[]
  /** Parameters, what the optimizer keeps of them, running statistics. */
  readonly state: readonly StateTensor[]
  /** Weights that stay 0 are kept so by a mask: inputs of 0 and 1 in the shape of a parameter, by its name. */
  readonly masks: ReadonlyMap<string, string>
  /** Outputs, scalars: `loss` and what the loss shows. */
  readonly metrics: Readonly<Record<string, string>>
  /** The input that holds the learning rate, a scalar. */
  readonly learningRate: string
  /** Other scalar inputs, for the step that comes after `step` others. */
  scalars(step: number): ReadonlyMap<string, number>
}

export interface ProgramOptions {
  readonly loss: Loss
  readonly optimizer: Optimizer
  /** Gradients of all parameters together are shortened to this norm (Pascanu et al. 2013); none by default. */
  readonly clipNorm?: number
  /** Names of parameters that are to be masked. */
  readonly masked?: readonly string[]
}

const learningRate = 'learning_rate'

/**
 * The program of one training step.
 *
 * @throws OPERATOR_UNSUPPORTED where a gradient cannot reach a parameter; GRAPH_INVALID where the loss depends on none
 */
export function buildProgram(network: Network, options: ProgramOptions): Program {
  const { optimizer } = options
  const b = new GraphBuilder(network.graph, network.customGradients)
  const { loss, metrics } = options.loss(b, network)
  const wanted = network.parameters.filter(({ trainable }) => trainable).map(({ name }) => name)
  const gradients = clipped(b, gradientsOf(b, loss, wanted), options.clipNorm)
  if (gradients.size === 0)
    throw new EdgewrightError('GRAPH_INVALID', 'The loss depends on no weight of the network.', {
      where: network.graph.name,
    })
  const feeds = b.editor.inputs.filter((name) => !isState(network, name))
  b.input(learningRate, [])
  const scalars = new Map(Object.keys(optimizer.scalars(0)).map((name) => [name, b.input(name, [])]))
  const masks = new Map<string, string>()
  const state: StateTensor[] = []
  for (const parameter of network.parameters) {
    const gradient = gradients.get(parameter.name)
    if (gradient === undefined) continue
    b.within(`step/${parameter.name}`, () => {
      const slots = optimizer.slots.map((slot) => b.input(`${slot}/${parameter.name}`, parameter.shape))
      const stepped = optimizer.step(b, {
        parameter,
        gradient,
        slots,
        learningRate: rateOf(b, parameter),
        scalars: Object.fromEntries(scalars),
      })
      let next = stepped.parameter
      if (options.masked?.includes(parameter.name)) {
        masks.set(parameter.name, b.input(`mask/${parameter.name}`, parameter.shape))
        next = b.mul(next, masks.get(parameter.name)!)
      }
      state.push({ name: parameter.name, next, shape: parameter.shape, initial: parameter.initial })
      slots.forEach((name, index) => {
        const initial = new Float32Array(elementCount(parameter.shape))
        state.push({ name, next: stepped.slots[index]!, shape: parameter.shape, initial })
      })
    })
  }
  state.push(...network.statistics)
  const shown = { loss, ...metrics }
  return {
    graph: b.finish([...new Set([...state.map(({ next }) => next), ...Object.values(shown)])]),
    feeds,
    state: [...state, ...unmoved(network, gradients)],
    masks,
    metrics: shown,
    learningRate,
    scalars: (step) => new Map(Object.entries(optimizer.scalars(step))),
  }
}

/** Parameters that no gradient reaches stay as they are. */
function unmoved(network: Network, gradients: ReadonlyMap<string, string>): StateTensor[] {
  return network.parameters
    .filter(({ name }) => !gradients.has(name))
    .map(({ name, shape, initial }) => ({ name, next: name, shape, initial }))
}

function isState({ parameters, statistics }: Network, name: string): boolean {
  return [...parameters, ...statistics].some((tensor) => tensor.name === name)
}

function rateOf(b: GraphBuilder, { rateFactor = 1 }: Parameter): string {
  return rateFactor === 1 ? learningRate : b.mul(learningRate, b.scalar(rateFactor))
}

function clipped(
  b: GraphBuilder,
  gradients: ReadonlyMap<string, string>,
  most: number | undefined,
): ReadonlyMap<string, string> {
  if (most === undefined || gradients.size === 0) return gradients
  return b.within('clip_norm', () => {
    const squares = [...gradients.values()].map((gradient) => b.reduceAll('SumSquare', gradient))
    const norm = b.unary(
      'Sqrt',
      squares.reduce((sum, square) => b.add(sum, square)),
    )
    const factor = b.binary('Min', b.scalar(1), b.div(b.scalar(most), b.add(norm, b.scalar(1e-12))))
    return new Map([...gradients].map(([name, gradient]) => [name, b.mul(gradient, factor)]))
  })
}
