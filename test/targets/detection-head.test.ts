import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openMetric } from '../../src/data/metric.ts'
import { openDataset } from '../../src/data/open.ts'
import { taskAgreement } from '../../src/data/task-agreement.ts'
import { dequantizeTensor, quantizeTensor } from '../../src/data/quantize-tensor.ts'
import type { Dataset } from '../../src/data/types.ts'
import type { Evaluator } from '../../src/execute/evaluator.ts'
import { openEvaluator } from '../../src/execute/open.ts'
import type { Graph } from '../../src/graph/types.ts'
import { splitHeads } from '../../src/passes/split-heads.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { mixedConcats } from '../../src/quantize/concat-ranges.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import { litert } from '../../targets/litert/index.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import type { Emitted, EmittedTensor, Target, TargetOptions } from '../../targets/target.ts'
import { squareDetector, writeSquares } from '../data/square-detector.ts'
import { evaluatorOf } from './litert/run.ts'
import { sessionOf, x64Options } from './onnxruntime-run.ts'

let folder: string
let dataset: Dataset
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-squares-'))
  await writeSquares(folder, 8)
  const opened = await openDataset(
    folder,
    [{ name: 'picture', dtype: 'float32', shape: [1, 3, 640, 640] }],
    {},
  )
  // decoded once for all passes
  const samples = await Promise.all(Array.from({ length: 8 }, (_, index) => opened.sample(index)))
  dataset = { ...opened, sample: async (index) => samples[index]! }
})
after(() => rm(folder, { recursive: true, force: true }))

async function ranged(target: Target, graph: Graph, options: TargetOptions): Promise<Ranges> {
  const feeds = await Promise.all([0, 1, 2, 3].map(async (index) => (await dataset.sample(index)).inputs))
  return calibrate(graph, evaluatorOf, feeds, target.wantedTensors(graph, options))
}

async function run(target: Target, graph: Graph, ranges: Ranges, options: TargetOptions) {
  const emitted = target.emit(target.prepare(graph, ranges, options).graph, options)
  return { emitted, evaluator: await openEvaluator(emitted.files.get(emitted.model)!, sessionOf(options)) }
}

/** mAP by labels and agreement with float over pictures that did not calibrate. */
async function quality(float: Pick<Evaluator, 'run'>, other: Pick<Evaluator, 'run'>) {
  const metric = await openMetric('map', dataset)
  const agreement = taskAgreement(dataset.task!)
  metric.start()
  for (let index = 4; index < dataset.length; index++) {
    const sample = await dataset.sample(index)
    const [reference, candidate] = [await float.run(sample.inputs), await other.run(sample.inputs)]
    await metric.add(candidate, sample)
    agreement.add(reference, candidate)
  }
  return { map: await metric.finish(), agreement: agreement.value! }
}

for (const target of [onnxruntime, litert])
  test(`${target.name}: one scale for boxes and scores loses every object; float from there on brings them back`, async () => {
    const float = await evaluatorOf(squareDetector())
    const graph = target.tailor?.(squareDetector(), x64Options) ?? squareDetector()
    const ranges = await ranged(target, graph, x64Options)
    const exact = await quality(float, float)
    assert.ok(exact.map > 0.99 && exact.agreement > 0.999, JSON.stringify(exact))

    const naive = await run(target, graph, ranges, x64Options)
    const lost = await quality(float, naive.evaluator)
    assert.ok(lost.map < 0.05 && lost.agreement < 0.05, JSON.stringify(lost))

    const mixed = mixedConcats(graph, ranges)
    assert.deepEqual(
      mixed.map(({ node, at }) => [node, at]),
      [['head', 'output']],
    )
    const options = { ...x64Options, keepFloat: mixed.flatMap(({ keepFloat }) => keepFloat) }
    // all that is needed was calibrated before it was known
    const mended = await run(target, graph, ranges, options)
    const back = await quality(float, mended.evaluator)
    assert.ok(back.map > 0.8 && back.agreement > 0.8, JSON.stringify(back))

    const keepFloat = mixed.flatMap((concat) => [...concat.keepFloat, ...concat.decoding])
    const decoded = await run(target, graph, ranges, { ...x64Options, keepFloat })
    const best = await quality(float, decoded.evaluator)
    assert.ok(best.map > 0.95 && best.agreement > 0.95, JSON.stringify(best))
    for (const evaluator of [float, naive.evaluator, mended.evaluator, decoded.evaluator])
      await evaluator.close()
  })

test('with integer outputs, an output for each group of branches keeps the scores', async () => {
  const options: TargetOptions = { ...x64Options, io: 'int8' }
  const whole = litert.tailor!(squareDetector(), options)
  const mixed = mixedConcats(whole, await ranged(litert, whole, options))
  const split = splitHeads(squareDetector(), mixed)
  assert.deepEqual([...split.replaced], [['head_out', ['flat_boxes_out', 'scores_out']]])
  const figures = []
  for (const graph of [squareDetector(), split.graph]) {
    const tailored = litert.tailor!(graph, options)
    const float = await evaluatorOf(graph)
    const { emitted, evaluator } = await run(
      litert,
      tailored,
      await ranged(litert, tailored, options),
      options,
    )
    figures.push(await quality(float, reals(emitted, evaluator)))
    await float.close()
    await evaluator.close()
  }
  const [joined, parted] = figures
  assert.ok(joined!.map < 0.05, JSON.stringify(joined))
  assert.ok(parted!.map > 0.8 && parted!.agreement > 0.8, JSON.stringify(parted))
})

/** An integer network that takes and gives reals. */
function reals(emitted: Emitted, evaluator: Evaluator): Pick<Evaluator, 'run'> {
  const typeOf = ({ dtype, quantization }: EmittedTensor) =>
    ({
      dtype: dtype as 'int8',
      scale: quantization!.scales[0]!,
      zeroPoint: quantization!.zeroPoints[0]!,
    }) as const
  return {
    async run(feeds) {
      const [input] = emitted.inputs
      const stored = quantizeTensor(feeds.get(input!.name)!, typeOf(input!))
      const results = await evaluator.run(new Map([[input!.name, stored]]))
      return new Map(
        emitted.outputs.map((output) => [
          output.name,
          dequantizeTensor(results.get(output.name)!, typeOf(output)),
        ]),
      )
    },
  }
}
