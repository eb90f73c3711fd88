import type { ChannelGroup } from './channel-map.ts'

/** Channels that are tied to each other, as disjoint sets (Tarjan 1975), each made by some layer. */
export class ChannelTies {
  readonly #parent: number[] = []
  readonly #pinned = new Set<number>()
  /** Index of the layer that made a channel. */
  readonly #madeBy: number[] = []
  readonly #layers: string[] = []

  /** Channels that a layer makes. */
  fresh(layer: string, count: number): number[] {
    const index = this.#layers.push(layer) - 1
    return Array.from({ length: count }, () => {
      const id = this.#parent.length
      this.#parent.push(id)
      this.#madeBy.push(index)
      return id
    })
  }

  find(id: number): number {
    let root = id
    while (this.#parent[root] !== root) root = this.#parent[root]!
    for (let at = id; at !== root; ) {
      const next = this.#parent[at]!
      this.#parent[at] = root
      at = next
    }
    return root
  }

  tie(a: number, b: number): void {
    const [left, right] = [this.find(a), this.find(b)]
    if (left === right) return
    const [low, high] = left < right ? [left, right] : [right, left]
    this.#parent[high] = low
    if (this.#pinned.has(high)) this.#pinned.add(low)
  }

  /** It cannot be removed. */
  pin(id: number): void {
    this.#pinned.add(this.find(id))
  }

  /** Removable channels, together where their layers are tied by any channel. */
  groups(): ChannelGroup[] {
    const family = new FamilyOfLayers(this.#layers.length)
    this.#madeBy.forEach((layer, id) => {
      family.join(layer, this.#madeBy[this.find(id)]!)
    })
    const groups = new Map<number, { layers: Set<string>; channels: Set<number> }>()
    this.#madeBy.forEach((layer, id) => {
      const root = this.find(id)
      if (this.#pinned.has(root)) return
      const of = family.find(layer)
      const group = groups.get(of) ?? { layers: new Set(), channels: new Set() }
      group.layers.add(this.#layers[layer]!)
      group.channels.add(root)
      groups.set(of, group)
    })
    return [...groups.values()].map(({ layers, channels }) => ({
      layers: [...layers],
      channels: [...channels],
    }))
  }
}

class FamilyOfLayers {
  readonly #parent: number[]
  constructor(count: number) {
    this.#parent = Array.from({ length: count }, (_, index) => index)
  }
  find(layer: number): number {
    let root = layer
    while (this.#parent[root] !== root) root = this.#parent[root]!
    return root
  }
  join(a: number, b: number): void {
    const [left, right] = [this.find(a), this.find(b)]
    if (left !== right) this.#parent[Math.max(left, right)] = Math.min(left, right)
  }
}
