import { EdgewrightError } from '../../error.ts'
import { constantOf, tensorOf } from '../../graph/constant.ts'
import type { Constant, Graph, Value } from '../../graph/types.ts'
import type { Ranges, TensorRange } from '../../quantize/ranges.ts'
import { dequantizedNumbers } from '../../quantize/weighted-layer.ts'
import { closeNetwork } from '../close-network.ts'
import type { Network, NetworkValues } from '../network.ts'
import { gridOf } from './grid.ts'
import { storedWeights } from './layers.ts'
import { rangeOfGrid, type ScaleClass } from './scale-parameters.ts'
import { scaleAt } from './learned-scales.ts'
import type { Simulation } from './simulate.ts'
import { type StoredLayer, storedLayer } from './stored-layer.ts'
import type { TypedGraph } from './target.ts'

/** A trained simulation as a float graph and ranges again: `target.prepare` makes of them what training computed. */
export interface Closed {
  /** Weights and biases are numbers of the grids that the target will store them on. */
  readonly graph: Graph
  /** The same with the weights as training moved them, before they are rounded. */
  readonly latent: Graph
  readonly ranges: Ranges
  /** Of activations, as training left them. */
  readonly scales: ReadonlyMap<ScaleClass, number>
  /** By node name. */
  readonly layers: ReadonlyMap<string, StoredLayer>
}

/**
 * @param values of the simulation's parameters, as training left them
 * @throws TRAINING_DIVERGED where one is not a number: the loss of a last step does not show what that step did
 */
export function closeSimulation(simulation: Simulation, values: NetworkValues): Closed {
  requireFinite(simulation, values)
  const { graph, marked, network } = simulation
  const trained = closeNetwork(marked, network, simulation.foldedValues(values))
  const latent = withConstants(graph, (name) => trained.values.get(name) ?? null)
  const rounded = new Map<string, Value>()
  const scales = new Map(simulation.classes.all.map((one) => [one, scaleOf(simulation, one, values)]))
  const layers = new Map<string, StoredLayer>()
  for (const numerics of simulation.layers) {
    const { inputs } = latent.nodes.find(({ name }) => name === numerics.node)!
    const [weights, bias] = [latent.values.get(inputs[1]!)!, inputs[2] ? latent.values.get(inputs[2])! : null]
    const stored = storedLayer(
      weights.constant!,
      numerics.bias === null ? null : (bias?.constant ?? null),
      numerics,
      numerics.input === null ? 1 : scales.get(simulation.classes.of.get(numerics.input)!)!,
      weightLimits(simulation, numerics.node, values),
      typeof simulation.weightScales.get(numerics.node)?.parameter === 'string',
    )
    layers.set(numerics.node, stored)
    const put = (value: Value, numbers: Float32Array) =>
      rounded.set(value.name, { ...value, constant: constantOf('float32', value.type.shape, numbers) })
    put(weights, stored.weights)
    if (bias && stored.bias) put(bias, stored.bias)
  }
  return {
    graph: withConstants(latent, (name) => rounded.get(name) ?? null),
    latent,
    ranges: rangesOf(simulation, values),
    scales,
    layers,
  }
}

function requireFinite({ network }: Simulation, values: NetworkValues): void {
  const lost = network.parameters.find(({ name }) => !values.get(name)!.every(Number.isFinite))
  if (!lost) return
  throw new EdgewrightError('TRAINING_DIVERGED', 'A weight is not a number any more.', {
    where: lost.name,
    saw: `${values.get(lost.name)!.find((value) => !Number.isFinite(value))}`,
    hint: 'Lower the learning rate (--learning-rate), or start with a longer warm-up.',
  })
}

/** Ranges that give the scales of training: those of learned scales where they are now, the others as they were. */
export function rangesOf({ classes, scales }: Simulation, values: NetworkValues): Ranges {
  const ranges = new Map<string, TensorRange>(classes.ranges)
  for (const learned of scales) {
    const { grid, sources, form } = learned.of
    const scale = scaleAt(learned, values.get(learned.parameter)![0]!, classes)
    for (const name of sources) ranges.set(name, rangeOfGrid(grid, scale, form))
  }
  return ranges
}

/**
 * The network with values in the place of its parameters: a float graph that computes what training sees. As a file it
 * wants a simulation that is `portable`, and a batch of the file's own.
 */
export function withValues(
  { graph, parameters, statistics, outputs }: Network,
  values: NetworkValues,
): Graph {
  const fixed = new Map([...parameters, ...statistics].map((tensor) => [tensor.name, tensor]))
  const all = new Map(graph.values)
  for (const { name, shape } of fixed.values())
    all.set(name, { ...graph.values.get(name)!, constant: constantOf('float32', shape, values.get(name)!) })
  return { ...graph, inputs: graph.inputs.filter((name) => !fixed.has(name)), outputs, values: all }
}

/** The same network for a training in which scales stay where they are now (for its last epochs). */
export function withFrozenScales(
  { network, scales, weightScales }: Simulation,
  values: NetworkValues,
): Network {
  const learned = new Set([
    ...scales.map(({ parameter }) => parameter),
    ...[...weightScales.values()].flatMap(({ parameter }) => parameter ?? []),
  ])
  return {
    ...network,
    parameters: network.parameters.map((parameter) => ({
      ...parameter,
      initial: values.get(parameter.name) ?? parameter.initial,
      trainable: parameter.trainable && !learned.has(parameter.name),
    })),
  }
}

/** Something that a target stores otherwise than training did. */
export interface Deviation {
  /** Node or value of the float graph. */
  readonly where: string
  readonly trained: string
  readonly stored: string
}

/** What a target makes of a closed simulation, and where that is not what training saw; nothing, as it should be. */
export function reprepared(
  simulation: Simulation,
  closed: Closed,
): { readonly typed: TypedGraph; readonly deviations: readonly Deviation[] } {
  const { target, classes, layers } = simulation
  const typed = target.prepare(closed.graph, closed.ranges)
  const deviations: Deviation[] = []
  const before = classes.typed.graph
  for (const [name, { type }] of before.values) {
    const one = classes.of.get(name)
    const grid = gridOf(type)
    if (!one || !grid || before.values.get(name)!.constant) continue
    const trained = closed.scales.get(one)!
    const found = typed.graph.values.get(name)
    const now = found ? gridOf(found.type) : null
    if (now?.scale === trained && now.lowest === grid.lowest) continue
    deviations.push({
      where: name,
      trained: `scale ${trained}`,
      stored: now ? `scale ${now.scale}` : 'reals',
    })
  }
  const nodes = new Map(typed.graph.nodes.map((node) => [node.name, node]))
  const weightsOf = storedWeights(typed.graph)
  for (const { node, transposed } of layers) {
    const made = nodes.get(node)
    const weights = made ? weightsOf(made) : null
    const { scales, integers } = closed.layers.get(node)!
    const found = weights?.type.quantization?.scales ?? []
    const bytesOf = ({ bytes, shape }: Constant) => (transposed ? turned(bytes(), shape) : bytes())
    const stored = weights?.constant ? bytesOf(weights.constant) : new Uint8Array()
    const sameScales = found.length === scales.length && found.every((scale, i) => isNear(scale, scales[i]!))
    const bytes = new Uint8Array(integers.buffer, integers.byteOffset, integers.byteLength)
    if (sameScales && Buffer.compare(stored, bytes) === 0) {
      const other = otherBiases(typed.graph, made?.inputs[2] ?? null, closed.layers.get(node)!)
      if (other > 0)
        deviations.push({ where: node, trained: `${scales.length} biases`, stored: `${other} others` })
      continue
    }
    const differing = integers.reduce((sum, q, i) => sum + (((stored[i] ?? 0) << 24) >> 24 === q ? 0 : 1), 0)
    deviations.push({
      where: node,
      trained: `${scales.length} scales of weights`,
      stored: sameScales
        ? `${differing} other integers`
        : `${found.length} scales, ${differing} other integers`,
    })
  }
  return { typed, deviations }
}

/** A matrix of bytes with its axes the other way round. */
function turned(bytes: Uint8Array, [rows = 0, columns = 0]: readonly number[]): Uint8Array {
  return bytes.map((_, i) => bytes[(i % rows) * columns + Math.floor(i / rows)]!)
}

/** How many biases are other integers than training rounded to. */
function otherBiases(typed: Graph, name: string | null, { bias }: StoredLayer): number {
  const value = name === null ? null : typed.values.get(name)!
  if (!bias || !value?.constant) return 0
  const { quantization } = value.type
  const stored = quantization
    ? dequantizedNumbers(value.constant, quantization)
    : Array.from(tensorOf(value.constant).data as Float32Array)
  const stepOf = (i: number) =>
    quantization ? quantization.scales[i % quantization.scales.length]! : 2 ** -22 * Math.abs(stored[i]!)
  return stored.filter((b, i) => Math.abs(b - bias[i % bias.length]!) > 0.75 * stepOf(i)).length
}

/** But for float32's last bits: where a bias alone decides a scale, its own rounding moves that by as much. */
function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= 2 ** -22 * b
}

function scaleOf(simulation: Simulation, one: ScaleClass, values: NetworkValues): number {
  const learned = simulation.scales.find(({ of }) => of === one)
  if (learned) return scaleAt(learned, values.get(learned.parameter)![0]!, simulation.classes)
  return simulation.gridOf(one).scale
}

function weightLimits(
  { weightScales }: Simulation,
  node: string,
  values: NetworkValues,
): Float32Array | null {
  const known = weightScales.get(node)
  if (!known) return null
  const { start, parameter } = known
  if (parameter === null) return start
  const shares = values.get(parameter)!
  return start.map((scale, channel) => scale * shares[channel]!)
}

function withConstants(graph: Graph, replaced: (name: string) => Value | null): Graph {
  const values = new Map(graph.values)
  for (const [name, value] of graph.values) {
    const other = value.constant && replaced(name)
    if (other?.constant) values.set(name, { ...value, constant: other.constant })
  }
  return { ...graph, values }
}
