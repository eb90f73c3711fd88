import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verifyGraph } from '../../src/graph/verify.ts'
import { splitHeads } from '../../src/passes/split-heads.ts'
import { evaluatorOf, randomFeeds } from '../targets/onnxruntime-run.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

function head() {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const parts = ['centre', 'size', 'score'].map((name, index) =>
    graph.node(
      { kind: 'Reshape', shape: [1, index + 1, 64] },
      [graph.conv(x, index + 1, {}, name)],
      `flat_${name}`,
    ),
  )
  return { graph, joined: graph.node({ kind: 'Concat', axis: 1 }, parts, 'join') }
}

test('each group gets an output; joined again they are the old one, bit for bit', async () => {
  const { graph, joined } = head()
  const whole = graph.finish(graph.node({ kind: 'Transpose', perm: [0, 2, 1] }, [joined], 'turn'))
  const { graph: split, replaced, notes } = splitHeads(whole, [{ node: 'join', groups: [[0, 1], [2]] }])
  verifyGraph(split)
  assert.deepEqual(notes, [])
  const outputs = replaced.get('turn_out')!
  assert.deepEqual(split.outputs, outputs)
  assert.deepEqual(
    outputs.map((name) => split.values.get(name)!.type.shape),
    [
      [1, 64, 3],
      [1, 64, 3],
    ],
  )
  const feeds = randomFeeds(whole, 3)
  const [before, after] = [await evaluatorOf(whole), await evaluatorOf(split)]
  const expected = [...((await before.run(feeds)).get('turn_out')!.data as Float32Array)]
  const seen = await after.run(feeds)
  const rows = outputs.map((name) => seen.get(name)!.data as Float32Array)
  const joinedAgain = Array.from({ length: 64 }, (_, i) =>
    rows.map((row) => [...row.slice(3 * i, 3 * i + 3)]),
  ).flat(2)
  assert.deepEqual(joinedAgain, expected)
  await before.close()
  await after.close()
})

test('a branch alone is its own output, without a copy', () => {
  const { graph, joined } = head()
  const { graph: split } = splitHeads(graph.finish(joined), [{ node: 'join', groups: [[0, 1], [2]] }])
  assert.deepEqual(split.outputs, ['join_out_0', 'flat_score_out'])
  assert.ok(split.nodes.every(({ op }) => op.kind !== 'Identity'))
})

test('declines where something other than a transpose follows, or the output is read by others too', () => {
  const { graph, joined } = head()
  const flat = graph.node({ kind: 'Reshape', shape: [384] }, [joined], 'flat')
  const reshaped = graph.finish(flat)
  const kept = splitHeads(reshaped, [{ node: 'join', groups: [[0], [1], [2]] }])
  assert.equal(kept.graph, reshaped)
  assert.deepEqual(kept.notes, [{ where: 'join', reason: 'kept: Reshape stands between it and the output' }])
  const read = graph.finish(joined, graph.node({ kind: 'Relu' }, [joined], 'relu'))
  assert.match(
    splitHeads(read, [{ node: 'join', groups: [[0], [1, 2]] }]).notes[0]!.reason,
    /read the output/,
  )
})
