import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { mcnemarTest } from '../../../src/data/significance.ts'
import { openModel } from '../../../src/formats/index.ts'
import { floatPasses, runPasses } from '../../../src/passes/index.ts'
import { argMax, SqnrMeter } from '../../../src/quantize/fidelity.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { litert } from '../../../targets/litert/index.ts'
import { fixturesMissing } from '../../fixtures.ts'
import { compile, evaluatorOf, openReals, operatorsOf, options } from './run.ts'
import { anomalyDetection, keywordSpotting, mobileNet, resnet8, type Task, visualWakeWords } from './tasks.ts'

/** What XNNPACK's TensorFlow Lite delegate takes with quantized tensors. */
const quantizedList = new Set(
  `ADD CONCATENATION CONV_2D DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE ELU FULLY_CONNECTED LEAKY_RELU LOGISTIC
  MAX_POOL_2D MEAN MUL PAD QUANTIZE RESHAPE RESIZE_BILINEAR SLICE SPACE_TO_DEPTH SPLIT SUB TANH TRANSPOSE
  TRANSPOSE_CONV`.split(/\s+/),
)

async function measure(task: Task) {
  const [original] = (await openModel(task.float)).graphs.values()
  const graph = await runPasses(original!, floatPasses(evaluatorOf))
  const [input] = graph.inputs
  const { shape } = graph.values.get(input!)!.type
  const feed = (data: Float32Array) => new Map<string, Tensor>([[input!, { dtype: 'float32', shape, data }]])
  // integer inputs and outputs, as the reference has them
  const given = { ...options, io: 'int8' as const }
  const { bytes } = await compile(graph, task.calibration.map(feed), given)
  const twin = await evaluatorOf(original!)
  const ours = await openReals(bytes)
  const reference = await openReals(readFileSync(task.reference))
  const meters = { ours: new SqnrMeter(), reference: new SqnrMeter() }
  const agree = { ours: 0, reference: 0 }
  const right = { float: [] as boolean[], ours: [] as boolean[], reference: [] as boolean[] }
  const scoreErrors = { ours: 0, reference: 0 }
  for (const [i, sample] of task.test.entries()) {
    const [result] = (await twin.run(feed(sample))).values()
    const expected = result!.data as Float32Array
    const label = task.labels?.[i]
    if (label !== undefined) right.float.push(argMax(expected) === label)
    for (const [name, file] of [
      ['ours', ours],
      ['reference', reference],
    ] as const) {
      const y = await file.run(sample)
      meters[name].add(expected, y)
      if (argMax(y) === argMax(expected)) agree[name]++
      if (label !== undefined) right[name].push(argMax(y) === label)
      scoreErrors[name] += Math.abs(distance(y, sample) - distance(expected, sample))
    }
  }
  for (const open of [twin, ours, reference]) await open.close()
  return { graph, bytes, given, meters, agree, right, scoreErrors, operators: await operatorsOf(bytes) }
}

/** Mean squared error: the anomaly score of an autoencoder. */
function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2
  return sum / a.length
}

function assertOnXnnpack({ operators, graph, given }: Awaited<ReturnType<typeof measure>>): void {
  // SOFTMAX has no quantized form there, and its int8 output was asked for
  const outside = operators.filter((name) => !quantizedList.has(name) && name !== 'SOFTMAX')
  assert.deepEqual(outside, [])
  const rows = litert.inspect(graph, given).filter(({ reason }) => reason !== '')
  assert.ok(
    rows.every(({ reason }) => reason.includes('Softmax')),
    rows.map(({ reason }) => reason).join('\n'),
  )
}

const tinyTasks: [string, () => Task | Promise<Task>][] = [
  ['ResNet8', () => resnet8()],
  ['visual wake words', visualWakeWords],
  ['the anomaly autoencoder', anomalyDetection],
  ['keyword spotting', keywordSpotting],
]

for (const [name, load] of tinyTasks)
  test(`${name}: nearer to float than the reference int8, as accurate, as small`, {
    skip: fixturesMissing,
  }, async () => {
    const task = await load()
    const measured = await measure(task)
    const { bytes, meters, right, scoreErrors } = measured
    assert.ok(meters.ours.db >= meters.reference.db, `${meters.ours.db} dB, reference ${meters.reference.db}`)
    const most = 1.02 * readFileSync(task.reference).length
    assert.ok(bytes.length <= most, `${bytes.length} bytes, at most ${most}`)
    const { onlyFirst, onlySecond, pValue } = mcnemarTest(right.reference, right.ours)
    assert.ok(pValue > 0.05 || onlySecond > onlyFirst, `p ${pValue}: ${onlyFirst} lost, ${onlySecond} won`)
    if (name.includes('autoencoder'))
      assert.ok(scoreErrors.ours <= scoreErrors.reference, JSON.stringify(scoreErrors))
    assertOnXnnpack(measured)
  })

test('MobileNetV1-0.25: agrees with float as often as the trained uint8 file does', {
  skip: fixturesMissing,
}, async () => {
  const measured = await measure(await mobileNet())
  const { agree, right } = measured
  assert.ok(agree.ours >= agree.reference, JSON.stringify(agree))
  const { onlyFirst, onlySecond, pValue } = mcnemarTest(right.float, right.ours)
  assert.ok(pValue > 0.05 || onlySecond > onlyFirst, `p ${pValue}: ${onlyFirst} lost, ${onlySecond} won`)
  assertOnXnnpack(measured)
})
