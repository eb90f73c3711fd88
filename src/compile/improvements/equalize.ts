import {
  type EqualizationGroups,
  equalizationGroups,
  type GroupedLayer,
} from '../../passes/equalization/groups.ts'
import { scaleChannels } from '../../passes/equalization/scale-channels.ts'
import { type EqualizedTensor, equalizationScales } from '../../quantize/equalization.ts'
import type { Ranges, TensorRange } from '../../quantize/ranges.ts'
import type { Made } from '../trial.ts'
import type { Improvement, ImprovementContext, ProposedTrial } from './improvement.ts'

/** A channel that calibration saw this near to a clip's bound may pass it in use. */
const clipMargin = 1.1

/**
 * Cross-layer equalization over all groups of channels that can be scaled without changing the function. Clips stay:
 * a channel that was seen at the bound keeps its scale, another is scaled up so far at most that it stays below.
 */
export const equalize: Improvement = {
  name: 'cross-layer equalization',
  presets: ['balanced', 'best'],
  marginDb: 0.1,
  async propose(made, context) {
    const groups = equalizationGroups(made.trial.graph)
    const layers = equalizedLayers(groups, made)
    if (!joinsLayers(layers))
      return {
        declined: 'no layer in integers reads channels of another through operators that keep their scales',
      }
    const ranges = await withChannelPeaks(made, groups, context)
    const least = leastScales(groups, ranges)
    const weights = layers.map(({ layer, perChannel }) => weightTensor(layer, perChannel))
    const ways = [
      { name: 'weights and activations', tensors: [...weights, ...activationTensors(groups, ranges)] },
      { name: 'weights', tensors: weights },
    ]
    const trials: ProposedTrial[] = []
    for (const { name, tensors } of ways) {
      const scales = equalizationScales({ groups: groups.count, tensors, least })
      const scaled = scales.filter((scale) => scale !== 1).length
      if (scaled === 0) continue
      const graph = scaleChannels(made.trial.graph, groups, scales)
      trials.push({
        name: `cross-layer equalization of ${scaled} channels by ${name}`,
        trial: { ...made.trial, graph, ranges: await context.calibrate(graph) },
      })
    }
    return trials.length > 0 ? { trials } : { declined: 'no channel can be scaled to a better balance' }
  },
}

interface StoredLayer {
  readonly layer: GroupedLayer
  /** Its output channels have scales of their own. */
  readonly perChannel: boolean
}

/** Layers whose weights the target stores in integers. */
function equalizedLayers({ layers }: EqualizationGroups, { typed }: Made): StoredLayer[] {
  const nodes = new Map(typed.graph.nodes.map((node) => [node.name, node]))
  return layers.flatMap((layer) => {
    const weights = nodes.get(layer.linear.node.name)?.inputs[1]
    const stored = weights ? typed.graph.values.get(weights)?.type.quantization : null
    return stored ? [{ layer, perChannel: stored.axis !== null }] : []
  })
}

function joinsLayers(layers: readonly StoredLayer[]): boolean {
  const given = new Set(layers.flatMap(({ layer }) => [...layer.outputs]))
  given.delete(0)
  return layers.some(({ layer }) => layer.inputs.some((group) => given.has(group)))
}

/** max|w| of each pair of an output and an input channel. */
function weightTensor({ linear, inputs, outputs }: GroupedLayer, perChannel: boolean): EqualizedTensor {
  const { numbers } = linear
  const peaks = new Float32Array(numbers.length)
  const rows = new Int32Array(numbers.length)
  const columns = new Int32Array(numbers.length)
  let last = -1
  numbers.forEach((w, element) => {
    const row = linear.outputChannelOf(element)
    const column = linear.inputChannelOf(element)
    // the taps of a kernel lie next to each other
    if (last < 0 || rows[last] !== row || columns[last] !== column) last++
    rows[last] = row
    columns[last] = column
    peaks[last] = Math.max(peaks[last]!, Math.abs(w))
  })
  const count = last + 1
  return {
    peaks: peaks.slice(0, count),
    dividedBy: rows.slice(0, count).map((row) => outputs[row]!),
    multipliedBy: columns.slice(0, count).map((column) => inputs[column]!),
    storedWith: perChannel ? rows.slice(0, count) : null,
  }
}

/** Those that are stored in integers: calibration keeps histograms of them. */
function activationTensors({ values }: EqualizationGroups, ranges: Ranges): EqualizedTensor[] {
  return [...values].flatMap(([name, { channels }]) => {
    const range = ranges.get(name)
    const peaks = range?.histogram ? peaksOf(range, channels.length) : null
    const none = new Int32Array(channels.length)
    return peaks ? [{ peaks, dividedBy: channels, multipliedBy: none, storedWith: null }] : []
  })
}

function peaksOf({ channelMin, channelMax }: TensorRange, channels: number): Float64Array | null {
  if (!channelMin || !channelMax || channelMax.length !== channels) return null
  return Float64Array.from(channelMax, (max, channel) => Math.max(max, -channelMin[channel]!))
}

/** Of each group how far it may be scaled up under its clips; 1 where a clip may have cut it off. */
function leastScales({ count, clips }: EqualizationGroups, ranges: Ranges): Float64Array {
  const least = new Float64Array(count)
  for (const { op, output, groups } of clips) {
    const { channelMin, channelMax } = ranges.get(output) ?? {}
    const known = channelMin?.length === groups.length && channelMax?.length === groups.length
    groups.forEach((group, channel) => {
      const share = known
        ? Math.max(boundShare(channelMax![channel]!, op.max), boundShare(channelMin![channel]!, op.min))
        : 1
      least[group] = Math.max(least[group]!, share)
    })
  }
  return least
}

/** The part of the way to a bound that was seen of a channel, with the margin. */
function boundShare(seen: number, bound: number): number {
  return bound === 0 || !Number.isFinite(bound) ? 0 : Math.max(0, (clipMargin * seen) / bound)
}

/** The ranges of a trial with those of single channels wherever a group goes. */
async function withChannelPeaks(
  { trial }: Made,
  { values, clips }: EqualizationGroups,
  context: ImprovementContext,
): Promise<Ranges> {
  const stored = [...values.keys()].filter((name) => trial.ranges.get(name)?.histogram)
  const wanted = new Set([...stored, ...clips.map(({ output }) => output)])
  const known = [...wanted].every((name) => trial.ranges.get(name)?.channelMax)
  return known ? trial.ranges : context.calibrate(trial.graph, { channelStatistics: wanted })
}
