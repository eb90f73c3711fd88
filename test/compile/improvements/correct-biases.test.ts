import assert from 'node:assert/strict'
import { test } from 'node:test'
import { biasesBySamples } from '../../../src/compile/improvements/correct-biases.ts'
import { litert } from '../../../targets/litert/index.ts'
import { onnxruntime } from '../../../targets/onnxruntime/index.ts'
import { noise } from '../../quantize/noise.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'
import { meanOf, SamplesBench } from './samples-bench.ts'

const gemm = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const

/** Two layers; the values between are stored up to a third of what they reach, so that they are less on average. */
async function clippedBetween(target: typeof litert | typeof onnxruntime) {
  const small = new SmallGraph()
  const x = small.input('x', 1, 8)
  const hidden = small.node({ kind: 'Relu' }, [
    small.node(gemm, [x, small.weights([16, 8]), small.constant([16], new Array(16).fill(0.5))], 'first'),
  ])
  const y = small.node(
    gemm,
    [hidden, small.weights([4, 16], 1, 0.6), small.constant([4], [0, 0, 0, 0])],
    'second',
  )
  const random = noise(11)
  const samples = Array.from({ length: 128 }, () => Float32Array.from({ length: 8 }, random))
  const bench = new SamplesBench(small.finish(y), target, samples.slice(0, 64))
  const unclipped = await bench.plain()
  const ranges = new Map(unclipped.trial.ranges)
  for (const [name, range] of ranges)
    if (name !== 'x' && name !== y) {
      const { histogram: _, ...rest } = range
      ranges.set(name, { ...rest, max: range.max / 3 })
    }
  return { bench, made: await bench.plain({ ranges }), seen: samples.slice(0, 64), unseen: samples.slice(64) }
}

for (const target of [litert, onnxruntime])
  for (const preset of ['balanced', 'best'] as const)
    test(`what clipping between two layers takes away on average is given back by the second, where the means of float values do not show it: ${target.name}, ${preset}`, async () => {
      const { bench, made, seen, unseen } = await clippedBetween(target)
      const before = {
        seen: meanOf(await bench.errors(made, seen)),
        unseen: meanOf(await bench.errors(made, unseen)),
      }
      const corrected = await bench.propose(biasesBySamples, made, preset)
      assert.ok(typeof corrected !== 'string', String(corrected))
      const after = {
        seen: meanOf(await bench.errors(corrected, seen)),
        unseen: meanOf(await bench.errors(corrected, unseen)),
      }
      before.seen.forEach((error, channel) => {
        assert.ok(error < -0.3, `channel ${channel} was off by ${error}`)
        assert.ok(Math.abs(after.seen[channel]!) < 0.1 * -error, `and is by ${after.seen[channel]}`)
        assert.ok(Math.abs(after.unseen[channel]!) < 0.6 * Math.abs(before.unseen[channel]!))
      })
    })

test('shifts come on top of those that are there, and leave the rounding of a layer alone', async () => {
  const { bench, made, seen } = await clippedBetween(litert)
  const round = ({ nearest }: { nearest: Int8Array }) => nearest
  const layers = new Map([['second', { round, biasShift: [1, 1, 1, 1] }]])
  const shifted = await bench.plain({ ranges: made.trial.ranges, layers })
  const [direct, onTop] = [
    await bench.propose(biasesBySamples, made, 'best'),
    await bench.propose(biasesBySamples, shifted, 'best'),
  ]
  assert.ok(typeof direct !== 'string' && typeof onTop !== 'string')
  assert.equal(onTop.trial.layers.get('second')!.round, round)
  const [a, b] = [meanOf(await bench.errors(direct, seen)), meanOf(await bench.errors(onTop, seen))]
  for (const [channel, error] of a.entries())
    assert.ok(Math.abs(error - b[channel]!) < 0.06, `${error} and ${b[channel]}`)
})

test('a network whose integers are exact has no bias to correct', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 2)
  // scale 1 for inputs of −128 to 127 and for weights up to 127; the biases are whole
  const y = small.node(
    gemm,
    [x, small.constant([2, 2], [127, -3, 40, 127]), small.constant([2], [5, -9])],
    'only',
  )
  const samples = Array.from({ length: 16 }, (_, i) => Float32Array.of(i % 2 ? -128 : 127, 3 * i - 20))
  const bench = new SamplesBench(small.finish(y), litert, samples)
  assert.equal(
    await bench.propose(biasesBySamples, await bench.plain({ weight: 'min-max' })),
    'no layer is off on average by more than chance and the rounding of its bias',
  )
})

test('without a bias, or with a single sample, it says why it has nothing to do', async () => {
  const small = new SmallGraph()
  const y = small.node(gemm, [small.input('x', 1, 4), small.weights([3, 4])], 'only')
  const samples = [Float32Array.of(1, 2, 3, 4), Float32Array.of(-1, 2, -3, 4)]
  const bench = new SamplesBench(small.finish(y), onnxruntime, samples)
  assert.equal(
    await bench.propose(biasesBySamples, await bench.plain()),
    'no layer with integer weights has a bias',
  )
  const one = new SamplesBench(small.finish(y), onnxruntime, samples.slice(0, 1))
  assert.equal(
    await one.propose(biasesBySamples, await one.plain()),
    'a single calibration sample does not tell an error from chance',
  )
})
