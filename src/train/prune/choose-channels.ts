import { EdgewrightError } from '../../error.ts'
import { macsOf } from '../../graph/macs.ts'
import type { ChannelMap } from './channel-map.ts'
import type { Importance } from './importance.ts'

export interface ChannelBudget {
  /** Share of the multiply-adds that may be left. */
  readonly macs?: number | undefined
  /** Share of the elements of kernels and matrices that may be left. */
  readonly weights?: number | undefined
}

export interface ChannelChoices {
  /** Channels of a group stay a multiple of this where they can; 1 by default. */
  readonly multiple?: number | undefined
  /** Share of each group's channels that stays whatever its worth; 0.1 by default. */
  readonly leastShare?: number | undefined
}

export interface ChosenChannels {
  /** Representatives of channels that go. */
  readonly removed: ReadonlySet<number>
  readonly macs: { readonly before: number; readonly after: number }
  readonly weights: { readonly before: number; readonly after: number }
}

/**
 * Channels to be removed until a budget holds: again and again those that lose least for what they save, both counted
 * anew as the layers around them shrink.
 *
 * @throws CONFIG_INVALID where the budget cannot be reached
 */
export function chooseChannels(
  map: ChannelMap,
  importance: Importance,
  budget: ChannelBudget,
  { multiple = 1, leastShare = 0.1 }: ChannelChoices = {},
): ChosenChannels {
  const costs = new Costs(map)
  const before = costs.totals()
  const limits = { macs: (budget.macs ?? 1) * before.macs, weights: (budget.weights ?? 1) * before.weights }
  const queues = map.groups.map(({ channels }) => ({
    left: channels.toSorted((a, b) => importance.get(a)! - importance.get(b)! || a - b),
    least: Math.max(1, Math.min(multiple, channels.length), Math.ceil(leastShare * channels.length)),
  }))
  const removed = new Set<number>()
  for (;;) {
    const now = costs.totals()
    const over = { macs: now.macs > limits.macs, weights: now.weights > limits.weights }
    if (!over.macs && !over.weights) return { removed, ...named(before, now) }
    let best: { queue: (typeof queues)[number]; count: number; score: number } | null = null
    for (const queue of queues) {
      const count = queue.left.length % multiple || multiple
      if (queue.left.length - count < queue.least) continue
      const going = queue.left.slice(0, count)
      const saved = costs.savedBy(going)
      const gain = Math.max(
        over.macs ? saved.macs / before.macs : 0,
        over.weights ? saved.weights / before.weights : 0,
      )
      if (gain <= 0) continue
      const score = going.reduce((sum, id) => sum + importance.get(id)!, 0) / gain
      if (!best || score < best.score) best = { queue, count, score }
    }
    if (!best) throw unreachable(now, before, budget)
    for (const id of best.queue.left.splice(0, best.count)) {
      removed.add(id)
      costs.remove(id)
    }
  }
}

function named(before: Cost, after: Cost): Pick<ChosenChannels, 'macs' | 'weights'> {
  return {
    macs: { before: before.macs, after: after.macs },
    weights: { before: before.weights, after: after.weights },
  }
}

function unreachable(now: Cost, before: Cost, budget: ChannelBudget): EdgewrightError {
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(0)} %`
  return new EdgewrightError('CONFIG_INVALID', 'The budget is less than what can be left of the network.', {
    where: '--budget',
    saw: `${share(now.macs, before.macs)} of multiply-adds and ${share(now.weights, before.weights)} of weights with the fewest channels in every layer`,
    hint: `Ask for more than ${Object.entries(budget)
      .map(([name, value]) => `${name}=${value}`)
      .join(', ')}.`,
  })
}

interface Cost {
  readonly macs: number
  readonly weights: number
}

/** One layer: what it costs for each pair of a channel that it reads and one that it makes. */
interface Layer {
  readonly macsEach: number
  readonly weightsEach: number
  reads: number
  makes: number
}

/** What is left of multiply-adds and weights, as channels go. */
class Costs {
  readonly #layers: Layer[] = []
  /** Of each channel: how often each layer reads and makes it. */
  readonly #in = new Map<number, Map<Layer, { reads: number; makes: number }>>()

  constructor({ graph, constants, find }: ChannelMap) {
    for (const { node, input, axes } of constants) {
      const macs = macsOf(node, graph)
      if (input !== 1 || macs === 0) continue
      const { shape } = graph.values.get(node.inputs[1]!)!.type
      const elements = shape.reduce((product, size) => product * size, 1)
      const [first, second] = axes
      const pairs = first!.ids.length * (second?.ids.length ?? 1)
      const layer: Layer = {
        macsEach: macs / pairs,
        weightsEach: elements / pairs,
        reads: second?.ids.length ?? 1,
        makes: first!.ids.length,
      }
      this.#layers.push(layer)
      const note = (id: number, side: 'reads' | 'makes') => {
        const roles = this.#in.get(find(id)) ?? new Map<Layer, { reads: number; makes: number }>()
        const role = roles.get(layer) ?? { reads: 0, makes: 0 }
        role[side]++
        roles.set(layer, role)
        this.#in.set(find(id), roles)
      }
      for (const id of first!.ids) note(id, 'makes')
      for (const id of second?.ids ?? []) note(id, 'reads')
    }
  }

  totals(): Cost {
    return this.#layers.reduce<Cost>(
      (sum, layer) => {
        const pairs = layer.reads * layer.makes
        return { macs: sum.macs + layer.macsEach * pairs, weights: sum.weights + layer.weightsEach * pairs }
      },
      { macs: 0, weights: 0 },
    )
  }

  savedBy(ids: readonly number[]): Cost {
    const going = new Map<Layer, { reads: number; makes: number }>()
    for (const id of ids)
      for (const [layer, { reads, makes }] of this.#in.get(id) ?? []) {
        const sum = going.get(layer) ?? { reads: 0, makes: 0 }
        going.set(layer, { reads: sum.reads + reads, makes: sum.makes + makes })
      }
    let [macs, weights] = [0, 0]
    for (const [layer, { reads, makes }] of going) {
      const pairs = layer.reads * layer.makes - (layer.reads - reads) * (layer.makes - makes)
      macs += layer.macsEach * pairs
      weights += layer.weightsEach * pairs
    }
    return { macs, weights }
  }

  remove(id: number): void {
    for (const [layer, { reads, makes }] of this.#in.get(id) ?? []) {
      layer.reads -= reads
      layer.makes -= makes
    }
  }
}
