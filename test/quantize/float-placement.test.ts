import assert from 'node:assert/strict'
import { test } from 'node:test'
import { macsOf } from '../../src/graph/macs.ts'
import type { Graph } from '../../src/graph/types.ts'
import { floatOrder, PlacementCost } from '../../src/quantize/float-placement.ts'
import type { PrecisionGroup } from '../../src/quantize/precision-groups.ts'
import { elementCount } from '../../src/tensor.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

const real = { realBoundary: true }

/** Matrix products in a row, each a group, over so many rows. */
const rows = 64
function chain(...widths: readonly number[]): { graph: Graph; groups: PrecisionGroup[] } {
  const small = new SmallGraph()
  let last = small.input('x', rows, widths[0]!)
  for (const [i, width] of widths.slice(1).entries())
    last = small.node({ kind: 'MatMul' }, [last, small.weights([widths[i]!, width])], `layer${i}`)
  const graph = small.finish(last)
  return { graph, groups: groupsOf(graph) }
}

function groupsOf(graph: Graph): PrecisionGroup[] {
  return graph.nodes.map((node) => ({
    nodes: [node],
    values: node.outputs,
    macs: macsOf(node, graph),
    weights: elementCount(graph.values.get(node.inputs[1]!)?.constant?.shape ?? [0]),
  }))
}

test('a float layer costs its multiply-accumulates, its weights and the conversions at its borders', () => {
  const { graph, groups } = chain(10, 20, 30, 40)
  const cost = new PlacementCost(graph, groups, real)
  // in integers alone: x is converted before and the output after; in the middle both sides of it are
  assert.equal(cost.of(1, []), rows * (2 * 600 + 16 * (20 + 30)) + 12 * 600)
  // the first one takes the conversion of x along
  assert.equal(cost.of(0, []), rows * (2 * 200 + 16 * (20 - 10)) + 12 * 200)
  assert.equal(cost.of(1, [0]), rows * (2 * 600 + 16 * (30 - 20)) + 12 * 600)
  // between two in float, it saves what stood at both of its sides
  assert.equal(cost.of(1, [0, 2]), rows * (2 * 600 - 16 * (20 + 30)) + 12 * 600)
})

test('costs of one group after the other add up to the same, whatever the order', () => {
  const small = new SmallGraph()
  const x = small.conv(small.input('x', 1, 3, 4, 4), 4, {}, 'stem')
  const a = small.conv(x, 4, {}, 'a')
  const b = small.conv(x, 4, { kernel: 1, pad: 0 }, 'b')
  const sum = small.node({ kind: 'Binary', fn: 'Add' }, [a, b], 'sum')
  const graph = small.finish(small.conv(sum, 2, {}, 'head'), sum)
  const groups = groupsOf(graph)
  const cost = new PlacementCost(graph, groups, real)
  const total = (order: readonly number[]) =>
    order.reduce((all, group, at) => all + cost.of(group, order.slice(0, at)), 0)
  const expected = total([0, 1, 2, 3, 4])
  for (const order of [
    [4, 3, 2, 1, 0],
    [2, 0, 4, 1, 3],
    [3, 1, 4, 0, 2],
  ])
    assert.equal(total(order), expected)
  // all in float: no conversion is left of x (48), sum (64) and head (32)
  const layers = groups.reduce((all, { macs, weights }) => all + 2 * macs + 12 * weights, 0)
  assert.equal(expected, layers - 16 * (48 + 64 + 32))
})

test('the most noise for its cost goes first', () => {
  const { graph, groups } = chain(16, 16, 16, 16, 16)
  assert.equal(floatOrder(graph, groups, [1, 5, 2, 1], real)[0], 1)
  // the same noise in a layer four times as large is a worse bargain
  const wide = chain(16, 16, 64, 64, 16)
  assert.equal(floatOrder(wide.graph, wide.groups, [1, 0, 1.5, 0], real)[0], 0)
})

test('a float region grows before another starts: its neighbour needs fewer conversions', () => {
  const { graph, groups } = chain(...Array.from({ length: 9 }, () => 8))
  const noise = [0, 0, 9, 2, 0, 0, 2.2, 0]
  assert.deepEqual(floatOrder(graph, groups, noise, real).slice(0, 2), [2, 3])
})

test('what stands between two float layers goes along where converting costs more than float does', () => {
  const { graph, groups } = chain(...Array.from({ length: 8 }, () => 8))
  assert.deepEqual(floatOrder(graph, groups, [0, 0, 9, 0, 8, 0, 0], real).slice(0, 3), [2, 4, 3])
  // 64² multiply-accumulates are dearer than the conversions of 2 · 64 elements
  const heavy = chain(...Array.from({ length: 8 }, () => 64))
  assert.deepEqual(floatOrder(heavy.graph, heavy.groups, [0, 5, 9, 0, 8, 0, 0], real).slice(0, 3), [2, 4, 1])
})

test('layers that add no noise come last', () => {
  const { graph, groups } = chain(64, 64, 64, 64, 64)
  const order = floatOrder(graph, groups, [0, 3, 2, 0], real)
  assert.deepEqual(order.slice(0, 2), [1, 2])
  assert.equal(order.length, groups.length)
})
