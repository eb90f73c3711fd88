import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLoop, segmentsOf } from '../../../src/compile/diagnose/open-loop.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'

/** x → conv → relu → (branch: conv) + relu */
function residual() {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 2, 4, 4)
  const first = graph.conv(x, 2, {}, 'first')
  const relu = graph.node({ kind: 'Relu' }, [first], 'relu')
  const second = graph.conv(relu, 2, {}, 'second')
  const sum = graph.node({ kind: 'Binary', fn: 'Add' }, [second, relu], 'sum')
  return graph.finish(sum)
}

test('what lies between seen values is one segment, and starts from the seen values before it', () => {
  const segments = segmentsOf(residual(), new Set(['x', 'relu_out', 'sum_out']))
  assert.deepEqual([...segments.keys()], ['relu_out', 'sum_out'])
  const names = (value: string) => segments.get(value)!.nodes.map(({ name }) => name)
  assert.deepEqual(names('relu_out'), ['first', 'relu'])
  assert.deepEqual(segments.get('relu_out')!.reads, ['x'])
  assert.deepEqual(names('sum_out'), ['second', 'sum'])
  assert.deepEqual(segments.get('sum_out')!.reads, ['relu_out'])
})

test('an open loop computes every value from what it is given, not from what came before', async () => {
  const graph = residual()
  const cuts = new Map(['x', 'relu_out', 'second_out', 'sum_out'].map((name) => [name, name]))
  const loop = openLoop(graph, cuts, ['relu_out', 'sum_out'])
  assert.deepEqual([...loop.feeds.values()].sort(), ['relu_out', 'second_out', 'x'])
  const evaluator = await executeGraph(loop.graph)
  const filled = (value: number) =>
    ({ dtype: 'float32', shape: [1, 2, 4, 4], data: new Float32Array(32).fill(value) }) as const
  const given: Record<string, number> = { x: 0, relu_out: 3, second_out: 4 }
  const results = await evaluator.run(
    new Map([...loop.feeds].map(([input, name]) => [input, filled(given[name]!)])),
  )
  await evaluator.close()
  // 3 + 4, whatever the convolutions would have made of x
  assert.deepEqual([...new Set(results.get('sum_out')!.data as Float32Array)], [7])
})

test('inputs that nothing needs any more are not asked for', () => {
  const loop = openLoop(residual(), new Map([['relu_out', 'relu_out']]), ['second_out'])
  assert.deepEqual([...loop.feeds.values()], ['relu_out'])
  assert.deepEqual(
    loop.graph.nodes.map(({ name }) => name),
    ['second'],
  )
})
