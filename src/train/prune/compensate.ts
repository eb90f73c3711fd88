import { CholeskyDecomposition, Matrix } from 'ml-matrix'
import { float32Constant, numbersOf } from '../../graph/constant.ts'
import { strides } from '../../graph/fold-index.ts'
import type { Constant, Graph, Node, Value } from '../../graph/types.ts'
import type { OutputMoments } from '../low-rank/moments.ts'
import type { ChannelMap } from './channel-map.ts'
import { removeChannels } from './remove-channels.ts'

/** A value that a layer with constant weights sums over. */
export interface ReadValue {
  readonly name: string
  /** Of its channels. */
  readonly axis: number
}

/** Channels of a value beyond which the equations are too many. */
const mostChannels = 768
/** Of the mean variance, added to each: what hardly varies is not solved for. */
const ridge = 1e-4

/** What `compensated` needs moments of: what the layers read whose inputs can shrink. */
export function readValues(map: ChannelMap): ReadValue[] {
  const values = new Map(layersReading(map).map(({ name, axis }) => [`${name} ${axis}`, { name, axis }]))
  return [...values.values()].filter(
    ({ name, axis }) => map.graph.values.get(name)!.type.shape[axis]! <= mostChannels,
  )
}

/**
 * The network without some channels, as `removeChannels` makes it, after the layers that read them have learnt to do with
 * what stays: a channel that goes is replaced by the linear combination of those that stay that is nearest to it on data
 * (least squares; He, Zhang and Sun 2017 solve for the weights themselves), which is then part of the weights.
 *
 * @param moments of `readValues`, by name; layers whose inputs have none lose the channels as they are
 */
export function compensated(
  map: ChannelMap,
  removed: ReadonlySet<number>,
  moments: ReadonlyMap<string, OutputMoments>,
): Graph {
  const values = new Map(map.graph.values)
  const changed = new Map<Node, Node>()
  for (const layer of layersReading(map)) {
    const known = moments.get(layer.name)
    const groups = map.structure.values.get(layer.name)?.[layer.axis]
    if (!known || !groups || known.channels !== groups.length) continue
    const gone: number[] = []
    const stays: number[] = []
    groups.forEach((group, channel) => {
      if (removed.has(group)) gone.push(channel)
      else stays.push(channel)
    })
    if (gone.length === 0 || stays.length === 0) continue
    const substitute = substituteFor(gone, stays, known, layer.takesBias)
    if (substitute) changed.set(layer.node, rewritten(layer, gone, stays, substitute, values))
  }
  // nodes in the same order: channels keep their numbers
  const nodes = map.graph.nodes.map((node) => changed.get(node) ?? node)
  return removeChannels({ ...map, graph: { ...map.graph, values, nodes } }, removed)
}

interface ReadingLayer extends ReadValue {
  readonly node: Node
  /** Axis of the weights that goes with the channels. */
  readonly weightsAxis: number
  /** Something constant can be added to each output, and padding does not make it wrong at the border. */
  readonly takesBias: boolean
}

/** Layers with one group whose weights no other layer shares. */
function layersReading({ graph, structure }: ChannelMap): ReadingLayer[] {
  const uses = new Map<string, number>()
  for (const node of graph.nodes)
    for (const name of node.inputs) if (name !== null) uses.set(name, (uses.get(name) ?? 0) + 1)
  return structure.reads.flatMap(({ node, input, axis }) => {
    const name = node.inputs[input]
    const weights = node.inputs[1]
    if (input !== 0 || !name || !weights || uses.get(weights) !== 1) return []
    const constant = graph.values.get(weights)!.constant
    if (constant?.dtype !== 'float32') return []
    const { op } = node
    const bias = graph.values.get(node.inputs[2] ?? '')
    const freeBias =
      !node.inputs[2] || (bias?.constant?.dtype === 'float32' && uses.get(node.inputs[2]) === 1)
    const common = { node, name, axis }
    if (op.kind === 'Conv' && op.group === 1)
      return [
        {
          ...common,
          weightsAxis: 1,
          takesBias: freeBias && [...op.padsBegin, ...op.padsEnd].every((pad) => pad === 0),
        },
      ]
    if (op.kind === 'Gemm' && !op.transA && constant.shape.length === 2)
      return [{ ...common, weightsAxis: op.transB ? 1 : 0, takesBias: false }]
    if (op.kind === 'MatMul' && constant.shape.length === 2)
      return [{ ...common, weightsAxis: 0, takesBias: false }]
    return []
  })
}

/** x_gone ≈ factors · x_stays + offset. */
interface Substitute {
  readonly factors: Matrix
  readonly offset: readonly number[]
}

function substituteFor(
  gone: readonly number[],
  stays: readonly number[],
  { channels, mean, covariance }: OutputMoments,
  withOffset: boolean,
): Substitute | null {
  const moment = (i: number, j: number) =>
    covariance[i * channels + j]! + (withOffset ? 0 : mean[i]! * mean[j]!)
  const size = stays.length
  const known = Matrix.zeros(size, size)
  let trace = 0
  for (let i = 0; i < size; i++) {
    trace += moment(stays[i]!, stays[i]!)
    for (let j = 0; j < size; j++) known.set(i, j, moment(stays[i]!, stays[j]!))
  }
  if (!(trace > 0) || !Number.isFinite(trace)) return null
  for (let i = 0; i < size; i++) known.set(i, i, known.get(i, i) + (ridge * trace) / size)
  const wanted = new Matrix(size, gone.length)
  gone.forEach((channel, column) => {
    for (let i = 0; i < size; i++) wanted.set(i, column, moment(stays[i]!, channel))
  })
  const decomposition = new CholeskyDecomposition(known)
  if (!decomposition.isPositiveDefinite()) return null
  const factors = decomposition.solve(wanted).transpose()
  const offset = gone.map((channel, row) =>
    withOffset
      ? stays.reduce((rest, other, i) => rest - factors.get(row, i) * mean[other]!, mean[channel]!)
      : 0,
  )
  return { factors, offset }
}

/** The layer with the substitute of the channels that go in the weights of those that stay. */
function rewritten(
  { node, weightsAxis, takesBias }: ReadingLayer,
  gone: readonly number[],
  stays: readonly number[],
  { factors, offset }: Substitute,
  values: Map<string, Value>,
): Node {
  const { constant } = values.get(node.inputs[1]!)!
  const { shape } = constant!
  const weights = Float32Array.from(numbersOf(constant!))
  const step = strides(shape)[weightsAxis]!
  const size = shape[weightsAxis]!
  const added = new Float64Array(shape[0]!)
  for (let outer = 0; outer < weights.length; outer += size * step)
    for (let inner = 0; inner < step; inner++) {
      const at = (channel: number) => outer + channel * step + inner
      gone.forEach((channel, row) => {
        const weight = weights[at(channel)]!
        if (weight === 0) return
        stays.forEach((other, column) => {
          weights[at(other)]! += weight * factors.get(row, column)
        })
        if (takesBias) added[outer / (size * step)]! += weight * offset[row]!
      })
    }
  const inputs = [...node.inputs]
  inputs[1] = define(values, node.inputs[1]!, float32Constant(shape, weights))
  if (takesBias) {
    const before = node.inputs[2] ? numbersOf(values.get(node.inputs[2])!.constant!) : []
    const bias = Float32Array.from(added, (value, index) => value + (before[index] ?? 0))
    inputs[2] = define(
      values,
      node.inputs[2] ?? freeName(values, `${node.name}/bias`),
      float32Constant([bias.length], bias),
    )
  }
  return { ...node, inputs }
}

/** Nobody else reads the constant that had the name. */
function define(values: Map<string, Value>, name: string, constant: Constant): string {
  values.set(name, {
    name,
    type: { dtype: constant.dtype, shape: constant.shape, quantization: null },
    constant,
  })
  return name
}

function freeName(values: ReadonlyMap<string, Value>, wanted: string): string {
  let name = wanted
  for (let i = 1; values.has(name); i++) name = `${wanted}_${i}`
  return name
}
