import type { Operator } from './operators.ts'

/** Operators that run together on one side. */
export interface Partition {
  readonly side: 'accelerator' | 'cpu'
  readonly operators: readonly Operator[]
}

/**
 * Cuts a network as TensorFlow Lite's delegate partitioning does (`PartitionGraphIntoIndependentNodeSubsets`): the
 * first operator that is ready says the side of the first part; the part takes every operator of that side that
 * needs nothing but what is there already; then the next part begins. The compiler keeps the first part of the Edge
 * TPU and leaves the others.
 */
export function partitionsOf(operators: readonly Operator[], mappable: ReadonlySet<Operator>): Partition[] {
  const producers = new Map<string, Operator>()
  for (const operator of operators) for (const { name } of operator.outputs) producers.set(name, operator)
  const followers = new Map<Operator, Operator[]>()
  const missing = new Map<Operator, number>()
  for (const operator of operators) {
    const before = new Set(
      operator.inputs.map(({ name }) => producers.get(name)).filter((made) => made !== undefined),
    )
    before.delete(operator)
    missing.set(operator, before.size)
    for (const producer of before) {
      const list = followers.get(producer)
      if (list) list.push(operator)
      else followers.set(producer, [operator])
    }
  }
  const position = new Map(operators.map((operator, index) => [operator, index]))
  let ready = operators.filter((operator) => missing.get(operator) === 0)
  const partitions: Partition[] = []
  while (ready.length > 0) {
    const first = ready.reduce((a, b) => (position.get(a)! < position.get(b)! ? a : b))
    const onAccelerator = mappable.has(first)
    const taken: Operator[] = []
    const waiting: Operator[] = []
    for (let i = 0; i < ready.length; i++) {
      const operator = ready[i]!
      if (mappable.has(operator) !== onAccelerator) {
        waiting.push(operator)
        continue
      }
      taken.push(operator)
      for (const follower of followers.get(operator) ?? []) {
        const left = missing.get(follower)! - 1
        missing.set(follower, left)
        if (left === 0) ready.push(follower)
      }
    }
    partitions.push({
      side: onAccelerator ? 'accelerator' : 'cpu',
      operators: taken.sort((a, b) => position.get(a)! - position.get(b)!),
    })
    ready = waiting
  }
  return partitions
}
