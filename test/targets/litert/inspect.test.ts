import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openModel } from '../../../src/formats/index.ts'
import { litert } from '../../../targets/litert/index.ts'
import { fixture, fixturesMissing } from '../../fixtures.ts'
import { SmallGraph } from '../small-graphs.ts'
import { options } from './run.ts'

const rowsOf = async (path: string, given = options) => {
  const [graph] = (await openModel(fixture(path))).graphs.values()
  return litert.inspect(graph!, given)
}

test('a file’s operators are the rows, as the file names them, fused activations with theirs', {
  skip: fixturesMissing,
}, async () => {
  const rows = await rowsOf('mlperf-tiny/ic_resnet8_float.tflite')
  assert.deepEqual(
    rows.map(({ index }) => index),
    Array.from({ length: 16 }, (_, i) => i),
  )
  assert.deepEqual(rows.map(({ sourceOp }) => sourceOp).slice(11), [
    'ADD',
    'AVERAGE_POOL_2D',
    'RESHAPE',
    'FULLY_CONNECTED',
    'SOFTMAX',
  ])
  // the average pool is a mean here, which XNNPACK takes
  assert.ok(rows.slice(0, 15).every(({ precision, reason }) => precision === 'int8' && reason === ''))
  assert.match(rows[15]!.reason, /float/)
})

test('of a quantized file, what XNNPACK leaves to other kernels is named with the reason', {
  skip: fixturesMissing,
}, async () => {
  const rows = await rowsOf('mlperf-tiny/ic_resnet8_int8.tflite')
  const left = rows.filter(({ reason }) => reason !== '')
  assert.deepEqual(
    left.map(({ sourceOp }) => sourceOp),
    ['AVERAGE_POOL_2D', 'SOFTMAX'],
  )
  assert.ok(left.every(({ basis, precision }) => basis === 'documented' && precision === 'int8'))
})

test('an operator without an integer kernel says so and what would mend it', () => {
  const g = new SmallGraph()
  const x = g.conv(g.input('x', 1, 3, 8, 8), 4, {}, 'a')
  const y = g.node({ kind: 'Binary', fn: 'Div' }, [x, g.conv(x, 4, {}, 'b')], 'quotient')
  const row = litert
    .inspect(g.finish(g.conv(y, 4, {}, 'c')), options)
    .find(({ name }) => name === 'quotient')!
  assert.equal(row.precision, 'float')
  assert.match(row.reason, /integer kernel in TensorFlow Lite\. Saw: Binary Div/)
  assert.match(row.remedy!, /Mul/)
})

test('int16x8 says that XNNPACK computes on 8 bits', { skip: fixturesMissing }, async () => {
  const rows = await rowsOf('mlperf-tiny/ad_float.tflite', { ...options, scheme: 'int16x8' })
  assert.ok(rows.every(({ reason }) => reason.includes('8-bit')))
})
