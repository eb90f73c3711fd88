import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roundingByOutput } from '../../../src/compile/improvements/round-weights.ts'
import { storedReals } from '../../../src/compile/improvements/stored-layers.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import { layerRows } from '../../../src/quantize/gram-rows.ts'
import { MeanInput, meanOutputs } from '../../../src/quantize/sequential-bias.ts'
import { litert } from '../../../targets/litert/index.ts'
import { onnxruntime } from '../../../targets/onnxruntime/index.ts'
import { noise } from '../../quantize/noise.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'
import { meanSquareOf, SamplesBench } from './samples-bench.ts'

/** Smooth pictures, as neighbouring pixels are alike. */
function pictures(count: number, channels: number, side: number): Float32Array[] {
  const random = noise(21)
  return Array.from({ length: count }, () => {
    const waves = Array.from({ length: 4 }, () => [random(), random(), random(), random()] as const)
    return Float32Array.from({ length: channels * side * side }, (_, at) => {
      const channel = Math.floor(at / (side * side))
      const [row, column] = [Math.floor((at % (side * side)) / side), at % side]
      return waves.reduce(
        (sum, [a, b, phase, shade]) =>
          sum + Math.sin(0.4 * (a * row + b * column) + phase) * (1 + 0.3 * shade * channel),
        0.1 * random(),
      )
    })
  })
}

for (const target of [litert, onnxruntime])
  test(`outputs on unseen samples are nearer to float with weights rounded by output error, and no scale changes: ${target.name}`, async () => {
    const small = new SmallGraph()
    const x = small.input('x', 1, 3, 12, 12)
    const y = small.conv(x, 8, { kernel: 5 }, 'wide')
    const samples = pictures(96, 3, 12)
    const bench = new SamplesBench(small.finish(y), target, samples.slice(0, 48))
    // coarse weights: their rounding is what the outputs lose, not that of activations
    const coarse = new Map([['wide', { round: coarsened }]])
    const made = await bench.plain({ layers: coarse })
    const rounded = await bench.propose(roundingByOutput, made)
    assert.ok(typeof rounded !== 'string', String(rounded))
    const before = meanSquareOf(await bench.errors(made, samples.slice(48)))
    const after = meanSquareOf(await bench.errors(rounded, samples.slice(48)))
    assert.ok(after < 0.7 * before, `${after} after ${before}`)
    const weightsOf = ({ typed }: typeof made) => {
      const { inputs } = typed.graph.nodes.find(({ name }) => name === 'wide')!
      const { constant, type } = typed.graph.values.get(inputs[1]!)!
      return { integers: numbersOf(constant!), scales: type.quantization!.scales }
    }
    assert.deepEqual(weightsOf(rounded).scales, weightsOf(made).scales)
    assert.notDeepEqual(weightsOf(rounded).integers, weightsOf(made).integers)
  })

/** To every other integer. */
function coarsened({ nearest }: { nearest: Int8Array }): Int8Array {
  return nearest.map((q) => 2 * Math.trunc(q / 2))
}

test('the mean output of each channel stays, though the border of the pictures is unlike their middle', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 3, 12, 12)
  const y = small.conv(x, 8, { kernel: 5, pad: 0 }, 'only')
  const samples = pictures(48, 3, 12).map((picture) =>
    picture.map((pixel, at) => pixel + (at % 12 < 3 ? 12 : 0)),
  )
  const bench = new SamplesBench(small.finish(y), onnxruntime, samples)
  const made = await bench.plain({ layers: new Map([['only', { round: coarsened }]]) })
  const rounded = await bench.propose(roundingByOutput, made)
  assert.ok(typeof rounded !== 'string')
  const node = made.trial.graph.nodes.find(({ name }) => name === 'only')!
  const rows = layerRows(node, [8, 3, 5, 5], [1, 3, 12, 12], [1, 8, 8, 8])!
  const mean = new MeanInput(3 * 12 * 12)
  for (const sample of samples) mean.add(sample)
  const input = mean.take()
  const [before, after] = [made, rounded].map(({ typed }) => {
    const { weights, bias } = storedReals(typed.graph, { node })!
    return meanOutputs(rows, weights, input).map((one, channel) => one + bias[channel]!)
  })
  // left to the means of whole channels it moves by 0.013 and more
  for (const [channel, one] of before!.entries())
    assert.ok(Math.abs(after![channel]! - one) < 0.005, `${after![channel]} for ${one}`)
})

test('with other scales than those it was learnt for, the nearest integers stand', async () => {
  const small = new SmallGraph()
  const y = small.conv(small.input('x', 1, 3, 12, 12), 4, {}, 'only')
  const bench = new SamplesBench(small.finish(y), litert, pictures(24, 3, 12))
  const made = await bench.plain()
  const rounded = await bench.propose(roundingByOutput, made)
  assert.ok(typeof rounded !== 'string')
  const { round } = rounded.trial.layers.get('only')!
  const nearest = new Int8Array(4 * 27)
  const request = {
    weights: new Float64Array(4 * 27),
    shape: [4, 3, 3, 3],
    axis: 0,
    scales: [1, 1, 1, 1],
    limit: 127,
    nearest,
  }
  assert.equal(round!(request), nearest)
})

test('inputs that have nothing to do with one another leave nothing to gain: it declines', async () => {
  const small = new SmallGraph()
  const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const
  const y = small.node(
    gemm,
    [small.input('x', 1, 40), small.weights([10, 40]), small.constant([10], new Array(10).fill(0))],
    'only',
  )
  const random = noise(2)
  const samples = Array.from({ length: 32 }, () => Float32Array.from({ length: 40 }, random))
  const bench = new SamplesBench(small.finish(y), litert, samples)
  const declined = await bench.propose(roundingByOutput, await bench.plain())
  assert.equal(declined, 'in none of 1 layers is the output error on samples that took no part smaller')
})

test('too few samples to guard by, or no product of rows and weights: it says so', async () => {
  const small = new SmallGraph()
  const y = small.conv(small.input('x', 1, 3, 12, 12), 4, {}, 'only')
  const few = new SamplesBench(small.finish(y), litert, pictures(3, 3, 12))
  assert.equal(
    await few.propose(roundingByOutput, await few.plain()),
    '3 calibration samples leave none to guard by',
  )
  const other = new SmallGraph()
  const up = other.node(
    {
      kind: 'ConvTranspose',
      group: 1,
      layout: 'channels-first',
      outputPadding: [0, 0],
      strides: [2, 2],
      dilations: [1, 1],
      padsBegin: [0, 0],
      padsEnd: [0, 0],
    },
    [other.input('x', 1, 3, 6, 6), other.weights([3, 2, 3, 3])],
    'up',
  )
  const bench = new SamplesBench(other.finish(up), onnxruntime, pictures(8, 3, 6))
  assert.equal(
    await bench.propose(roundingByOutput, await bench.plain()),
    'no layer with integer weights reads rows of at most 1152 inputs',
  )
})

test('a layer whose rows are too wide for the preset is left, and named as such', async () => {
  const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const
  const small = new SmallGraph()
  const wide = small.node(gemm, [small.input('x', 1, 1200), small.weights([12, 1200], 0.03)], 'wide')
  const y = small.node(gemm, [wide, small.weights([4, 12])], 'narrow')
  const bench = new SamplesBench(
    small.finish(y),
    onnxruntime,
    pictures(32, 3, 20).map((picture) => picture.map(Math.abs)),
  )
  const made = await bench.plain()
  const balanced = await bench.propose(roundingByOutput, made)
  const best = await bench.propose(roundingByOutput, made, 'best')
  assert.ok(typeof balanced !== 'string' && typeof best !== 'string')
  assert.deepEqual([...balanced.trial.layers.keys()], ['narrow'])
  assert.deepEqual([...best.trial.layers.keys()], ['wide', 'narrow'])
})
