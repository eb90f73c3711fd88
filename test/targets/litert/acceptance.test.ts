import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { mcnemarTest } from '../../../src/data/significance.ts'
import { litert } from '../../../targets/litert/index.ts'
import { fixturesMissing } from '../../fixtures.ts'
import { countOf, type Measured, measure } from './measure.ts'
import { anomalyDetection, keywordSpotting, mobileNet, resnet8, type Task, visualWakeWords } from './tasks.ts'

/** What XNNPACK's TensorFlow Lite delegate takes with quantized tensors. */
const quantizedList = new Set(
  `ADD CONCATENATION CONV_2D DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE ELU FULLY_CONNECTED LEAKY_RELU LOGISTIC
  MAX_POOL_2D MEAN MUL PAD QUANTIZE RESHAPE RESIZE_BILINEAR SLICE SPACE_TO_DEPTH SPLIT SUB TANH TRANSPOSE
  TRANSPOSE_CONV`.split(/\s+/),
)

function assertOnXnnpack({ operators, graph, given }: Measured): void {
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
  ['keyword spotting', () => keywordSpotting()],
  ['keyword spotting on inputs that did not calibrate', () => keywordSpotting(true)],
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

test('MobileNetV1-0.25: agrees with float as often as the trained uint8 file does, as accurate as float', {
  skip: fixturesMissing,
}, async () => {
  const measured = await measure(await mobileNet())
  const { agree, right } = measured
  const labelled = right.float.length
  const parts = [
    ['val', 0, 180],
    ['tune256', 180, 180 + 394],
  ] as const
  assert.equal(labelled, 180)
  assert.equal(agree.ours.length, 180 + 394)
  for (const [part, from, to] of parts) {
    const ours = countOf(agree.ours.slice(from, to))
    const reference = countOf(agree.reference.slice(from, to))
    assert.ok(ours >= reference, `${part}: ${ours} of ${to - from}, reference ${reference}`)
  }
  const { onlyFirst, onlySecond, pValue } = mcnemarTest(right.float, right.ours)
  assert.ok(pValue > 0.05 || onlySecond > onlyFirst, `p ${pValue}: ${onlyFirst} lost, ${onlySecond} won`)
  assertOnXnnpack(measured)
})
