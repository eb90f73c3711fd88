import { tensorOf } from '../../graph/constant.ts'
import { EdgewrightError } from '../../error.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { mseScale } from '../../quantize/mse-scale.ts'
import type { Ranges } from '../../quantize/ranges.ts'
import { elementCount } from '../../tensor.ts'
import { GraphBuilder } from '../builder.ts'
import type { Network, NetworkValues, Parameter } from '../network.ts'
import { openNetwork } from '../open-network.ts'
import { foldableNorms, NormFolding } from './batch-norm.ts'
import { fakeQuantize } from './fake-quantize.ts'
import { fakeLayer, scaleShape, type WeightScales } from './fake-weights.ts'
import type { Grid } from './grid.ts'
import { type LayerNumerics, quantizedLayers } from './layers.ts'
import {
  gridAt,
  type LearnedScale,
  LearnedScales,
  type LearnedScalesOptions,
  scaleRole,
} from './learned-scales.ts'
import { markGrids } from './mark.ts'
import { prepareForTraining } from './prepared-graph.ts'
import { relativeRate } from './rates.ts'
import { type ScaleClass, type ScaleClasses, scaleClassesOf } from './scale-parameters.ts'
import type { QuantizationTarget } from './target.ts'
import { TypedEdges } from './typed-edges.ts'

export interface SimulateOptions extends LearnedScalesOptions {
  /** Samples of a training step. */
  readonly batchSize: number
  /** `min-max` by default. */
  readonly weightScales?: WeightScales
  /** Fewer than 8: for what no artifact exists for. */
  readonly weightBits?: number
  /**
   * The network before its batch norms were folded: they are folded in the loop then, by their running statistics
   * (Krishnamoorthi 2018, section 3.2, after its freeze).
   */
  readonly unfolded?: Graph
  /** Weights move in proportion to the magnitude of their layer's; default true. See `relativeRate`. */
  readonly relativeRates?: boolean
}

/** Where the scales of a layer's weights start, and their parameter where they are learned. */
export interface WeightScaleStart {
  /** For each index of the axis. */
  readonly start: Float32Array
  readonly parameter: string | null
}

/** A network that computes in training what a target will compute of it, and what leads back from there. */
export interface Simulation {
  readonly network: Network
  /** The float graph that stands behind it: as given, with names of its own and a Gemm's factor in its weights. */
  readonly graph: Graph
  /** `graph` with its marks: what `network` was opened from. */
  readonly marked: Graph
  readonly layers: readonly LayerNumerics[]
  readonly classes: ScaleClasses
  readonly scales: readonly LearnedScale[]
  /** By node name; empty where scales of weights are min-max. */
  readonly weightScales: ReadonlyMap<string, WeightScaleStart>
  readonly target: QuantizationTarget
  /** Nodes whose batch norm is folded in the loop. */
  readonly foldedNorms: readonly string[]
  /** Values with what batch norms make of weights and biases in the place of these. */
  foldedValues(values: NetworkValues): NetworkValues
  /** That of a class in training, before its scale is learned: another where activations have fewer bits. */
  gridOf(one: ScaleClass): Grid
  /** False where other widths than the target's were asked for: no artifact computes so. */
  readonly deployable: boolean
}

/**
 * Quantization-aware training for a target: the float network with each value rounded where the target's own typed graph
 * stores it in integers. Weights, biases and scales are rounded in the program from what they are at each step (Jacob et
 * al. 2018, section 3); gradients go straight through; scales are learned by LSQ (Esser et al. 2020), zero points stay.
 *
 * @param given float, as the target tailored it
 * @param ranges of `graph`, at least of what the target wants
 * @param target with `wanted` and `prepare` for graphs of these operators
 * @param chosen makes the typed graph whose scales training starts from, where ranges are chosen otherwise than by min-max
 * @throws CONFIG_INVALID where the target computes no layer in integers; what `openNetwork` throws
 */
export function simulateQuantization(
  given: Graph,
  ranges: Ranges,
  target: QuantizationTarget,
  options: SimulateOptions,
  chosen: QuantizationTarget['prepare'] = (graph, all) => target.prepare(graph, all),
): Simulation {
  const { batchSize, weightBits = 8, activationBits } = options
  const graph = prepareForTraining(given)
  const classes = scaleClassesOf(graph, chosen(graph, ranges), ranges, target)
  const edges = new TypedEdges(graph, classes.typed.graph)
  const layers = quantizedLayers(graph, classes.typed.graph, edges).map((layer) =>
    weightBits === 8 ? layer : { ...layer, limit: 2 ** (weightBits - 1) - 1 },
  )
  if (layers.length === 0)
    throw new EdgewrightError(
      'CONFIG_INVALID',
      'No layer of the network computes in integers on this target.',
      {
        where: graph.name,
        hint: 'Quantization-aware training is for layers whose weights the target stores in integers: edgewright inspect names them.',
      },
    )
  const marked = markGrids(graph, classes.typed.graph, edges, layers, target.ties)
  const opened = openNetwork(marked.graph, {
    batchSize,
    batchNorm: 'frozen',
    trainable: (name) => !marked.still.has(name),
  })
  const b = new GraphBuilder(opened.graph, opened.customGradients)
  const scales = new LearnedScales(b, classes, graph.inputs, options)
  const nodes = new Map(b.editor.nodes.map((node) => [node.name, node]))
  for (const [name, typed] of marked.marks) {
    const node = nodes.get(name)
    if (!node) continue
    b.editor.removeNode(node)
    const ties = marked.ties.get(name)
    const [zeroPoint] = classes.typed.graph.values.get(typed)!.type.quantization!.zeroPoints
    const grid = ties
      ? { ...scales.of(typed), ties: { rounding: ties, zeroPoint: zeroPoint! } }
      : scales.of(typed)
    b.within(name, () => fakeQuantize(b, node.inputs[0]!, grid, batchSize, node.outputs[0]!))
  }
  const norms = options.unfolded ? foldableNorms(options.unfolded) : []
  const folding = new NormFolding(b, norms, opened.parameters)
  const weights = new LayerRounding(b, graph, scales, folding, options)
  for (const numerics of layers) weights.add(nodes.get(numerics.node)!, numerics)
  const whole = folding.parameters(opened.parameters)
  const own = options.relativeRates === false ? whole : whole.map(relativeRate)
  return {
    network: {
      ...opened,
      graph: b.finish(opened.graph.outputs),
      parameters: [...own, ...scales.parameters, ...weights.parameters],
      customGradients: b.customGradients,
    },
    graph,
    marked: marked.graph,
    layers,
    classes,
    scales: scales.learned,
    weightScales: weights.starts,
    target,
    foldedNorms: folding.gammas.map(({ name }) => name.slice('gamma/'.length)),
    foldedValues: (values) => folding.foldedValues(values),
    gridOf: (one) => gridAt(one, activationBits),
    deployable: weightBits === 8 && activationBits === undefined,
  }
}

/** Puts rounded weights and biases in the place of those of a network's layers. */
class LayerRounding {
  readonly parameters: Parameter[] = []
  readonly starts = new Map<string, WeightScaleStart>()
  readonly #b: GraphBuilder
  readonly #graph: Graph
  readonly #scales: LearnedScales
  readonly #folding: NormFolding
  readonly #options: SimulateOptions

  constructor(
    b: GraphBuilder,
    graph: Graph,
    scales: LearnedScales,
    folding: NormFolding,
    options: SimulateOptions,
  ) {
    this.#b = b
    this.#graph = graph
    this.#scales = scales
    this.#folding = folding
    this.#options = options
  }

  /** @param node of the network */
  add(node: Node, numerics: LayerNumerics): void {
    const b = this.#b
    const [x, w, c = null] = node.inputs as [string, string, (string | null)?]
    const { weights, bias } = this.#folding.fold(numerics.node, w, c)
    const { scale, parameter } =
      numerics.input === null ? { scale: 1, parameter: null } : this.#scales.of(numerics.input)
    const how = this.#options.weightScales ?? 'min-max'
    const limitScale = how === 'min-max' ? null : this.#limitScale(weights, numerics, how === 'learned')
    const operands = b.within(`fake_quantize/${numerics.node}`, () =>
      fakeLayer(b, {
        numerics,
        weights,
        bias,
        inputScale: parameter ?? b.scalar(scale),
        limitScale,
        learned: how === 'learned',
      }),
    )
    const rest = node.inputs.length > 2 ? [operands.bias] : []
    b.editor.updateNode(node, { inputs: [x, operands.weights, ...rest] })
  }

  #limitScale(weights: string, numerics: LayerNumerics, learned: boolean): string {
    const b = this.#b
    const start = startOf(this.#graph, numerics)
    const shape = scaleShape(b.shape(weights), numerics.axis)
    const initial = b.floats(start, shape)
    const parameter = learned ? `weight_scale/${numerics.node}` : null
    this.starts.set(numerics.node, { start, parameter })
    if (parameter === null) return initial
    const ones = new Float32Array(start.length).fill(1)
    this.parameters.push({ name: parameter, shape, initial: ones, ...scaleRole(this.#options) })
    return b.mul(initial, b.input(parameter, shape))
  }
}

/** Scales of the least squared error for the weights of a layer, in the order of its axis. */
function startOf(graph: Graph, { node, axis, limit }: LayerNumerics): Float32Array {
  const { inputs } = graph.nodes.find(({ name }) => name === node)!
  const constant = graph.values.get(inputs[1]!)!.constant!
  const weights = tensorOf(constant).data as Float32Array
  const { shape } = constant
  const inner = axis === null ? weights.length : elementCount(shape.slice(axis + 1))
  const count = axis === null ? 1 : shape[axis]!
  const slices = Array.from({ length: count }, () => [] as number[])
  weights.forEach((w, i) => {
    slices[Math.floor(i / inner) % count]!.push(w)
  })
  return Float32Array.from(slices, (slice) => mseScale(Float64Array.from(slice), limit))
}
