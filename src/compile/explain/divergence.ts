import type { Graph } from '../../graph/types.ts'

/** How far two computations of one value lie apart. */
export interface Difference {
  /** In quantization steps; infinite where one of them is no number. */
  readonly steps: number
  /** In words: where, and both numbers. */
  readonly seen: string
}

export interface Divergence {
  /** The value at which they part: all that its operator reads agrees. */
  readonly value: string
  readonly operator: string
  readonly difference: Difference
  /** What was compared to find it. */
  readonly comparisons: number
}

/**
 * The first operator at which two computations of one network part, found by bisection: some ten comparisons for a
 * thousand values. Branches may make one value of a longer prefix agree again, so the bisected value is followed up to
 * one whose operands all agree.
 *
 * @param compare null where both agree; asked at most once a value
 * @returns null where the outputs agree, or where looking at inner values makes them agree
 */
export async function firstDivergence(
  graph: Graph,
  compare: (value: string) => Promise<Difference | null>,
): Promise<Divergence | null> {
  const known = new Map<string, Difference | null>()
  const differenceOf = async (value: string) => {
    const before = known.get(value)
    if (before !== undefined) return before
    const difference = await compare(value)
    known.set(value, difference)
    return difference
  }
  const computed = graph.nodes.flatMap(({ outputs }) => outputs)
  let end = -1
  for (const output of graph.outputs)
    if (await differenceOf(output)) end = Math.max(end, computed.indexOf(output))
  if (end < 0) return null
  let low = -1
  while (end - low > 1) {
    const middle = (low + end) >> 1
    if (await differenceOf(computed[middle]!)) end = middle
    else low = middle
  }
  const producers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node])))
  for (let value = computed[end]!; ; ) {
    const node = producers.get(value)!
    let earlier: string | undefined
    for (const input of node.inputs)
      if (input !== null && producers.has(input) && (await differenceOf(input))) earlier ??= input
    if (earlier === undefined)
      return {
        value,
        operator: node.source?.opType ?? node.op.kind,
        difference: known.get(value)!,
        comparisons: known.size,
      }
    value = earlier
  }
}
