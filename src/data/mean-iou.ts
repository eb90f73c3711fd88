import { ignoredClass } from './types.ts'

/** Counts of pixels by true class and by seen class. */
export class ConfusionMatrix {
  readonly #counts = new Map<number, Map<number, number>>()

  /** One picture: classes of pixels, in the same order. Pixels whose true class is `ignoredClass` do not count. */
  add(truth: Uint8Array, seen: Uint8Array): void {
    if (truth.length !== seen.length) throw new RangeError(`${truth.length} pixels beside ${seen.length}`)
    const counts = new Uint32Array(0x10000)
    for (let i = 0; i < truth.length; i++) counts[truth[i]! * 256 + seen[i]!]!++
    for (const [index, count] of counts.entries())
      if (count > 0 && index >> 8 !== ignoredClass) this.#count(index >> 8, index & 0xff, count)
  }

  /**
   * Mean over classes of intersection over union, of the classes that the truth or the network names anywhere
   * (Everingham et al., "The Pascal Visual Object Classes Challenge", 2015, section 3.3). NaN before any pixel counts.
   */
  get meanIou(): number {
    const [rows, columns] = [new Map<number, number>(), new Map<number, number>()]
    for (const [truth, seen, count] of this.#entries()) {
      rows.set(truth, (rows.get(truth) ?? 0) + count)
      columns.set(seen, (columns.get(seen) ?? 0) + count)
    }
    const classes = [...new Set([...rows.keys(), ...columns.keys()])]
    const shares = classes.map((index) => {
      const same = this.#counts.get(index)?.get(index) ?? 0
      return same / ((rows.get(index) ?? 0) + (columns.get(index) ?? 0) - same)
    })
    return shares.length === 0 ? Number.NaN : shares.reduce((a, b) => a + b, 0) / shares.length
  }

  /** Share of pixels with the right class. */
  get accuracy(): number {
    let [same, all] = [0, 0]
    for (const [truth, seen, count] of this.#entries()) {
      all += count
      if (truth === seen) same += count
    }
    return all === 0 ? Number.NaN : same / all
  }

  #count(truth: number, seen: number, count: number): void {
    const row = this.#counts.get(truth) ?? new Map<number, number>()
    row.set(seen, (row.get(seen) ?? 0) + count)
    this.#counts.set(truth, row)
  }

  *#entries(): Generator<[truth: number, seen: number, count: number]> {
    for (const [truth, row] of this.#counts) for (const [seen, count] of row) yield [truth, seen, count]
  }
}
