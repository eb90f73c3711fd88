import assert from 'node:assert/strict'
import { test } from 'node:test'
import { absorbBias } from '../../../src/compile/improvements/absorb-bias.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { onnxruntime } from '../../../targets/onnxruntime/index.ts'
import { randomFeeds } from '../../targets/onnxruntime-run.ts'
import { convOp, SmallGraph } from '../../targets/small-graphs.ts'
import { Bench, floatResults, largestDifference } from './bench.ts'

/** Two layers with a ReLU between them, the biases of the first all so much; the second takes differences. */
function lifted(bias: number): Graph {
  const small = new SmallGraph()
  const x = small.input('x', 1, 2, 8, 8)
  const a = small.node(convOp({ pad: 0 }), [x, small.weights([6, 2, 3, 3], 0.2), small.weights([6], 0, bias)])
  const differences = [1, -1, 0.5, -0.5, 0.3, -0.3, 0.7, 0.4, -0.4, -0.7, 0.2, -0.2]
  const inputs = [
    small.node({ kind: 'Relu' }, [a]),
    small.constant([2, 6, 1, 1], differences),
    small.weights([2], 1),
  ]
  return small.finish(small.node(convOp({ pad: 0 }), inputs))
}

const feeds = (graph: Graph, from: number) =>
  Array.from({ length: 8 }, (_, seed) => randomFeeds(graph, seed + from))

test('channels that a bias lifts far above zero are stored finer once it is absorbed', async () => {
  const graph = lifted(20)
  const tested = feeds(graph, 50)
  const expected = await floatResults(graph, tested)
  const bench = new Bench(absorbBias, graph, feeds(graph, 1), onnxruntime, true)
  const plain = await bench.plain()
  const proposal = await bench.propose(plain)
  assert.ok('trials' in proposal)
  const [{ trial, name }] = proposal.trials as [(typeof proposal.trials)[number]]
  assert.equal(name, 'biases of 1 layer absorbed, by the least seen')
  const difference = await largestDifference(graph, trial.graph, feeds(graph, 1))
  assert.ok(difference < 1e-5, `${difference} of the largest output on calibration samples`)
  const before = await bench.sqnrDb(plain, tested, expected)
  const after = await bench.sqnrDb(bench.make(trial), tested, expected)
  assert.ok(after > before + 6, `${before} → ${after} dB`)
})

test('it declines where no bias lifts a channel', async () => {
  const graph = lifted(0)
  const bench = new Bench(absorbBias, graph, feeds(graph, 1), onnxruntime, true)
  const proposal = await bench.propose(await bench.plain())
  assert.ok('declined' in proposal)
  assert.match(proposal.declined, /lift no channel of the one layer that could hand them over/)
})
