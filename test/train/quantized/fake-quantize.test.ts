import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { roundHalfToEven } from '../../../src/quantize/affine.ts'
import { seededGenerator } from '../../../src/data/generator.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { GraphBuilder } from '../../../src/train/builder.ts'
import { gradientsOf } from '../../../src/train/differentiate.ts'
import { bounded } from '../../../src/train/quantized/bounded.ts'
import { fakeQuantize } from '../../../src/train/quantized/fake-quantize.ts'
import { fakeLayer, type FakeLayer } from '../../../src/train/quantized/fake-weights.ts'
import { roundedUpToFloat16 } from '../../../src/train/quantized/fake-weights.ts'
import { float16Scale } from '../../../src/quantize/float16-grid.ts'
import { constantOf } from '../../../src/graph/constant.ts'
import { quantizeLayer } from '../../../src/quantize/weighted-layer.ts'

const random = seededGenerator(6)

function randoms(count: number, width: number): Float32Array {
  return Float32Array.from({ length: count }, () => (random.next() - 0.5) * 2 * width)
}

async function run(
  b: GraphBuilder,
  outputs: readonly string[],
  feeds: Readonly<Record<string, readonly [readonly number[], Float32Array]>>,
): Promise<Float32Array[]> {
  const evaluator = await createOnnxEvaluator(writeOnnx(b.finish(outputs)), {
    config: { 'session.disable_quant_qdq': '1' },
  })
  const given = new Map<string, Tensor>(
    Object.entries(feeds).map(([name, [shape, data]]) => [name, { dtype: 'float32', shape, data }]),
  )
  const results = await evaluator.run(given)
  await evaluator.close()
  return outputs.map((name) => results.get(name)!.data as Float32Array)
}

/** Without the sign of zeros. */
function unsigned(numbers: Float32Array): Float32Array {
  return numbers.map((x) => x + 0)
}

/** Loss Σ g · output, so that g is the gradient that comes to the output. */
function lossOf(b: GraphBuilder, output: string, g: string): string {
  return b.reduceAll('Sum', b.mul(output, g))
}

const grids = [
  { name: 'int8', lowest: -128, highest: 127, scale: 0.05 },
  { name: 'int8 behind a Relu', lowest: 0, highest: 255, scale: 0.02 },
  { name: 'zero point 17', lowest: -145, highest: 110, scale: 0.031 },
  { name: 'int16', lowest: -32768, highest: 32767, scale: 1e-4 },
  { name: '4 bits', lowest: -5, highest: 10, scale: 0.4 },
]

for (const { name, ...given } of grids)
  for (const learned of [false, true])
    test(`${name}, ${learned ? 'learned' : 'fixed'} scale: rounds as QuantizeLinear says, and gradients are those of LSQ`, async () => {
      const grid = { ...given, scale: Math.fround(given.scale) }
      const shape = [2, 3, 40]
      // beyond both ends, with ties and both ends themselves
      const x = randoms(240, 1.2 * Math.max(-grid.lowest, grid.highest) * grid.scale)
      for (let i = 0; i < 20; i++) x[i] = Math.fround((grid.lowest + i + 0.5) * grid.scale)
      x[20] = Math.fround(grid.highest * grid.scale)
      x[21] = 0
      const g = randoms(240, 1)
      const b = GraphBuilder.empty('fake')
      const [value, gradient] = [b.input('x', shape), b.input('g', shape)]
      const parameter = learned ? b.input('scale', []) : null
      const made = fakeQuantize(b, value, { ...grid, parameter }, 2)
      const wanted = parameter === null ? [value] : [value, parameter]
      const gradients = gradientsOf(b, lossOf(b, made, gradient), wanted)
      const scale = Math.fround(grid.scale)
      const [y, dx, ds] = await run(b, [made, ...wanted.map((one) => gradients.get(one)!)], {
        x: [shape, x],
        g: [shape, g],
        ...(learned && { scale: [[], Float32Array.of(scale)] }),
      })
      const steps = Float64Array.from(x, (v) => roundHalfToEven(Math.fround(v / scale)))
      const held = steps.map((k) => Math.min(grid.highest, Math.max(grid.lowest, k)))
      assert.deepEqual(unsigned(y!), unsigned(Float32Array.from(held, (k) => k * scale)))
      const inside = Array.from(
        x,
        (v) => v >= Math.fround(grid.lowest * scale) && v <= Math.fround(grid.highest * scale),
      )
      assert.ok(inside.includes(false) && inside.includes(true))
      assert.deepEqual(unsigned(dx!), unsigned(g.map((v, i) => (inside[i] ? v : 0))))
      if (!learned) return
      // rounding held where it is, the surrogate is smooth in the scale: a central difference tells its derivative
      const surrogate = (s: number) =>
        x.reduce((sum, v, i) => {
          const offset = held[i]! - v / scale
          return sum + g[i]! * (inside[i] ? (v / s + offset) * s : held[i]! * s)
        }, 0)
      const h = 1e-4 * scale
      const slope = (surrogate(scale + h) - surrogate(scale - h)) / (2 * h)
      const share = 1 / Math.sqrt(120 * Math.max(grid.highest, -grid.lowest))
      assert.ok(
        Math.abs(ds![0]! / share - slope) <= 2e-3 * Math.abs(slope),
        `${ds![0]! / share} for ${slope}`,
      )
    })

test('a learned value that left its bounds is led back, and is not led further out', async () => {
  for (const [at, gradient, expected] of [
    [0.5, -1, -1],
    [0.5, 1, 1],
    [2.5, 1, 1],
    [2.5, -1, 0],
    [0.05, 1, 0],
    [0.05, -1, -1],
  ] as const) {
    const b = GraphBuilder.empty('bounded')
    const x = b.input('x', [])
    const made = bounded(b, x, b.scalar(0.1), b.scalar(2))
    const gradients = gradientsOf(b, b.mul(made, b.scalar(gradient)), [x])
    const [value, dx] = await run(b, [made, gradients.get(x)!], { x: [[], Float32Array.of(at)] })
    assert.equal(value![0], Math.fround(Math.min(2, Math.max(0.1, at))))
    assert.equal(dx![0]! + 0, expected, `at ${at}`)
  }
})

test('scales of float16 are rounded up in the program as the target rounds them', async () => {
  const scales = Float32Array.from({ length: 4000 }, (_, i) => 2 ** (-20 + (i % 26)) * (1 + random.next()))
  scales.set([2 ** -18, 0.5, 1, 1 + 2 ** -11, 1 + 2 ** -10, 1e-9])
  const b = GraphBuilder.empty('half')
  const made = roundedUpToFloat16(b, b.input('x', [scales.length]))
  const [rounded] = await run(b, [made], { x: [[scales.length], scales] })
  assert.deepEqual(
    Array.from(rounded!),
    Array.from(scales, (scale) => float16Scale(scale)),
  )
})

const conv = {
  kind: 'Conv',
  group: 1,
  layout: 'channels-first',
  strides: [1, 1],
  dilations: [1, 1],
  padsBegin: [0, 0],
  padsEnd: [0, 0],
} as const

for (const { axis, limit, scaleGrid, biasType } of [
  { axis: 0, limit: 127, scaleGrid: null, biasType: 'int32' },
  { axis: null, limit: 64, scaleGrid: null, biasType: 'int32' },
  { axis: 0, limit: 127, scaleGrid: 'float16', biasType: 'float32' },
] as const)
  test(`weights in the program are those that a compile stores: axis ${axis}, ±${limit}, ${biasType}, ${scaleGrid}`, async () => {
    const shape = [5, 4, 3, 3]
    const weights = randoms(180, 0.7)
    // a channel of zeros, and one that its bias alone decides the scale of
    weights.fill(0, 36, 72)
    weights.fill(1e-12, 72, 108)
    const bias = Float32Array.of(0.3, -2, 900, 1e-5, -0.02)
    const inputScale = Math.fround(0.013)
    const stored = quantizeLayer(
      {
        name: 'conv',
        op: conv,
        weights: constantOf('float32', shape, weights),
        bias: Array.from(bias),
        inputScale,
        inputMeans: undefined,
        spatial: { input: [3, 3], output: [1, 1] },
        tuning: undefined,
      },
      { method: 'min-max', axis, limit, biasType, ...(scaleGrid && { scaleGrid }) },
    )
    const b = GraphBuilder.empty('layer')
    const [w, c, s] = [b.input('w', shape), b.input('b', [5]), b.input('s', [])]
    const layer: FakeLayer = {
      numerics: {
        node: 'conv',
        axis,
        limit,
        bias: biasType === 'int32' ? 'integer' : 'real',
        biasFits32: biasType === 'int32',
        input: 'x',
        scaleGrid,
        transposed: false,
      },
      weights: w,
      bias: c,
      inputScale: s,
      limitScale: null,
      learned: false,
    }
    const made = fakeLayer(b, layer)
    const gradients = gradientsOf(b, b.reduceAll('Sum', made.weights), [w])
    const [fw, fb, dw] = await run(b, [made.weights, made.bias!, gradients.get(w)!], {
      w: [shape, weights],
      b: [[5], bias],
      s: [[], Float32Array.of(inputScale)],
    })
    const { scales } = stored.weights.quantization
    const integers = new Int8Array(stored.weights.constant.bytes())
    const expected = Float32Array.from(
      integers,
      (q, i) => q * scales[axis === null ? 0 : Math.floor(i / 36)]!,
    )
    assert.deepEqual(unsigned(fw!), unsigned(expected))
    const reals = biasType === 'float32' ? bias : null
    const words = stored.bias!.constant.bytes()
    const sums = new Int32Array(words.buffer, words.byteOffset, 5)
    const biasScales = stored.bias!.quantization?.scales ?? []
    fb!.forEach((value, i) => {
      const expected = reals ? reals[i]! : sums[i]! * biasScales[biasScales.length === 1 ? 0 : i]!
      // a quotient beyond 24 bits is not exact in float32
      assert.ok(Math.abs(value - expected) <= 2 ** -22 * Math.abs(expected), `${value} for ${expected}`)
    })
    assert.ok(dw!.every((value) => value === 1))
  })
