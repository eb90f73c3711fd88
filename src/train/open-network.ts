import { EdgewrightError } from '../error.ts'
import { tensorOf } from '../graph/constant.ts'
import type { Graph } from '../graph/types.ts'
import { GraphBuilder } from './builder.ts'
import type { Network, Parameter } from './network.ts'
import { type LearnedConstant, learnedConstants } from './trainable.ts'
import { inSourceOrder, placeElements, type TracedConstant, traceLayout } from './traced-layout.ts'

export interface OpenNetworkOptions {
  /** Samples of a training step. */
  readonly batchSize: number
  /**
   * `train`: batch normalization by the statistics of each batch, running ones kept. `frozen`: by the running ones, as in
   * inference; their scales and shifts are parameters all the same.
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
  const learned = learnedConstants(graph)
  const traced = traceLayout(graph, batchSize)
  const taken = [...learned.values()].filter(({ name }) => traced.constants.has(name))
  if (!taken.some(({ name }) => trainable(name))) throw nothingToTrain(graph, taken)
  const views = taken.map(({ name }) => ({ name, ...viewsOf(traced.constants.get(name)!, name) }))
  const b = new GraphBuilder(withInputs(traced.graph, views))
  for (const { name, primary, others } of views)
    for (const other of others) b.editor.redirect(other.name, derived(b, name, primary, other))
  const parameters = views.map(({ name, primary }): Parameter => {
    const numbers = tensorOf(graph.values.get(name)!.constant!).data as Float32Array
    return {
      name,
      shape: primary.shape,
      initial: placeElements(numbers, primary),
      trainable: trainable(name),
      decay: learned.get(name)!.decay,
    }
  })
  return {
    graph: b.finish(graph.outputs),
    batchSize,
    inputs: graph.inputs,
    outputs: graph.outputs,
    parameters,
    statistics: [],
    customGradients: b.customGradients,
  }
}

interface Views {
  /** The one that is the parameter. */
  readonly primary: TracedConstant
  /** Those that are made of it. */
  readonly others: readonly TracedConstant[]
}

/** Which of the forms of a constant is the parameter: one that kept the name, so that it stays free for it. */
export function viewsOf(constants: readonly TracedConstant[], name: string): Views {
  const primary = constants.find((constant) => constant.name === name) ?? constants[0]!
  return { primary, others: constants.filter((constant) => constant !== primary) }
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

function nothingToTrain(graph: Graph, taken: readonly LearnedConstant[]): EdgewrightError {
  return new EdgewrightError('GRAPH_INVALID', 'Nothing in the network can be trained.', {
    where: graph.name,
    saw: taken.length > 0 ? `all ${taken.length} parameters are held fixed` : 'no layer with float32 weights',
  })
}
