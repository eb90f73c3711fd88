import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostSession } from '../../../src/compile/runnable.ts'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { mcnemarTest } from '../../../src/data/significance.ts'
import { argMax } from '../../../src/quantize/fidelity.ts'
import { onnxruntime } from '../../../targets/onnxruntime/index.ts'
import type { TargetOptions } from '../../../targets/target.ts'
import { fixturesMissing } from '../../fixtures.ts'
import { keywordSpotting, resnet8, type Task, visualWakeWords } from '../litert/tasks.ts'
import { compile, evaluatorOf, type Feeds, feedOf, fidelity, openGraph, options, prepareFor } from './run.ts'

/**
 * Behind a Relu a symmetric type leaves half of its integers unused: one bit, 6.02 dB of every rounding. One more for
 * chance.
 */
const mostLostDb = 7.02

const methods: TargetOptions['activationRange'][] = [
  { kind: 'min-max' },
  { kind: 'mse' },
  { kind: 'percentile', percentile: 99.99 },
]

const tasks: [string, () => Task | Promise<Task>, number][] = [
  ['ResNet8', () => resnet8(100), 25.5],
  ['visual wake words', visualWakeWords, 25.5],
  ['keyword spotting', () => keywordSpotting(true), 26.5],
]

for (const [name, load, leastDb] of tasks)
  test(`${name}: within one bit of what ONNX Runtime’s asymmetric types keep, and as accurate as float`, {
    skip: fixturesMissing,
  }, async () => {
    const task = await load()
    const graph = await openGraph(task.float)
    const calibration = task.calibration.slice(0, 64).map((x) => feedOf(graph, x))
    const samples: Feeds[] = []
    for await (const x of task.test) if (samples.length < 200) samples.push(feedOf(graph, x))
    const scored = []
    for (const activationRange of methods) {
      const given: TargetOptions = { ...options, activationRange, weightRange: 'mse' }
      const { bytes } = await compile(graph, calibration, given)
      const plain: TargetOptions = { ...given, plainQdq: false }
      const { prepared } = await prepareFor(onnxruntime, graph, calibration, plain)
      const other = onnxruntime.emit(prepared.graph, plain).files.get('model.onnx')!
      scored.push({
        bytes,
        ours: await fidelity(graph, bytes, samples, given),
        theirs: await fidelity(graph, other, samples, plain),
      })
    }
    const best = scored.reduce((a, b) => (b.ours > a.ours ? b : a))
    const reference = Math.max(...scored.map(({ theirs }) => theirs))
    assert.ok(best.ours >= leastDb, `${best.ours} dB`)
    assert.ok(best.ours >= reference - mostLostDb, `${best.ours} dB, asymmetric ${reference} dB`)
    if (!task.labels) return
    const right = await rights(await evaluatorOf(graph), samples, task.labels)
    const compiled = await createOnnxEvaluator(best.bytes, hostSession(options))
    const { pValue, onlyFirst, onlySecond } = mcnemarTest(right, await rights(compiled, samples, task.labels))
    assert.ok(pValue > 0.05 || onlySecond > onlyFirst, `p ${pValue}: ${onlyFirst} lost, ${onlySecond} won`)
  })

async function rights(
  evaluator: Awaited<ReturnType<typeof evaluatorOf>>,
  samples: readonly Feeds[],
  labels: readonly number[],
): Promise<boolean[]> {
  const right: boolean[] = []
  for (const [i, sample] of samples.entries()) {
    const [result] = (await evaluator.run(sample)).values()
    right.push(argMax(result!.data as Float32Array) === labels[i])
  }
  await evaluator.close()
  return right
}
