import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import { float32Constant } from '../../src/graph/constant.ts'
import { quantizeConstant } from '../../src/quantize/constant-weights.ts'
import { biasScaleFloors, quantizeBias, quantizeWeights } from '../../src/quantize/weights.ts'

const perChannel = { method: 'min-max', axis: 0, limit: 127 } as const

test('each output channel has its own scale, and its largest weight is ±127', () => {
  const { data, quantization } = quantizeWeights([1, -2, 0.5, 10, 5, -20], [2, 3], perChannel)
  assert.deepEqual([...data], [64, -127, 32, 64, 32, -127])
  assert.deepEqual(quantization, {
    scales: [Math.fround(2 / 127), Math.fround(20 / 127)],
    zeroPoints: [0, 0],
    axis: 0,
  })
})

test('an axis in the middle takes the same weights as a transposed tensor', () => {
  const weights = Array.from({ length: 24 }, (_, i) => Math.sin(i * 7))
  const transposed = Array.from({ length: 24 }, (_, i) => weights[(i % 4) * 6 + Math.floor(i / 4)]!)
  const a = quantizeWeights(weights, [4, 6], { ...perChannel, axis: 1 })
  const b = quantizeWeights(transposed, [6, 4], perChannel)
  assert.deepEqual(a.quantization.scales, b.quantization.scales)
  assert.deepEqual(
    [...b.data],
    Array.from({ length: 24 }, (_, i) => a.data[(i % 4) * 6 + Math.floor(i / 4)]!),
  )
})

test('one scale for all where the axis is null', () => {
  assert.deepEqual([...quantizeWeights([1, -2, 127], [3], { ...perChannel, axis: null }).data], [1, -2, 127])
})

test('a reduced range stays within its limit', () => {
  const { data } = quantizeWeights([1, -1, 0.5], [1, 3], { ...perChannel, limit: 64 })
  assert.deepEqual([...data], [64, -64, 32])
})

test('a channel of zeros is stored as zeros with scale 1', () => {
  const { data, quantization } = quantizeWeights([0, 0], [1, 2], perChannel)
  assert.deepEqual([[...data], quantization.scales], [[0, 0], [1]])
})

test('MSE scales never lose to min-max, and win where a long channel has an outlier', () => {
  const next = randomNumbers(5)
  const weights = Array.from({ length: 4096 }, () => next() + next() + next() + next() - 2)
  weights[0] = 4
  const error = (method: 'mse' | 'min-max') => {
    const { data, quantization } = quantizeWeights(weights, [1, 4096], { ...perChannel, method })
    return weights.reduce((sum, w, i) => sum + (w - data[i]! * quantization.scales[0]!) ** 2, 0)
  }
  assert.ok(error('mse') < error('min-max') * 0.97, `${error('mse')} against ${error('min-max')}`)
})

test('a dead channel with a large bias gets a scale at which the bias fits int32', () => {
  const bias = [3, 5]
  const floors = biasScaleFloors(bias, 0.02, 2)
  const { quantization } = quantizeWeights([1e-12, 1e-12, 1, 1], [2, 2], perChannel, floors)
  const stored = quantizeBias(bias, 0.02, quantization.scales)
  for (const [i, b] of bias.entries()) {
    const real = stored.data[i]! * stored.quantization.scales[i]!
    assert.ok(Math.abs(real / b - 1) < 1e-5, `${real} for ${b}`)
  }
})

test('bias scales are input scale times weight scale in float32', () => {
  const { data, quantization } = quantizeBias([1, -1], 0.1, [0.2, 0.4])
  assert.deepEqual(quantization.scales, [Math.fround(0.1 * 0.2), Math.fround(0.1 * 0.4)])
  assert.deepEqual([...data], [50, -25])
})

test('a NaN weight is an error that names the operator and the element', () => {
  const weights = float32Constant([1, 3], [1, Number.NaN, 2])
  const options = { ...perChannel, factor: 1, floors: [] }
  assert.throws(() => quantizeConstant(weights, options, 'conv3'), {
    code: 'MODEL_NAN_WEIGHTS',
    where: 'conv3',
    saw: 'NaN at element 1',
  })
})

test('a floor raises the scale of its channel only, and is not remembered for the next layer', () => {
  const weights = float32Constant([2, 1], [1, 1])
  const options = { ...perChannel, factor: 1 }
  const raised = quantizeConstant(weights, { ...options, floors: [0, 1] }, 'a').quantization.scales
  const free = quantizeConstant(weights, { ...options, floors: [0, 0] }, 'b').quantization.scales
  assert.deepEqual(raised, [Math.fround(1 / 127), 1])
  assert.deepEqual(free, [Math.fround(1 / 127), Math.fround(1 / 127)])
})
