import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createOnnxEvaluator, inferOpaqueTypes } from '../../src/execute/onnxruntime.ts'
import { randomNumbers, randomTensor } from '../../src/execute/random.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Tensor } from '../../src/tensor.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

function reluModel(): Uint8Array {
  const g = new SmallGraph()
  return writeOnnx(g.finish(g.node({ kind: 'Relu' }, [g.input('x', 2, 2)])))
}

const x: Tensor = { dtype: 'float32', shape: [2, 2], data: Float32Array.of(-1, 2, -3, 4) }

test('a network runs and says what it takes and gives', async () => {
  const evaluator = await createOnnxEvaluator(reluModel())
  const [output] = evaluator.outputs
  assert.deepEqual(evaluator.inputs, [{ name: 'x', dtype: 'float32', shape: [2, 2] }])
  const result = (await evaluator.run(new Map([['x', x]]))).get(output!.name)!
  assert.deepEqual([result.dtype, [...result.shape], [...result.data]], ['float32', [2, 2], [0, 2, 0, 4]])
  await evaluator.close()
})

test('results own their memory: the next run leaves them alone', async () => {
  const evaluator = await createOnnxEvaluator(reluModel())
  const [name] = evaluator.outputs.map((output) => output.name) as [string]
  const first = (await evaluator.run(new Map([['x', x]]))).get(name)!
  await evaluator.run(new Map([['x', { ...x, data: Float32Array.of(9, 9, 9, 9) }]]))
  assert.deepEqual([...first.data], [0, 2, 0, 4])
  await evaluator.close()
})

test('integers, booleans and 64-bit numbers pass through unharmed', async () => {
  for (const [dtype, data] of [
    ['int64', BigInt64Array.of(-(2n ** 60n), 7n)],
    ['bool', Uint8Array.of(1, 0)],
    ['uint8', Uint8Array.of(255, 0)],
    ['int8', Int8Array.of(-128, 127)],
  ] as const) {
    const g = new SmallGraph()
    const name = g.editor.addInput('x', { dtype, shape: [2], quantization: null })
    const evaluator = await createOnnxEvaluator(
      writeOnnx(g.finish(g.node({ kind: 'Transpose', perm: [0] }, [name]))),
    )
    const [result] = (await evaluator.run(new Map([['x', { dtype, shape: [2], data }]]))).values()
    assert.deepEqual([result!.dtype, [...result!.data]], [dtype, [...data]])
    await evaluator.close()
  }
})

test('an input that is missing, or whose elements do not fill its shape, is named', async () => {
  const evaluator = await createOnnxEvaluator(reluModel())
  await assert.rejects(evaluator.run(new Map()), { code: 'DATA_SHAPE', where: 'x' })
  await assert.rejects(evaluator.run(new Map([['x', { ...x, data: Float32Array.of(1) }]])), {
    code: 'DATA_SHAPE',
    where: 'x',
  })
  await evaluator.close()
})

test('a file that is not a network ends in one error with the runtime’s words', async () => {
  await assert.rejects(
    createOnnxEvaluator(Uint8Array.of(1, 2, 3)),
    (error: { code: string; saw: string }) => {
      assert.equal(error.code, 'TARGET_CANNOT_RUN')
      assert.ok(error.saw.length > 0)
      return true
    },
  )
})

test('types of any value come from a run', { skip: fixturesMissing }, async () => {
  const types = await inferOpaqueTypes(readFileSync(fixture('mlperf-tiny/kws_dscnn_float.onnx')), ['probs'])
  assert.deepEqual(types.get('probs'), { dtype: 'float32', shape: [1, 12], quantization: null })
})

test('random tensors are the same for the same seed, uniform, and differ between seeds', () => {
  const info = { dtype: 'float32', shape: [1000] } as const
  const a = randomTensor(info, 3)
  assert.deepEqual(a, randomTensor(info, 3))
  assert.notDeepEqual(a, randomTensor(info, 4))
  const next = randomNumbers(1)
  const buckets = new Array<number>(10).fill(0)
  for (let i = 0; i < 10_000; i++) buckets[Math.floor(next() * 10)]!++
  // 6 standard deviations of a binomial around 1000
  for (const count of buckets) assert.ok(Math.abs(count - 1000) < 180, String(count))
})
