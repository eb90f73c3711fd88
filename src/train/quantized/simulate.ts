import { tensorOf } from '../../graph/constant.ts'
import type { Graph } from '../../graph/types.ts'
import { mseScale } from '../../quantize/mse-scale.ts'
import type { Ranges } from '../../quantize/ranges.ts'
import { elementCount } from '../../tensor.ts'
import { GraphBuilder } from '../builder.ts'
import type { Network, Parameter } from '../network.ts'
import { openNetwork } from '../open-network.ts'
import { bounded } from './bounded.ts'
import { fakeQuantize, type FakeGrid } from './fake-quantize.ts'
import { fakeLayer, roundedUpToFloat16, scaleShape, type WeightScales } from './fake-weights.ts'
import { type Grid, narrowed } from './grid.ts'
import { type LayerNumerics, quantizedLayers } from './layers.ts'
import { markGrids } from './mark.ts'
import { prepareForTraining } from './prepared-graph.ts'
import { onScaleGrid, type ScaleClass, type ScaleClasses, scaleClassesOf } from './scale-parameters.ts'
import type { QuantizationTarget } from './target.ts'
import { TypedEdges } from './typed-edges.ts'

export interface SimulateOptions {
  /** Samples of a training step. */
  readonly batchSize: number
  /** Scales of activations are learned where the target leaves them free (LSQ); else they stay. Default true. */
  readonly learnScales?: boolean
  /** `min-max` by default. */
  readonly weightScales?: WeightScales
  /** Fewer than 8: for what no artifact exists for. */
  readonly weightBits?: number
  readonly activationBits?: number
  /** Factor on the learning rate of scales; 1 by default: they are relative to where they start. */
  readonly scaleRate?: number
  /** Weights move in proportion to the magnitude of their layer's; default true. See `relativeRate`. */
  readonly relativeRates?: boolean
}

/** A learned scale: `initial scale · parameter`, so that a step means the same for small and large ones. */
export interface LearnedScale {
  readonly parameter: string
  readonly of: ScaleClass
  /** Where it starts. */
  readonly grid: Grid
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
  /** By node name: where the learned or frozen scales of weights start, and their parameter where they are learned. */
  readonly weightScales: ReadonlyMap<
    string,
    { readonly start: Float32Array; readonly parameter: string | null }
  >
  readonly target: QuantizationTarget
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
 * @param graph float, as the target tailored it
 * @param ranges of `graph`, at least of what the target wants
 * @param target with `wanted` and `prepare` for graphs of these operators
 * @param chosen makes the typed graph whose scales training starts from, where ranges are chosen otherwise than by min-max
 */
export function simulateQuantization(
  given: Graph,
  ranges: Ranges,
  target: QuantizationTarget,
  options: SimulateOptions,
  chosen: QuantizationTarget['prepare'] = (graph, all) => target.prepare(graph, all),
): Simulation {
  const graph = prepareForTraining(given)
  const classes = scaleClassesOf(graph, chosen(graph, ranges), ranges, target)
  const edges = new TypedEdges(graph, classes.typed.graph)
  const { weightBits = 8, activationBits = 8 } = options
  const layers = quantizedLayers(graph, classes.typed.graph, edges).map((layer) =>
    weightBits === 8 ? layer : { ...layer, limit: 2 ** (weightBits - 1) - 1 },
  )
  const marked = markGrids(graph, classes.typed.graph, edges, layers)
  const { batchSize } = options
  const opened = openNetwork(marked.graph, {
    batchSize,
    batchNorm: 'frozen',
    trainable: (name) => !marked.still.has(name),
  })
  const b = new GraphBuilder(opened.graph, opened.customGradients)
  const scales = new Scales(b, classes, options, activationBits)
  const nodes = new Map(b.editor.nodes.map((node) => [node.name, node]))
  for (const [name, typed] of marked.marks) {
    const node = nodes.get(name)
    if (!node) continue
    b.editor.removeNode(node)
    b.within(name, () => fakeQuantize(b, node.inputs[0]!, scales.of(typed), batchSize, node.outputs[0]!))
  }
  const weightScales = new Map<string, { start: Float32Array; parameter: string | null }>()
  const weightParameters: Parameter[] = []
  const { weightScales: how = 'min-max' } = options
  for (const numerics of layers) {
    // what stands between may have put a copy of the node in its place
    const node = b.editor.nodes.find(({ name }) => name === numerics.node)!
    const [x, weights, bias = null] = node.inputs as [string, string, (string | null)?]
    const { scale, parameter } = scales.of(numerics.input)
    const start = how === 'min-max' ? null : startOf(graph, numerics)
    let limitScale: string | null = null
    if (start) {
      const shape = scaleShape(b.shape(weights), numerics.axis)
      const initial = b.floats(start, shape)
      const name = `weight_scale/${numerics.node}`
      if (how === 'learned') {
        limitScale = b.mul(initial, b.input(name, shape))
        const ones = new Float32Array(start.length).fill(1)
        weightParameters.push({ name, shape, initial: ones, ...scaleRole(options) })
      } else limitScale = initial
      weightScales.set(numerics.node, { start, parameter: how === 'learned' ? name : null })
    }
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
    b.editor.updateNode(node, {
      inputs: [x, operands.weights, ...(node.inputs.length > 2 ? [operands.bias] : [])],
    })
  }
  const own = options.relativeRates === false ? opened.parameters : opened.parameters.map(relativeRate)
  const parameters = [...own, ...scales.parameters, ...weightParameters]
  return {
    network: {
      ...opened,
      graph: b.finish(opened.graph.outputs),
      parameters,
      customGradients: b.customGradients,
    },
    graph,
    marked: marked.graph,
    layers,
    classes,
    scales: scales.learned,
    weightScales,
    target,
    gridOf: (one) => gridAt(one, activationBits),
    deployable: weightBits === 8 && activationBits === 8,
  }
}

/** Root mean square of weights that move at the learning rate itself. */
const usualMagnitude = 0.05

/**
 * Folded batch norms make weights of one layer a hundred times those of another (0.0045 to 2 in ResNet8), while an
 * adaptive optimizer moves all alike: what one layer does not feel takes another apart. The rate follows the magnitude, as
 * in LARS (You et al. 2017).
 */
function relativeRate(parameter: Parameter): Parameter {
  const { initial, decay } = parameter
  const square = initial.reduce((sum, w) => sum + w * w, 0) / Math.max(1, initial.length)
  // biases start at 0 and are to move from there
  const least = decay ? 0 : 0.1
  const share = Math.max(least, Math.sqrt(square) / usualMagnitude)
  return share > 0 ? { ...parameter, rateFactor: share } : parameter
}

function gridAt({ grid }: ScaleClass, bits: number): Grid {
  return bits === 8 ? grid : narrowed(grid, bits)
}

function scaleRole({ scaleRate = 1 }: SimulateOptions) {
  return { trainable: true, decay: false, rateFactor: scaleRate }
}

/** The share of its start below which no scale is learned. */
const leastShare = 2 ** -6

/** The grids of the program: one learned scale for each class that the target leaves free. */
class Scales {
  readonly parameters: Parameter[] = []
  readonly learned: LearnedScale[] = []
  readonly #b: GraphBuilder
  readonly #classes: ScaleClasses
  readonly #options: SimulateOptions
  readonly #bits: number
  readonly #known = new Map<ScaleClass, FakeGrid>()

  constructor(b: GraphBuilder, classes: ScaleClasses, options: SimulateOptions, bits: number) {
    this.#b = b
    this.#classes = classes
    this.#options = options
    this.#bits = bits
  }

  /** @param typed a value of the typed graph */
  of(typed: string): FakeGrid {
    const one = this.#classes.of.get(typed)!
    const known = this.#known.get(one)
    if (known) return known
    const grid = gridAt(one, this.#bits)
    const free = one.movable && (this.#options.learnScales ?? true)
    const made: FakeGrid = { ...grid, parameter: free ? this.#parameter(one, grid) : null }
    this.#known.set(one, made)
    return made
  }

  #parameter(one: ScaleClass, grid: Grid): string {
    const b = this.#b
    const parameter = `scale/${one.name}`
    b.input(parameter, [])
    this.parameters.push({
      name: parameter,
      shape: [],
      initial: Float32Array.of(1),
      ...scaleRole(this.#options),
    })
    this.learned.push({ parameter, of: one, grid })
    return b.within(parameter, () => {
      const most = largestShare(one)
      const share = bounded(b, parameter, b.scalar(leastShare), most === null ? null : b.scalar(most))
      const scale = b.mul(b.scalar(grid.scale), share)
      if (this.#classes.scaleGrid === null) return scale
      return b.customGradient(roundedUpToFloat16(b, scale), [scale], ({ gradients }) => [gradients[0]!])
    })
  }
}

/** How far a scale may grow until a clip ends its range; null: without end. */
function largestShare({ largestScale, grid }: ScaleClass): number | null {
  if (!Number.isFinite(largestScale)) return null
  let share = Math.fround(largestScale / grid.scale)
  while (Math.fround(grid.scale * share) > largestScale) share = Math.fround(share * (1 - 2 ** -23))
  return share
}

/** What a learned scale is once its parameter has a value: the very number of the program. */
export function scaleAt({ of: one, grid }: LearnedScale, parameter: number, classes: ScaleClasses): number {
  const most = largestShare(one)
  const share = Math.min(Math.max(parameter, leastShare), most ?? Number.POSITIVE_INFINITY)
  const scale = Math.fround(grid.scale * share)
  return classes.scaleGrid === 'float16' ? onScaleGrid(scale, 'float16') : scale
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
