import assert from 'node:assert/strict'
import { createOnnxEvaluator } from '../../../../src/execute/onnxruntime.ts'
import { seededGenerator } from '../../../../src/data/generator.ts'
import { writeOnnx } from '../../../../src/formats/onnx/write.ts'
import { float32Constant } from '../../../../src/graph/constant.ts'
import type { Graph } from '../../../../src/graph/types.ts'
import { convertLayout } from '../../../../src/passes/index.ts'
import { gatedGraph } from '../../../../src/train/prune/channels/gates.ts'
import { channelGroups } from '../../../../src/train/prune/channels/groups.ts'
import { removeChannels } from '../../../../src/train/prune/channels/remove.ts'
import { channelStructure } from '../../../../src/train/prune/channels/structure.ts'
import { randomFeeds } from '../../../targets/onnxruntime-run.ts'

/** Seeded groups to remove: at least one, about as many as the share says, of each tensor at least one channel left. */
export function someGroups(graph: Graph, share: number, seed: number): Set<number> {
  const random = seededGenerator(seed)
  const removed = new Set<number>()
  const { values, cuts } = channelStructure(graph)
  const axes = [...values.values(), ...cuts.map((cut) => cut.axes)].flatMap((all) =>
    all.flatMap((g) => g ?? []),
  )
  const groups = channelGroups(graph)
  const surely = random.integer(groups.length) + 1
  for (const { id } of groups) {
    if (id !== surely && random.next() >= share) continue
    removed.add(id)
    if (axes.some((groups) => groups.includes(id) && groups.every((group) => removed.has(group))))
      removed.delete(id)
  }
  return removed
}

/** The network with gates at 0 where channels are removed: what the pruned network has to compute. */
export function silenced(graph: Graph, removed: ReadonlySet<number>): Graph {
  const { graph: gated, gates } = gatedGraph(graph)
  const values = new Map(gated.values)
  for (const { name, groups } of gates) {
    const value = values.get(name)!
    const numbers = Array.from(groups, (group) => (removed.has(group) ? 0 : 1))
    values.set(name, { ...value, constant: float32Constant(value.type.shape, numbers) })
  }
  return { ...gated, values }
}

/** Removes channels and checks, on ONNX Runtime without its rewrites, that nothing else changes. */
export async function assertSameWithout(graph: Graph, removed: ReadonlySet<number>): Promise<Graph> {
  assert.ok(removed.size > 0, 'nothing is removed')
  const pruned = removeChannels(graph, removed)
  const [expected, found] = [await outputsOf(silenced(graph, removed)), await outputsOf(pruned)]
  assertClose(found, expected)
  return pruned
}

export function assertClose(found: readonly Float32Array[], expected: readonly Float32Array[]): void {
  expected.forEach((output, index) => {
    const largest = output.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    const difference = output.reduce((most, x, i) => Math.max(most, Math.abs(x - found[index]![i]!)), 0)
    assert.ok(largest > 1e-6, 'the outputs are all zeros')
    assert.ok(difference <= 1e-5 * Math.max(1, largest), `${difference} beside ${largest}`)
  })
}

export async function outputsOf(graph: Graph): Promise<Float32Array[]> {
  const evaluator = await createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')), {
    optimize: 'disabled',
  })
  try {
    const results = await evaluator.run(randomFeeds(graph, 3))
    return graph.outputs.map((name) => results.get(name)!.data as Float32Array)
  } finally {
    await evaluator.close()
  }
}
