import assert from 'node:assert/strict'
import test from 'node:test'
import { baseName, kindOf, splitOperators } from '../../src/report/page/operators.ts'
import { windowed } from '../../src/report/page/timeline.ts'

test('kernels of ONNX Runtime are brought back to the operator they stand for', () => {
  const names = {
    QLinearConv: 'Conv',
    FusedConv: 'Conv',
    NhwcFusedConv: 'Conv',
    ConvInteger: 'Conv',
    QGemm: 'Gemm',
    FusedGemm: 'Gemm',
    QLinearMatMul: 'MatMul',
    MatMulIntegerToFloat: 'MatMul',
    QLinearGlobalAveragePool: 'GlobalAveragePool',
    QuickGelu: 'QuickGelu',
    DequantizeLinear: 'Quantize and Dequantize',
    DynamicQuantizeLinear: 'Quantize and Dequantize',
    Softmax: 'Softmax',
  }
  for (const [kernel, name] of Object.entries(names)) assert.equal(baseName(kernel), name)
})

test('an int8 network is split into integer kernels, float islands, conversions and movement', () => {
  const time = (operator: string, meanNs: number) => ({ operator, meanNs, calls: 1 })
  const split = splitOperators(
    [time('FusedConv', 100), time('Sigmoid', 20), time('Reshape', 1)],
    [
      time('QLinearConv', 40),
      time('Conv', 15),
      time('Sigmoid', 22),
      time('QuantizeLinear', 6),
      time('DequantizeLinear', 5),
      time('Reshape', 1),
    ],
  )
  assert.deepEqual(split.int8ByKind, { integer: 40, float: 37, conversion: 11, movement: 1 })
  assert.equal(split.floatNs, 121)
  assert.equal(split.int8Ns, 89)
  assert.deepEqual(split.pairs, [
    { name: 'Conv', floatNs: 100, int8Ns: 55, kind: 'integer' },
    { name: 'Sigmoid', floatNs: 20, int8Ns: 22, kind: 'float' },
    { name: 'Quantize and Dequantize', floatNs: 0, int8Ns: 11, kind: 'conversion' },
    { name: 'Reshape', floatNs: 1, int8Ns: 1, kind: 'movement' },
  ])
})

test('many operators are cut to the costliest without losing time', () => {
  const many = Array.from({ length: 40 }, (_, i) => ({ operator: `Op${i}`, meanNs: 40 - i, calls: 1 }))
  const { pairs, floatNs } = splitOperators(many, many)
  assert.equal(pairs.length, 13)
  assert.equal(pairs.at(-1)?.name, '28 others')
  assert.equal(
    pairs.reduce((sum, pair) => sum + pair.floatNs, 0),
    floatNs,
  )
})

test('a kind of its own: QGemm is integer, MaxPool moves, Softmax stays', () => {
  assert.deepEqual(['QGemm', 'QLinearAdd', 'MaxPool', 'Softmax', 'FusedConv', 'QuantizeLinear'].map(kindOf), [
    'integer',
    'integer',
    'movement',
    'float',
    'float',
    'conversion',
  ])
})

test('a hundred thousand latencies are thinned to windows that keep a step and a disturbed stretch', () => {
  const disturbed = (i: number) => i >= 80_000 && i < 80_400 && i % 5 === 0
  const ns = Array.from({ length: 100_000 }, (_, i) =>
    disturbed(i) ? 9_000 : (i < 50_000 ? 1_000 : 1_200) + (i % 7),
  )
  const { x, median, p90 } = windowed(ns)
  assert.equal(x.length, 300)
  assert.ok(p90)
  const [before, after, worst] = [median[149], median[150], p90.indexOf(9_000)]
  assert.deepEqual([before, after], [1_003, 1_203])
  assert.ok(Math.abs(x[worst]! - 80_200) < 400)
  assert.ok(median[worst]! < 1_207)
  assert.deepEqual(windowed([3, 1, 2]), { x: [1, 2, 3], median: [3, 1, 2], p90: null })
})
