import assert from 'node:assert/strict'
import { test } from 'node:test'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { equalize } from '../../../src/compile/improvements/equalize.ts'
import { openModel } from '../../../src/formats/index.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { floatPasses, runPasses } from '../../../src/passes/index.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { litert } from '../../../targets/litert/index.ts'
import { onnxruntime } from '../../../targets/onnxruntime/index.ts'
import { fixturesMissing } from '../../fixtures.ts'
import { mobileNet, type Task } from '../../targets/litert/tasks.ts'
import { randomFeeds } from '../../targets/onnxruntime-run.ts'
import { convOp, SmallGraph } from '../../targets/small-graphs.ts'
import { Bench, floatResults, largestDifference } from './bench.ts'

test('one scale for all weights of a layer: equalization closes three quarters of the gap to scales by channel on MobileNetV1', {
  skip: fixturesMissing,
}, async () => {
  const { graph, calibration, tested, expected } = await network(await mobileNet(), 40)
  for (const target of [litert, onnxruntime]) {
    const perTensor = new Bench(equalize, graph, calibration, target, false)
    const plain = await perTensor.plain()
    const proposal = await perTensor.propose(plain)
    assert.ok('trials' in proposal)
    const [balanced] = proposal.trials
    const perChannel = new Bench(equalize, graph, calibration, target, true)
    const low = await perTensor.sqnrDb(plain, tested, expected)
    const high = await perChannel.sqnrDb(await perChannel.plain(), tested, expected)
    const reached = await perTensor.sqnrDb(perTensor.make(balanced!.trial), tested, expected)
    const figures = `${target.name}: ${low.toFixed(2)} → ${reached.toFixed(2)} of ${high.toFixed(2)} dB`
    assert.ok(high > low + 10, figures)
    assert.ok(reached >= low + 0.75 * (high - low), figures)
  }
})

test('weights of one scale come into balance where channels are of very different sizes', async () => {
  const graph = spread([1, 1 / 64])
  const feeds = Array.from({ length: 8 }, (_, seed) => randomFeeds(graph, seed + 1))
  const bench = new Bench(equalize, graph, feeds, litert, false)
  const plain = await bench.plain()
  const proposal = await bench.propose(plain)
  assert.ok('trials' in proposal)
  assert.match(
    proposal.trials[0]!.name,
    /^cross-layer equalization of 8 channels by weights and activations$/,
  )
  const tested = Array.from({ length: 8 }, (_, seed) => randomFeeds(graph, seed + 50))
  const expected = await floatResults(graph, tested)
  const before = await bench.sqnrDb(plain, tested, expected)
  const after = await bench.sqnrDb(bench.make(proposal.trials[0]!.trial), tested, expected)
  assert.ok(after > before + 6, `${before} → ${after} dB`)
})

test('it declines where no layer reads what another scales', async () => {
  const small = new SmallGraph()
  const x = small.node({ kind: 'HardSwish' }, [small.conv(small.input('x', 1, 3, 8, 8), 4)])
  const graph = small.finish(small.conv(x, 4))
  const bench = new Bench(equalize, graph, [randomFeeds(graph, 1)], litert, true)
  const proposal = await bench.propose(await bench.plain())
  assert.ok('declined' in proposal)
  assert.match(proposal.declined, /reads channels of another/)
})

test('channels that calibration saw at the bound of a clip keep their scale', async () => {
  // the first half of the channels goes far beyond 6, the other half stays far below
  const graph = spread([100, 1 / 64], { kind: 'Clip', min: 0, max: 6 })
  const feeds = Array.from({ length: 8 }, (_, seed) => randomFeeds(graph, seed + 1))
  const bench = new Bench(equalize, graph, feeds, litert, false)
  const plain = await bench.plain()
  const proposal = await bench.propose(plain)
  assert.ok('trials' in proposal)
  for (const { trial } of proposal.trials) {
    const difference = await largestDifference(graph, trial.graph, feeds)
    assert.ok(difference < 1e-5, `${difference} of the largest output on calibration samples`)
    assert.ok(trial.graph.nodes.some(({ op }) => op.kind === 'Clip' && op.max === 6))
  }
})

/** Two convolutions of 8 channels, those of each half larger by a factor in the first and smaller in the second. */
function spread([first, second]: readonly [number, number], op: Op = { kind: 'Relu' }): Graph {
  const small = new SmallGraph()
  const factor = (channel: number) => (channel < 4 ? first : second)
  const numbers = (count: number, factorOf: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + 1) * factorOf(i))
  const rows = small.constant(
    [8, 3, 3, 3],
    numbers(8 * 27, (i) => factor(Math.floor(i / 27))),
  )
  const columns = small.constant(
    [4, 8, 3, 3],
    numbers(4 * 72, (i) => 1 / factor(Math.floor(i / 9) % 8)),
  )
  const bias = (count: number) => small.constant([count], new Array<number>(count).fill(0))
  const a = small.node(convOp(), [small.input('x', 1, 3, 8, 8), rows, bias(8)])
  return small.finish(small.node(convOp(), [small.node(op, [a]), columns, bias(4)]))
}

/** The float network with so many test samples and what it makes of them. */
async function network(task: Task, count: number) {
  const [original] = (await openModel(task.float)).graphs.values()
  const graph = await runPasses(original!, floatPasses(executeGraph))
  const [input] = graph.inputs
  const { shape } = graph.values.get(input!)!.type
  const feed = (data: Float32Array) => new Map<string, Tensor>([[input!, { dtype: 'float32', shape, data }]])
  const tested: ReadonlyMap<string, Tensor>[] = []
  for await (const sample of task.test) {
    tested.push(feed(sample))
    if (tested.length === count) break
  }
  const expected = await floatResults(graph, tested)
  return { graph, calibration: task.calibration.map(feed), tested, expected }
}
