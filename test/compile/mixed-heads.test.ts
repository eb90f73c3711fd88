import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelFileOf } from '../../src/compile/execute-graph.ts'
import { partHeads, splitMixedOutputs } from '../../src/compile/mixed-heads.ts'
import type { Samples } from '../../src/compile/samples.ts'
import type { Source } from '../../src/compile/source.ts'
import { openDataset } from '../../src/data/open.ts'
import type { Graph } from '../../src/graph/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { sqnrDb } from '../../src/quantize/fidelity.ts'
import { litert } from '../../targets/litert/index.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import type { Target, TargetOptions } from '../../targets/target.ts'
import { squareDetector, writeSquares } from '../data/square-detector.ts'
import { temporaryFolder } from '../data/temporary.ts'
import { evaluatorOf } from '../targets/litert/run.ts'
import { randomFeeds, sessionOf, x64Options } from '../targets/onnxruntime-run.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { openEvaluator } from '../../src/execute/open.ts'

/** Two branches 2000 times apart, concatenated and sliced again, one read by a convolution, one by a product. */
function sliced(): Graph {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const large = graph.node(
    { kind: 'Binary', fn: 'Mul' },
    [graph.conv(x, 4, {}, 'large'), graph.constant([1], [2000])],
    'scaled',
  )
  const joined = graph.node({ kind: 'Concat', axis: 1 }, [large, graph.conv(x, 4, {}, 'small')], 'join')
  const part = (name: string, start: number) =>
    graph.node({ kind: 'Slice', axes: [1], starts: [start], ends: [start + 4], steps: [1] }, [joined], name)
  const scaled = graph.node(
    { kind: 'Binary', fn: 'Mul' },
    [part('right', 4), graph.weights([1, 4, 1, 1])],
    'times',
  )
  return graph.finish(
    graph.conv(part('left', 0), 2, {}, 'after_left'),
    graph.conv(scaled, 2, {}, 'after_right'),
  )
}

async function compiled(target: Target, part: boolean, options: TargetOptions = x64Options) {
  const graph = target.tailor?.(sliced(), options) ?? sliced()
  const feeds = Array.from({ length: 8 }, (_, i) => randomFeeds(sliced(), i + 1))
  const more = (wanted: readonly string[]) => calibrate(graph, evaluatorOf, feeds, wanted)
  const ranges = await calibrate(graph, evaluatorOf, feeds, target.wantedTensors(graph, options))
  const parted = part
    ? await partHeads(graph, ranges, target, options, more)
    : { keepFloat: [], ranges, decisions: [] }
  const given = { ...options, keepFloat: parted.keepFloat }
  const emitted = target.emit(target.prepare(graph, parted.ranges, given).graph, given)
  const [float, own] = [
    await evaluatorOf(sliced()),
    await openEvaluator(emitted.files.get(emitted.model)!, sessionOf(options)),
  ]
  const feed = randomFeeds(sliced(), 77)
  const [reference, candidate] = [await float.run(feed), await own.run(feed)]
  const db = sqnrDb(
    reference.get('after_right_out')!.data as Float32Array,
    candidate.get('after_right_out')!.data as Float32Array,
  )
  await float.close()
  await own.close()
  return { parted, db }
}

for (const target of [onnxruntime, litert])
  test(`${target.name}: slices of a mixed concatenation in float keep the small branch`, async () => {
    const naive = await compiled(target, false)
    const { parted, db } = await compiled(target, true)
    // what is left is the bias
    assert.ok(naive.db < 12, `${naive.db} dB`)
    assert.ok(db > 30, `${db} dB`)
    assert.match(parted.decisions[0]!.reason, /differ \d+ times: small_out .*It stays in float/)
  })

test('what only the new placement needs is calibrated, and nothing else', async () => {
  const seen = new Map([
    ['scaled_out', { min: -2000, max: 2000 }],
    ['small_out', { min: -1, max: 1 }],
  ])
  const target: Pick<Target, 'wantedTensors'> = {
    wantedTensors: (_, { keepFloat }) => [
      ...seen.keys(),
      ...(keepFloat.includes('right_out') ? ['right_out'] : []),
    ],
  }
  const asked: (readonly string[])[] = []
  const parted = await partHeads(sliced(), seen, target, x64Options, async (wanted) => {
    asked.push(wanted)
    return new Map([['right_out', { min: -0.5, max: 0.5 }]])
  })
  assert.deepEqual(asked, [['right_out']])
  assert.deepEqual([...parted.ranges.keys()], ['scaled_out', 'small_out', 'right_out'])
  assert.equal(parted.ranges.get('right_out')!.max, 0.5)
})

test('declines: nothing mixed, and integer outputs at the end, where the advice is to split them', async () => {
  const never = () => assert.fail('nothing is to be calibrated')
  const graph = squareDetector()
  const whole = { min: 0, max: 1 }
  const alike = new Map(onnxruntime.wantedTensors(graph, x64Options).map((name) => [name, whole]))
  const nothing = await partHeads(graph, alike, onnxruntime, x64Options, never)
  assert.deepEqual([nothing.keepFloat, nothing.decisions], [[], []])
  assert.equal(nothing.ranges, alike)
  const integer = { ...x64Options, io: 'int8' } as const
  const mixed = new Map([...alike, ['boxes_out', { min: 0, max: 640 }]])
  const advised = await partHeads(graph, mixed, onnxruntime, integer, never)
  assert.deepEqual(advised.keepFloat, [])
  assert.match(advised.decisions[0]!.reason, /allow split-outputs/)
  assert.deepEqual((await partHeads(graph, new Map(), onnxruntime, x64Options, never)).decisions, [])
})

test('split-outputs: the float network gets the same outputs; a network without a mixed end stays as it is', async (context) => {
  const folder = await writeSquares(await temporaryFolder(context), 3)
  const dataset = await openDataset(
    folder,
    [{ name: 'picture', dtype: 'float32', shape: [1, 3, 640, 640] }],
    {},
  )
  const samples = { calibration: { dataset, indices: [0, 1] } } as unknown as Samples
  const sourceOf = (graph: Graph) =>
    ({ original: graph, graph, notes: [], floatModel: modelFileOf(graph) }) as unknown as Source
  const split = await splitMixedOutputs(sourceOf(squareDetector()), samples, silentProgress())
  assert.deepEqual(split.original.outputs, ['flat_boxes_out', 'scores_out'])
  assert.deepEqual(split.graph.outputs, split.original.outputs)
  assert.match(split.notes[0]!.reason, /split in flat_boxes_out, scores_out/)
  const evaluator = await openEvaluator(split.floatModel)
  const results = await evaluator.run((await dataset.sample(2)).inputs)
  assert.deepEqual(
    [...results].map(([name, { shape }]) => [name, shape]),
    [
      ['flat_boxes_out', [1, 4, 100]],
      ['scores_out', [1, 3, 100]],
    ],
  )
  await evaluator.close()
  const plain = sourceOf(sliced())
  assert.equal(await splitMixedOutputs(plain, samples, silentProgress()), plain)
})
