import type { OpOf } from '../../../graph/ops.ts'
import { elementCount } from '../../../tensor.ts'
import type { ChannelUnion } from '../../../passes/equalization/channel-union.ts'
import type { AxisLabels, LabelRule } from './labelling.ts'

/**
 * A Reshape keeps the order of elements, so the channels along an axis of its operand can be told along an axis of its
 * result: where an index of that covers several, they are united, and then exactly the same elements go on both sides.
 * Of the axes of the result the one is taken that unites fewest.
 */
export const labelReshape: LabelRule<OpOf<'Reshape'>> = (_, labelling) => {
  const { union } = labelling
  const [from, to] = [labelling.shapes[0]!, labelling.outputShapes[0]!]
  const made: (Int32Array | null)[] = to.map(() => null)
  labelling.labels[0]!.forEach((labels, axis) => {
    if (!labels) return
    const best = to
      .map((size, at) => ({ at, found: size > 1 ? along(union, labels, { from, axis, to, at }) : null }))
      .filter(({ at, found }) => found && made[at] === null)
      .reduce<Candidate | null>(
        (a, b) => (b.found!.classes > (a?.classes ?? 1) ? { at: b.at, ...b.found! } : a),
        null,
      )
    if (!best) {
      union.pin(labels)
      return
    }
    for (const [a, b] of best.pairs) union.unite(a, b)
    made[best.at] = best.labels
  })
  return [made satisfies AxisLabels]
}

interface Along {
  readonly labels: Int32Array
  /** What shares an index. */
  readonly pairs: readonly (readonly [number, number])[]
  /** Channels that can still be told apart. */
  readonly classes: number
}
type Candidate = Along & { readonly at: number }

interface Axes {
  readonly from: readonly number[]
  readonly axis: number
  readonly to: readonly number[]
  readonly at: number
}

function along(union: ChannelUnion, labels: Int32Array, { from, axis, to, at }: Axes): Along | null {
  const [size, period] = [to[at]!, labels.length]
  const [outer, inner] = [elementCount(from.slice(axis + 1)), elementCount(to.slice(at + 1))]
  // inside of one channel every index covers all channels; around all of them each covers all too
  if (inner * size <= outer || inner >= outer * period) return null
  // both indices stay the same over so many elements, and come again after so many
  const step = gcd(outer, inner)
  const end = Math.min(elementCount(from), lcm(outer * period, inner * size))
  const made = new Int32Array(size).fill(-1)
  const classes = new Classes()
  for (let element = 0; element < end; element += step) {
    const label = union.find(labels[Math.floor(element / outer) % period]!)
    const index = Math.floor(element / inner) % size
    classes.add(label)
    if (made[index] === -1) made[index] = label
    else classes.join(made[index]!, label)
  }
  return classes.count > 1 ? { labels: made, pairs: classes.joined, classes: classes.count } : null
}

/** Classes as they would be, without a change to the union. */
class Classes {
  readonly #parents = new Map<number, number>()
  /** What was apart before. */
  readonly joined: [number, number][] = []

  get count(): number {
    return this.#parents.size - this.joined.length
  }

  add(label: number): void {
    if (!this.#parents.has(label)) this.#parents.set(label, label)
  }

  join(a: number, b: number): void {
    if (a === b) return
    const [first, second] = [this.#find(a), this.#find(b)]
    if (first === second) return
    this.#parents.set(Math.max(first, second), Math.min(first, second))
    this.joined.push([first, second])
  }

  #find(label: number): number {
    let root = label
    for (let up = this.#parents.get(root)!; up !== root; up = this.#parents.get(root)!) root = up
    for (let at = label; at !== root; ) {
      const next = this.#parents.get(at)!
      this.#parents.set(at, root)
      at = next
    }
    return root
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b)
}

function lcm(a: number, b: number): number {
  return (a / gcd(a, b)) * b
}
