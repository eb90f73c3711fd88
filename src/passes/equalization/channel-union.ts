/** Channels that carry a scale of their own, along one axis of a value. */
export interface ScaledAxis {
  readonly axis: number
  /** For each index along the axis, a member of the union. */
  readonly channels: Int32Array
}

/** The channel whose scale is 1: what is united with it stays as it is. */
export const unscaled = 0

/** Union-find over channels of values: members of a class are scaled alike. */
export class ChannelUnion {
  readonly #parents: number[] = [unscaled]

  /** So many channels, each free of all others. */
  fresh(count: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.#parents.push(this.#parents.length) - 1)
  }

  /** The smallest member of the class: `unscaled` where that is one. */
  find(channel: number): number {
    let root = channel
    while (this.#parents[root] !== root) root = this.#parents[root]!
    for (let at = channel; at !== root; ) {
      const next = this.#parents[at]!
      this.#parents[at] = root
      at = next
    }
    return root
  }

  unite(a: number, b: number): void {
    const [first, second] = [this.find(a), this.find(b)]
    this.#parents[Math.max(first, second)] = Math.min(first, second)
  }

  uniteAll(a: Int32Array, b: Int32Array): void {
    for (let index = 0; index < a.length; index++) this.unite(a[index]!, b[index]!)
  }

  /** None of them may be scaled. */
  pin(channels: Int32Array): void {
    for (const channel of channels) this.unite(unscaled, channel)
  }
}
