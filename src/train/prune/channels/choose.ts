import type { Graph } from '../../../graph/types.ts'
import { type ChannelCost, RunningCost } from './cost.ts'
import { type ChannelGroup, groupsOf } from './groups.ts'
import type { ChannelImportance } from './importance.ts'
import { channelStructure } from './structure.ts'

/** What may be left, as a share of what is there: 0.5 is half. */
export interface ChannelBudget {
  readonly macs?: number | undefined
  readonly weights?: number | undefined
}

export interface ChannelChoiceOptions {
  /** Channels of a layer stay a multiple of this, where they can; 1 by default. */
  readonly multiple?: number
  /** Share of a layer's channels that may go at most; 0.9 by default. */
  readonly maxPerLayer?: number
}

export interface ChannelChoice {
  /** For `removeChannels`. */
  readonly removed: ReadonlySet<number>
  readonly before: ChannelCost
  readonly after: ChannelCost
  /** False where nothing more may go and the budget is not reached. */
  readonly met: boolean
  /** Channels of the layers that make them, in the order of the graph. */
  readonly layers: readonly { readonly layer: string; readonly channels: number; readonly removed: number }[]
}

/**
 * Chooses channels to remove: again and again those that are least important for what they save now, until the budget
 * holds. What a group saves is counted anew after each removal, because layers on both sides of it have shrunk. Ties go
 * to the first group: the same importance gives the same choice.
 *
 * Where both budgets are given, what is saved is the sum of the shares of those that do not hold yet.
 */
export function chooseChannels(
  graph: Graph,
  importance: ChannelImportance,
  budget: ChannelBudget,
  { multiple = 1, maxPerLayer = 0.9 }: ChannelChoiceOptions = {},
): ChannelChoice {
  const structure = channelStructure(graph)
  const groups = groupsOf(structure)
  const cost = new RunningCost(graph, structure)
  const { total } = cost
  const limits = { macs: (budget.macs ?? 1) * total.macs, weights: (budget.weights ?? 1) * total.weights }
  const layers = layersOf(groups)
  const queues = queuesOf(groups, importance, cost)
  const removed = new Set<number>()
  for (;;) {
    const over = (of: keyof ChannelCost) => cost.now[of] > limits[of]
    if (!over('macs') && !over('weights')) break
    const gainOf = (bundle: readonly ChannelGroup[]) => {
      const saved = cost.savedBy(bundle.map(({ id }) => id))
      return (
        (over('macs') ? saved.macs / total.macs : 0) + (over('weights') ? saved.weights / total.weights : 0)
      )
    }
    let best: Candidate | null = null
    for (const queue of queues) {
      const layer = layers.get(queue[0]?.layer ?? '')
      const bundle = layer ? bundleOf(queue, layer.channels - layer.removed, multiple) : []
      const lost = channelsOf(bundle)
      if (!layer || lost === 0 || layer.removed + lost > maxPerLayer * layer.channels) continue
      const gain = gainOf(bundle)
      if (!(gain > 0) || !cost.canLose(bundle.map(({ id }) => id))) continue
      const score = bundle.reduce((sum, { id }) => sum + (importance.get(id) ?? 0), 0) / gain
      if (!best || score < best.score) best = { queue, bundle, score }
    }
    if (!best) break
    best.queue.splice(0, best.bundle.length)
    cost.remove(best.bundle.map(({ id }) => id))
    layers.get(best.bundle[0]!.layer)!.removed += channelsOf(best.bundle)
    for (const { id } of best.bundle) removed.add(id)
  }
  const met = cost.now.macs <= limits.macs && cost.now.weights <= limits.weights
  return {
    removed,
    before: total,
    after: cost.now,
    met,
    layers: [...layers].map(([layer, counts]) => ({ layer, ...counts })),
  }
}

interface Candidate {
  readonly queue: ChannelGroup[]
  readonly bundle: readonly ChannelGroup[]
  readonly score: number
}

/** Groups of a layer that save the same, least important first: only the first of each can be next. */
function queuesOf(
  groups: readonly ChannelGroup[],
  importance: ChannelImportance,
  cost: RunningCost,
): ChannelGroup[][] {
  const queues = new Map<string, ChannelGroup[]>()
  for (const group of groups) {
    const kind = `${group.layer} ${cost.kindOf(group.id)}`
    const queue = queues.get(kind)
    if (queue) queue.push(group)
    else queues.set(kind, [group])
  }
  const worth = ({ id }: ChannelGroup) => importance.get(id) ?? 0
  return [...queues.values()].map((queue) => queue.sort((a, b) => worth(a) - worth(b) || a.id - b.id))
}

/** The first of a queue: as many as bring what is left of the layer down to a multiple; none where nothing does. */
function bundleOf(queue: readonly ChannelGroup[], left: number, multiple: number): readonly ChannelGroup[] {
  let lost = 0
  for (let count = 1; count <= Math.min(queue.length, multiple); count++) {
    lost += queue[count - 1]!.channels
    if ((left - lost) % multiple === 0) return queue.slice(0, count)
  }
  return []
}

function channelsOf(bundle: readonly ChannelGroup[]): number {
  return bundle.reduce((sum, { channels }) => sum + channels, 0)
}

function layersOf(groups: readonly ChannelGroup[]) {
  return new Map(groups.map(({ layer, layerChannels }) => [layer, { channels: layerChannels, removed: 0 }]))
}
