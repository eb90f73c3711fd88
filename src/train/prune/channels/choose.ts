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
  /** Importance counts per multiply-add (or weight) saved, the default; else alone, so that chance takes each channel alike. */
  readonly bySavings?: boolean
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
  { multiple = 1, maxPerLayer = 0.9, bySavings = true }: ChannelChoiceOptions = {},
): ChannelChoice {
  const structure = channelStructure(graph)
  const groups = groupsOf(structure)
  const cost = new RunningCost(graph, structure)
  const { total } = cost
  const limits = { macs: (budget.macs ?? 1) * total.macs, weights: (budget.weights ?? 1) * total.weights }
  const choosing: Choosing = {
    importance,
    cost,
    isOver: (of) => cost.now[of] > limits[of],
    layers: layersOf(groups),
    queues: queuesOf(groups, importance, cost),
    multiple,
    maxPerLayer,
    bySavings,
  }
  const removed = new Set<number>()
  while (choosing.isOver('macs') || choosing.isOver('weights')) {
    const next = nextBundle(choosing)
    if (!next) break
    const { queue, bundle } = next
    queue.splice(0, bundle.length)
    cost.remove(idsOf(bundle))
    choosing.layers.get(bundle[0]!.layer)!.removed += channelsOf(bundle)
    for (const { id } of bundle) removed.add(id)
  }
  return {
    removed,
    before: total,
    after: cost.now,
    met: !choosing.isOver('macs') && !choosing.isOver('weights'),
    layers: [...choosing.layers].map(([layer, counts]) => ({ layer, ...counts })),
  }
}

interface Choosing extends Required<ChannelChoiceOptions> {
  readonly importance: ChannelImportance
  readonly cost: RunningCost
  isOver(of: keyof ChannelCost): boolean
  readonly layers: ReadonlyMap<string, { readonly channels: number; removed: number }>
  readonly queues: readonly ChannelGroup[][]
}

/** What is least important for what it saves, with the queue that it is at the head of; null where nothing may go. */
function nextBundle(choosing: Choosing) {
  const { cost, importance, isOver, layers, queues, multiple, maxPerLayer, bySavings } = choosing
  let best: { queue: ChannelGroup[]; bundle: readonly ChannelGroup[]; score: number } | null = null
  for (const queue of queues) {
    if (queue.length === 0) continue
    const layer = layers.get(queue[0]!.layer)!
    const bundle = bundleOf(queue, layer.channels - layer.removed, multiple)
    if (bundle.length === 0 || layer.removed + channelsOf(bundle) > maxPerLayer * layer.channels) continue
    const saved = cost.savedBy(idsOf(bundle))
    const gain =
      (isOver('macs') ? saved.macs / cost.total.macs : 0) +
      (isOver('weights') ? saved.weights / cost.total.weights : 0)
    if (!(gain > 0) || !cost.canLose(idsOf(bundle))) continue
    const worth = bundle.reduce((sum, { id }) => sum + (importance.get(id) ?? 0), 0)
    const score = worth / (bySavings ? gain : bundle.length)
    if (!best || score < best.score) best = { queue, bundle, score }
  }
  return best
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

function idsOf(bundle: readonly ChannelGroup[]): number[] {
  return bundle.map(({ id }) => id)
}

function channelsOf(bundle: readonly ChannelGroup[]): number {
  return bundle.reduce((sum, { channels }) => sum + channels, 0)
}

function layersOf(groups: readonly ChannelGroup[]) {
  return new Map(groups.map(({ layer, layerChannels }) => [layer, { channels: layerChannels, removed: 0 }]))
}
