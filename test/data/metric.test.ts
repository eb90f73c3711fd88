import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Agreement, argmaxLast, isHit, openMetric } from '../../src/data/metric.ts'
import { dequantizeTensor, quantizeTensor } from '../../src/data/quantize-tensor.ts'
import { mcnemarTest, wilsonInterval } from '../../src/data/significance.ts'
import { floatOfHalf, halfOfFloat } from '../../src/data/elements.ts'
import type { Sample } from '../../src/data/types.ts'
import type { Tensor } from '../../src/tensor.ts'
import { errorOf, temporaryFolder } from './temporary.ts'

const tensor = (values: number[], shape = [1, values.length]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
})
const labelled = (label: number | null): Sample => ({ id: 'a', inputs: new Map(), label })

test('top-5 counts a class among the five highest, unlabelled samples not at all', async () => {
  const metric = await openMetric('top-5')
  metric.start()
  const scores = new Map([['y', tensor([9, 8, 7, 6, 5, 4])]])
  for (const label of [0, 4, 5, null]) await metric.add(scores, labelled(label))
  assert.equal(await metric.finish(), 2 / 3)
  metric.start()
  assert.ok(Number.isNaN(await metric.finish()))
})

test('equal scores rank by index, as argmax does; NaN scores never hit', () => {
  assert.deepEqual(
    [isHit([3, 3, 1], 0, 1), isHit([3, 3, 1], 1, 1), isHit([3, 3, 1], 1, 2)],
    [true, false, true],
  )
  assert.deepEqual(
    [isHit([Number.NaN, 1], 0, 2), isHit([Number.NaN, 1], 1, 1), isHit([1, 2], 2, 5)],
    [false, false, false],
  )
  assert.deepEqual([...argmaxLast(tensor([1, 2, 5, 4, Number.NaN, 0], [3, 2]))], [1, 0, -1])
})

test('agreement counts positions', () => {
  const agreement = new Agreement()
  assert.equal(agreement.value, null)
  agreement.add(tensor([1, 2, 4, 3], [2, 2]), tensor([0, 9, 1, 2], [2, 2]))
  assert.equal(agreement.value, 0.5)
})

test('a metric module replaces the built-in ones; one that lacks a part is refused by name', async (context) => {
  const folder = await temporaryFolder(context)
  await writeFile(
    join(folder, 'm.mjs'),
    `let sum = 0
export default { name: 'mean', higherIsBetter: false, start() { sum = 0 }, add(outputs, sample) { sum += outputs.get('y').data[0] * sample.label }, finish: async () => sum }`,
  )
  const metric = await openMetric(join(folder, 'm.mjs'))
  metric.start()
  await metric.add(new Map([['y', tensor([2])]]), labelled(3))
  assert.deepEqual([metric.name, metric.higherIsBetter, await metric.finish()], ['mean', false, 6])
  await writeFile(join(folder, 'n.mjs'), 'export default { name: "x", start() {}, add() {} }')
  await assert.rejects(
    openMetric(join(folder, 'n.mjs')),
    errorOf('CONFIG_INVALID', { saw: /finish, higherIsBetter/ }),
  )
  await assert.rejects(openMetric('top-0'), errorOf('DATA_NOT_FOUND'))
})

// Expected values: scipy 1.17: binomtest(k, n).pvalue and binomtest(k, n).proportion_ci(method='wilson').
test('McNemar and Wilson are those of scipy', () => {
  const pairs = (both: number, first: number, second: number) =>
    [
      [...Array(both).fill(true), ...Array(first).fill(true), ...Array(second).fill(false)],
      [...Array(both).fill(true), ...Array(first).fill(false), ...Array(second).fill(true)],
    ] as const
  const close = (seen: number, expected: number) =>
    assert.ok(Math.abs(seen - expected) < 1e-9 * Math.max(1, expected), `${seen} beside ${expected}`)
  close(mcnemarTest(...pairs(100, 10, 2)).pValue, 0.03857421875)
  close(mcnemarTest(...pairs(0, 400, 330)).pValue, 0.010605994778707762)
  assert.equal(mcnemarTest(...pairs(5, 0, 0)).pValue, 1)
  assert.equal(mcnemarTest(...pairs(5, 3, 3)).pValue, 1)
  close(wilsonInterval(456, 500).low, 0.8839235279346098)
  close(wilsonInterval(456, 500).high, 0.933794015525071)
  assert.deepEqual(wilsonInterval(0, 0), { low: 0, high: 1 })
})

test('quantizing rounds ties to even and saturates, as ONNX says', () => {
  const type = { dtype: 'int8', scale: 0.5, zeroPoint: 3 } as const
  const quantized = quantizeTensor(tensor([0.25, 0.75, -0.25, -0.75, 1000, -1000, Number.NaN]), type)
  assert.deepEqual([...quantized.data], [3, 5, 3, 1, 127, -128, 3])
  assert.deepEqual([...dequantizeTensor(quantized, type).data].slice(0, 3), [0, 1, 0])
})

test('every half float survives the way to a number and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = floatOfHalf(bits)
    if (Number.isNaN(value)) assert.ok(Number.isNaN(floatOfHalf(halfOfFloat(value))))
    else assert.equal(halfOfFloat(value), bits)
  }
  assert.deepEqual(
    [halfOfFloat(65519), halfOfFloat(65520), halfOfFloat(2049), halfOfFloat(2051)],
    [0x7bff, 0x7c00, 0x6800, 0x6802],
  )
})
