import { EdgewrightError } from '../error.ts'
import { tensorOf } from '../graph/constant.ts'
import type { Graph } from '../graph/types.ts'
import { GraphBuilder } from './builder.ts'
import { type RunningStatisticsOptions, trainBatchNorm } from './batch-norm.ts'
import type { Network, Parameter } from './network.ts'
import { learnedConstants, runningStatistics } from './trainable.ts'
import { unshareConstants } from './unshare-constants.ts'
import {
  inSourceOrder,
  placeElements,
  type TracedConstant,
  type TracedGraph,
  traceLayout,
} from './traced-layout.ts'

export interface OpenNetworkOptions extends RunningStatisticsOptions {
  /** Samples of a training step. */
  readonly batchSize: number
  /**
   * `train`: batch normalization by the statistics of each batch, running ones kept. `frozen`: by the running ones, as in
   * inference; scales and shifts are parameters all the same. One whose scale and shift are held fixed is frozen in any
   * case, as Keras has it.
   */
  readonly batchNorm: 'train' | 'frozen'
  /** Which parameters training changes, by the name of the constant; all by default. */
  readonly trainable?: (name: string) => boolean
}

/**
 * Opens a network for training: channels first, for a fixed batch, with what was learned as inputs instead of
 * constants. Parameters have the names of their constants; a constant that several operators share is one parameter.
 *
 * @param graph a float network after `trainingPasses`
 * @throws MODEL_FORMAT_UNSUPPORTED for a quantized network; GRAPH_INVALID where nothing in it was learned; what
 * `rebatch` throws
 */
export function openNetwork(graph: Graph, options: OpenNetworkOptions): Network {
  const { batchSize, trainable = () => true } = options
  requireFloat(graph)
  const own = unshareConstants(graph)
  const traced = traceLayout(own, batchSize)
  const learned = learnedConstants(own)
  const parameters = [...learned.values()].flatMap(({ name, decay }): Parameter[] => {
    const placed = placedConstant(own, traced, name)
    return placed ? [{ ...placed, trainable: trainable(name), decay }] : []
  })
  if (!parameters.some((parameter) => parameter.trainable)) throw nothingToTrain(own, parameters)
  const moving = new Set(parameters.flatMap((parameter) => (parameter.trainable ? [parameter.name] : [])))
  const kept = options.batchNorm === 'train' ? movingStatistics(own, moving) : []
  const running = kept.flatMap((name) => placedConstant(own, traced, name) ?? [])
  const views = [...parameters, ...running].map(({ name }) => ({ name, ...viewsOf(traced, name)! }))
  const b = new GraphBuilder(withInputs(traced.graph, views))
  for (const { name, primary, others } of views)
    for (const other of others) b.editor.redirect(other.name, derived(b, name, primary, other))
  const next = trainAll(b, new Set(running.map(({ name }) => name)), options)
  const statistics = running.map((statistic) => ({ ...statistic, next: next.get(statistic.name)! }))
  return {
    graph: b.finish([...graph.outputs, ...statistics.map((statistic) => statistic.next)]),
    batchSize,
    inputs: graph.inputs,
    outputs: graph.outputs,
    parameters,
    statistics,
    customGradients: b.customGradients,
  }
}

/** A constant as it stands in the graph for training; null where nothing there needs it. */
function placedConstant(graph: Graph, traced: TracedGraph, name: string) {
  const primary = viewsOf(traced, name)?.primary
  if (!primary) return null
  const numbers = tensorOf(graph.values.get(name)!.constant!).data as Float32Array
  return { name, shape: primary.shape, initial: placeElements(numbers, primary) }
}

/** The running statistics of batch normalizations that are trained: those with a scale or shift that moves. */
function movingStatistics(graph: Graph, moving: ReadonlySet<string>): string[] {
  return runningStatistics({
    ...graph,
    nodes: graph.nodes.filter(({ inputs }) => moving.has(inputs[1]!) || moving.has(inputs[2]!)),
  })
}

/**
 * Puts all batch normalizations whose statistics are kept into their training form. A layer that is applied several
 * times moves its statistics each time.
 * @returns by statistic, the value that it has after the step
 */
function trainAll(
  b: GraphBuilder,
  kept: ReadonlySet<string>,
  options: OpenNetworkOptions,
): ReadonlyMap<string, string> {
  const next = new Map([...kept].map((name) => [name, name]))
  for (const node of b.editor.nodes) {
    if (node.op.kind !== 'BatchNormalization') continue
    const [mean, variance] = [node.inputs[3]!, node.inputs[4]!]
    if (!kept.has(mean) || !kept.has(variance)) continue
    const running = { mean: next.get(mean)!, variance: next.get(variance)! }
    const moved = trainBatchNorm(b, node, running, options)
    next.set(mean, moved.mean)
    next.set(variance, moved.variance)
  }
  for (const [name, after] of next) if (name === after) throw entangledStatistics(name)
  return next
}

/** Half of its statistics is computed, or a layer has them in several orders. */
function entangledStatistics(where: string): EdgewrightError {
  return new EdgewrightError(
    'OPERATOR_UNSUPPORTED',
    'A batch normalization cannot train: its statistics are not constants of its own.',
    { where, hint: 'Train with frozen batch normalization.' },
  )
}

interface Views {
  /** The one that is the parameter. */
  readonly primary: TracedConstant
  /** Those that are made of it. */
  readonly others: readonly TracedConstant[]
}

/** The forms of a constant: one that kept its name is the parameter, so that the name is free for it. */
export function viewsOf({ constants }: TracedGraph, name: string): Views | null {
  const forms = constants.get(name) ?? []
  const primary = forms.find((form) => form.name === name) ?? forms[0]
  return primary ? { primary, others: forms.filter((form) => form !== primary) } : null
}

/** Constants become inputs under the names that they have in the file. */
function withInputs(graph: Graph, views: readonly (Views & { readonly name: string })[]): Graph {
  const renamed = new Map(views.map(({ name, primary }) => [primary.name, name]))
  const values = new Map(graph.values)
  for (const { name, primary } of views) {
    values.delete(primary.name)
    values.set(name, {
      name,
      type: { dtype: 'float32', shape: primary.shape, quantization: null },
      constant: null,
    })
  }
  const rename = (name: string | null) => (name === null ? null : (renamed.get(name) ?? name))
  return {
    ...graph,
    inputs: [...graph.inputs, ...views.map(({ name }) => name)],
    values,
    nodes: graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(rename) })),
  }
}

/** Another form of a parameter. */
function derived(b: GraphBuilder, name: string, primary: TracedConstant, other: TracedConstant): string {
  return b.within(name, () => {
    if (inSourceOrder(primary) && inSourceOrder(other)) return b.reshape(name, other.shape)
    const at = new Uint32Array(primary.elements.length)
    primary.elements.forEach((element, index) => {
      at[element] = index
    })
    const order = b.integers(Array.from(other.elements, (element) => at[element]!))
    const flat = b.reshape(name, [at.length])
    return b.reshape(b.op({ kind: 'Gather', axis: 0 }, [flat, order]), other.shape)
  })
}

function requireFloat(graph: Graph): void {
  const quantized = [...graph.values.values()].find(({ type }) => type.quantization !== null)
  const node = graph.nodes.find(({ op }) => op.kind === 'Opaque' && /quant|qlinear|integer/i.test(op.opType))
  if (!quantized && !node) return
  throw new EdgewrightError(
    'MODEL_FORMAT_UNSUPPORTED',
    'The network is quantized already; training needs its float form.',
    {
      where: node?.name ?? quantized!.name,
      saw: node?.op.kind === 'Opaque' ? node.op.opType : quantized!.type.dtype,
      hint: 'Give the float file that it was made from.',
    },
  )
}

function nothingToTrain(graph: Graph, parameters: readonly Parameter[]): EdgewrightError {
  return new EdgewrightError('GRAPH_INVALID', 'Nothing in the network can be trained.', {
    where: graph.name,
    saw:
      parameters.length > 0
        ? `all ${parameters.length} parameters are held fixed`
        : 'no layer with float32 weights',
  })
}
