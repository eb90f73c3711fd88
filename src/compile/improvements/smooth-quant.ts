import { setImmediate } from 'node:timers/promises'
import { numbersOf } from '../../graph/constant.ts'
import type { Graph, Node } from '../../graph/types.ts'
import { findRescaling, type Rescaling, rescale } from '../../passes/rescale-channels.ts'
import { chooseSmoothing, type Product, type Smoothing } from '../../quantize/smooth-quant.ts'
import type { ActivationRangeMethod, Ranges, WeightRangeMethod } from '../../quantize/ranges.ts'
import { throwIfAborted } from '../../progress.ts'
import { observeFloat } from '../observe.ts'
import { rangeChoices } from '../range-choices.ts'
import type { Made } from '../trial.ts'
import type { Improvement, ImprovementContext } from './improvement.ts'

/** Every layer gains 1 or 2 dB on the very rows that the factors suit; those seldom reach the outputs. */
const leastGainDb = 2

/** Of all samples together: a choice among five needs no more. */
const sampledRows = 256

/**
 * SmoothQuant (Xiao et al. 2023) for each block by itself: the spread of what a normalization or the mixing of
 * attention gives moves in part into the weights that read it, where that is exact and brings the block's products
 * nearer to float.
 */
export const smoothQuant: Improvement = {
  name: 'SmoothQuant',
  presets: ['balanced', 'best'],
  marginDb: 0,
  async propose(made, context) {
    if (context.recipe.scheme !== 'full-int8')
      return { declined: 'activations of 16 bits hold outliers and the rest alike' }
    const blocks = blocksOf(made)
    if (blocks.length === 0)
      return { declined: 'no int8 product of weights reads channels that constants before it can scale' }
    const smoothings = await smoothingsOf(blocks, made, context)
    const chosen = blocks.flatMap(({ rescaling }, i) =>
      smoothings[i] ? [{ rescaling, ...smoothings[i] }] : [],
    )
    if (chosen.length === 0)
      return {
        declined: `no strength makes the products of any of ${blocks.length} blocks ${leastGainDb} dB better`,
      }
    const graph = rescale(made.trial.graph, chosen)
    const ranges = await context.calibrate(graph)
    const strengths = chosen.map(({ strength }) => strength)
    const smoothed = `SmoothQuant of ${chosen.length} of ${blocks.length} blocks (α ${Math.min(...strengths)} to ${Math.max(...strengths)})`
    // ranges that suited outliers do not suit what is left of them
    return {
      trials: rangeChoices(context.recipe).map(({ name, activation, weight }) => ({
        name: `${smoothed}, ${name}`,
        trial: { ...made.trial, graph, ranges, activation, weight },
      })),
    }
  },
}

/** Layers that share what they read, stored in int8. */
interface Block {
  readonly rescaling: Rescaling
  /** What the first of the layers reads, with its channels on this axis. */
  readonly input: string
  readonly axis: number
  readonly products: readonly Product[]
}

function blocksOf({ trial, typed }: Made): Block[] {
  const { graph } = trial
  const stored = new Map(typed.graph.nodes.map((node) => [node.name, node]))
  const seen = new Set<string>()
  const blocks: Block[] = []
  for (const node of graph.nodes) {
    const input = node.inputs[0]
    if (!input || seen.has(input) || !productOf(graph, node)) continue
    const axis = channelAxisOf(graph, node)
    const rescaling = findRescaling(graph, input, axis)
    if (typeof rescaling === 'string') continue
    const values = [...rescaling.values.keys()]
    if (values.some((name) => seen.has(name))) continue
    for (const name of values) seen.add(name)
    const readers = rescaling.readers.map((reader) => ({
      product: productOf(graph, reader.node),
      storage: storageOf(typed.graph, stored.get(reader.node.name), trial.weight),
    }))
    // one that stays real takes any factors; of one in integers its noise must be known
    const products = readers.flatMap(({ product, storage }) =>
      product && storage ? [{ ...product, ...storage }] : [],
    )
    const known = readers.every(({ product, storage }) => product || !storage)
    if (known && products.length > 0) blocks.push({ rescaling, input, axis, products })
  }
  return blocks
}

/** Weights as a matrix; null for what is no product of rows with one. */
function productOf(
  graph: Graph,
  { op, inputs }: Node,
): Pick<Product, 'weights' | 'shape' | 'inputAxis'> | null {
  const constant = inputs[1] ? graph.values.get(inputs[1])?.constant : null
  if (constant?.dtype !== 'float32') return null
  const pointwise =
    op.kind === 'Conv' && op.group === 1 && constant.shape.slice(2).every((size) => size === 1)
  if (op.kind !== 'MatMul' && op.kind !== 'Gemm' && !pointwise) return null
  if (!pointwise && constant.shape.length !== 2) return null
  return {
    weights: numbersOf(constant),
    shape: [constant.shape[0]!, constant.shape[1]!],
    inputAxis: pointwise || (op.kind === 'Gemm' && op.transB) ? 1 : 0,
  }
}

/** How the target stores the weights of a layer; null where it keeps them real. */
function storageOf(
  typed: Graph,
  node: Node | undefined,
  method: WeightRangeMethod,
): Pick<Product, 'method' | 'axis' | 'limit'> | null {
  const value = node?.inputs[1] ? typed.values.get(node.inputs[1]) : undefined
  if (!value?.constant || !value.type.quantization) return null
  // some scale always reaches the largest integer that the target allows
  const limit = numbersOf(value.constant).reduce((a, b) => Math.max(a, Math.abs(b)), 1)
  return { method, axis: value.type.quantization.axis, limit }
}

function channelAxisOf(graph: Graph, { op, inputs }: Node): number {
  const { shape } = graph.values.get(inputs[0]!)!.type
  return 'layout' in op && op.layout === 'channels-first' ? 1 : shape.length - 1
}

async function smoothingsOf(
  blocks: readonly Block[],
  { trial }: Made,
  context: ImprovementContext,
): Promise<(Smoothing | null)[]> {
  const inputs = blocks.map(({ input }) => input)
  const ranges = inputs.every((name) => trial.ranges.get(name)?.channelMin)
    ? trial.ranges
    : await context.calibrate(trial.graph, { channelStatistics: new Set(inputs) })
  const rows = await sampleRows(blocks, trial.graph, context)
  const automatic = context.recipe.calibration.method === 'auto'
  const activations: ActivationRangeMethod[] = automatic
    ? [{ kind: 'min-max' }, { kind: 'mse' }]
    : [trial.activation]
  const smoothings: (Smoothing | null)[] = []
  for (const [i, { input, products, rescaling }] of blocks.entries()) {
    const peaks = peaksOf(ranges, input)
    const known = peaks?.length === rescaling.channels
    smoothings.push(
      known ? chooseSmoothing({ rows: rows[i]!, peaks, products, activations }, leastGainDb) : null,
    )
    context.progress.tick(i + 1, blocks.length, 'blocks')
    await setImmediate()
    throwIfAborted(context.progress.signal)
  }
  return smoothings
}

function peaksOf(ranges: Ranges, name: string): Float64Array | undefined {
  const { channelMin, channelMax } = ranges.get(name) ?? {}
  return (
    channelMin &&
    Float64Array.from(channelMin, (min, channel) => Math.max(Math.abs(min), Math.abs(channelMax![channel]!)))
  )
}

/** Of what each block reads some rows, spread over the calibration samples. */
async function sampleRows(
  blocks: readonly Block[],
  graph: Graph,
  { calibration }: ImprovementContext,
): Promise<Float32Array[]> {
  const observed = await observeFloat(
    graph,
    blocks.map(({ input }) => input),
  )
  const rows = blocks.map((): Float32Array[] => [])
  const each = Math.ceil(sampledRows / calibration.length)
  try {
    for await (const sample of calibration) {
      const values = await observed.run(sample)
      blocks.forEach(({ input, axis }, i) => {
        const { shape } = graph.values.get(input)!.type
        rows[i]!.push(pickRows(values.get(input)!, shape, axis, each))
      })
    }
  } finally {
    await observed.close()
  }
  return rows.map(joined)
}

/** Evenly spaced positions of a tensor, the channels of each beside each other. */
function pickRows(values: Float32Array, shape: readonly number[], axis: number, most: number): Float32Array {
  const channels = shape[axis]!
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const positions = values.length / channels
  const count = Math.min(most, positions)
  const picked = new Float32Array(count * channels)
  for (let row = 0; row < count; row++) {
    const position = Math.floor((row * positions) / count)
    const start = Math.floor(position / inner) * channels * inner + (position % inner)
    for (let channel = 0; channel < channels; channel++)
      picked[row * channels + channel] = values[start + channel * inner]!
  }
  return picked
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
