import assert from 'node:assert/strict'
import { test } from 'node:test'
import { neverClipped } from '../../src/quantize/never-clipped.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

const softmax = { kind: 'Softmax', axis: 1 } as const

test('logits behind a softmax, a reshape and a concatenation are never clipped; features are', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const features = graph.node({ kind: 'Relu' }, [graph.conv(x, 8, {}, 'stem')], 'relu')
  const a = graph.node({ kind: 'Reshape', shape: [1, 2, 64] }, [graph.conv(features, 2, {}, 'a')], 'flat')
  const b = graph.node({ kind: 'Reshape', shape: [1, 2, 64] }, [graph.conv(features, 2, {}, 'b')], 'flat_b')
  const joined = graph.node({ kind: 'Concat', axis: 2 }, [a, b], 'join')
  const kept = neverClipped(graph.finish(graph.node(softmax, [joined], 'softmax')))
  assert.deepEqual([...kept].sort(), [
    'a_out',
    'b_out',
    'flat_b_out',
    'flat_out',
    'join_out',
    'softmax_out',
    'x',
  ])
})

test('boxes are followed through the arithmetic with anchors and strides', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const offset = graph.conv(x, 2, {}, 'offset')
  const corner = graph.node({ kind: 'Binary', fn: 'Sub' }, [graph.weights([1, 2, 8, 8], 8), offset], 'corner')
  const out = graph.node({ kind: 'Binary', fn: 'Mul' }, [corner, graph.constant([1], [8])], 'pixels')
  assert.ok(neverClipped(graph.finish(out)).has('offset_out'))
})

test('the scores of a distribution inside the network are kept, those of an attention are not', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 16, 4, 4)
  const bins = graph.node(softmax, [graph.conv(x, 16, {}, 'bins')], 'distribution')
  const distance = graph.conv(bins, 1, { kernel: 1 }, 'expectation')
  assert.ok(neverClipped(graph.finish(distance)).has('bins_out'))

  const attention = new SmallGraph()
  const tokens = attention.input('tokens', 1, 4, 8)
  const query = attention.node({ kind: 'MatMul' }, [tokens, attention.weights([8, 4])], 'similarity')
  const weights = attention.node({ kind: 'Softmax', axis: 2 }, [query], 'weights')
  const values = attention.node({ kind: 'MatMul' }, [weights, tokens], 'values')
  const out = attention.node({ kind: 'MatMul' }, [values, attention.weights([8, 3])], 'out')
  const kept = neverClipped(attention.finish(out))
  assert.ok(!kept.has('similarity_out') && !kept.has('values_out') && kept.has('out_out'))
})
