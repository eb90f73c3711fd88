import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { randomTensor } from '../../src/execute/random.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { argMax, sqnrDb, SqnrMeter } from '../../src/quantize/fidelity.ts'
import type { Ranges } from '../../src/quantize/ranges.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import type { TargetOptions } from '../../targets/target.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { arm64Options, evaluatorOf, executedOperators, sessionOf, x64Options } from './onnxruntime-run.ts'
import { digits, feedOf, keywordSpotting, open, type Task } from './onnxruntime-tasks.ts'

/** The first 100 samples calibrate, the others evaluate; best of three range methods by output SQNR. */
async function evaluate(task: Task, options: TargetOptions) {
  const { graph } = task
  const calibration = Array.from({ length: 100 }, (_, i) => feedOf(task, i))
  const ranges = await calibrate(graph, evaluatorOf, calibration, onnxruntime.wantedTensors(graph, options))
  const candidates = []
  for (const activationRange of [
    { kind: 'min-max' },
    { kind: 'percentile', percentile: 99.99 },
    { kind: 'mse' },
  ] as const)
    candidates.push(await score(task, ranges, { ...options, activationRange }))
  return candidates.reduce((best, candidate) => (candidate.sqnrDb > best.sqnrDb ? candidate : best))
}

async function score(task: Task, ranges: Ranges, options: TargetOptions) {
  const prepared = onnxruntime.prepare(task.graph, ranges, options)
  const bytes = onnxruntime.emit(prepared.graph, options).files.get('model.onnx')!
  const float = await createOnnxEvaluator(readFileSync(task.path))
  const int8 = await createOnnxEvaluator(bytes, sessionOf(options))
  const meter = new SqnrMeter()
  const right = { float: 0, int8: 0 }
  const count = task.samples.length - 100
  for (let i = 100; i < task.samples.length; i++) {
    const [a] = (await float.run(feedOf(task, i))).values()
    const [b] = (await int8.run(feedOf(task, i))).values()
    meter.add(a!.data as Float32Array, b!.data as Float32Array)
    if (argMax(a!.data as Float32Array) === task.labels[i]) right.float++
    if (argMax(b!.data as Float32Array) === task.labels[i]) right.int8++
  }
  await float.close()
  await int8.close()
  return { bytes, prepared, sqnrDb: meter.db, float: right.float / count, int8: right.int8 / count }
}

const shapes: [string, () => Promise<Task>, number, Record<string, number>][] = [
  ['keyword spotting', keywordSpotting, 29, { QLinearConv: 9, QLinearAveragePool: 1, QGemm: 1, Softmax: 1 }],
  ['digits', digits, 41, { QLinearConv: 2, NhwcMaxPool: 2, QGemm: 1 }],
]

for (const [name, load, leastDb, expected] of shapes)
  for (const options of [x64Options, arm64Options])
    test(`${name} for ${options.cpu.architecture}: accuracy, size and kernels`, {
      skip: fixturesMissing,
    }, async () => {
      const task = await load()
      const { bytes, prepared, sqnrDb, float, int8 } = await evaluate(task, options)
      assert.ok(int8 >= float - 0.006, `int8 ${int8}, float ${float}`)
      assert.ok(sqnrDb >= leastDb, `output SQNR ${sqnrDb} dB`)
      assert.ok(bytes.length <= 0.5 * readFileSync(task.path).length, `${bytes.length} bytes`)
      const executed = await executedOperators(bytes, options)
      for (const moved of ['Transpose', 'Reshape', 'QuantizeLinear']) delete executed[moved]
      assert.deepEqual(executed, expected)
      const weights = [...prepared.graph.nodes]
        .filter(({ op }) => op.kind === 'Conv' || op.kind === 'Gemm')
        .map(({ inputs }) => prepared.graph.values.get(inputs[1]!)!)
      assert.ok(
        weights.every(({ type }) => type.dtype === 'int8'),
        'weights take a quarter of their float bytes',
      )
    })

for (const name of ['light_shufflenet', 'light_squeezenet'])
  test(`${name}: every convolution computes on integers, and the output is that of float`, {
    skip: fixturesMissing,
  }, async () => {
    const path = fixture(`onnx/light/${name}.onnx`)
    const { original, graph } = await open(path)
    const [input] = graph.inputs
    const feed = (seed: number) => new Map([[input!, randomTensor(graph.values.get(input!)!.type, seed)]])
    const ranges = await calibrate(
      graph,
      evaluatorOf,
      [feed(1), feed(2)],
      onnxruntime.wantedTensors(graph, x64Options),
    )
    const bytes = onnxruntime
      .emit(onnxruntime.prepare(graph, ranges, x64Options).graph, x64Options)
      .files.get('model.onnx')!
    const executed = await executedOperators(bytes, x64Options)
    assert.equal(executed.QLinearConv, original.nodes.filter((node) => node.op.kind === 'Conv').length)
    assert.equal(executed.Conv ?? executed.FusedConv, undefined)
    const float = await createOnnxEvaluator(readFileSync(path))
    const int8 = await createOnnxEvaluator(bytes)
    const [a] = (await float.run(feed(9))).values()
    const [b] = (await int8.run(feed(9))).values()
    assert.ok(sqnrDb(a!.data as Float32Array, b!.data as Float32Array) > 40)
    await float.close()
    await int8.close()
  })
