import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { statisticsSource } from '../../scripts/write-statistics-wasm.ts'
import { randomNumbers } from '../../src/execute/random.ts'
import { ChannelStatistics } from '../../src/quantize/channel-statistics.ts'
import { binsPerSide, summarize } from '../../src/quantize/histogram.ts'
import { StatisticsKernel } from '../../src/quantize/statistics-kernel.ts'
import { KernelObserver, PlainObserver } from '../../src/quantize/tensor-observer.ts'
import { repositoryRoot } from '../fixtures.ts'

test('the module that is shipped is the one in statistics.wat', async () => {
  const written = readFileSync(join(repositoryRoot, 'src/quantize/statistics-wasm.ts'), 'utf8')
  assert.equal(written, await statisticsSource(), 'run npm run wasm')
})

const normal = (next: () => number) => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next())

const kinds: Record<string, (next: () => number) => number> = {
  normal,
  'rectified, half of it zeros': (next) => Math.max(0, normal(next)),
  'both zeros and the smallest floats': (next) => [0, -0, 1e-45, -1e-45, 1, -1, 3e4][Math.floor(next() * 7)]!,
  'from tiny to huge': (next) => normal(next) * 2 ** (80 * next() - 40),
  'all zeros': () => 0,
  'nothing above zero': (next) => -next(),
}

/** One kernel for tensors of every remainder of 4, as they come in a network. */
for (const [kind, make] of Object.entries(kinds))
  test(`summaries and counts are those of JavaScript, bit for bit: ${kind}`, () => {
    const next = randomNumbers(2)
    for (const elements of [1, 2, 3, 4, 5, 16, 17, 63, 1000, 8193]) {
      const kernel = StatisticsKernel.for([{ elements, counts: true, channels: 0 }])!
      const observed = { name: 't', histogram: true, channels: undefined }
      const fast = new KernelObserver(observed, kernel, kernel.rooms[0]!)
      const plain = new PlainObserver(observed)
      for (let sample = 0; sample < 3; sample++) {
        const data = Float32Array.from({ length: elements }, () => make(next) * 10 ** sample)
        fast.observe(data)
        plain.observe(data)
        const summary = summarize(data)
        assert.deepEqual(kernel.summarize(kernel.rooms[0]!), summary)
        const { min, max } = summary
        assert.deepEqual(kernel.bounds(kernel.rooms[0]!), { min, max, finite: true })
      }
      const { histogram } = fast.result()
      assert.deepEqual(fast.result(), plain.result())
      const total = [histogram!.positive, histogram!.negative ?? []].flatMap((bins) => [...bins])
      assert.equal(
        total.reduce((a, b) => a + b, 0),
        3 * elements,
      )
    }
  })

test('channels are those of JavaScript, bit for bit, in planes and in rows', () => {
  const next = randomNumbers(6)
  for (const [shape, axis] of [
    [[1, 5, 7, 7], 1],
    [[2, 3, 4], 1],
    [[1, 6, 2], 1],
    [[1, 4, 4, 3], 3],
    [[10], 0],
    [[1, 9], 1],
  ] as const) {
    const elements = shape.reduce((a: number, b) => a * b, 1)
    const own = new ChannelStatistics(shape, axis)
    const inKernel = new ChannelStatistics(shape, axis)
    const kernel = StatisticsKernel.for([{ elements, counts: false, channels: inKernel.channels }])!
    const fast = new KernelObserver(
      { name: 't', histogram: false, channels: inKernel },
      kernel,
      kernel.rooms[0]!,
    )
    for (let sample = 0; sample < 4; sample++) {
      const data = Float32Array.from({ length: elements }, () => normal(next))
      own.observe(data)
      fast.observe(data)
    }
    assert.deepEqual(inKernel.result(), own.result(), `[${shape.join(', ')}]`)
  }
})

test('without a histogram the observer gives min and max of all samples, as the simple one does', () => {
  const next = randomNumbers(8)
  const observed = { name: 't', histogram: false, channels: undefined }
  const kernel = StatisticsKernel.for([{ elements: 37, counts: false, channels: 0 }])!
  const fast = new KernelObserver(observed, kernel, kernel.rooms[0]!)
  const plain = new PlainObserver(observed)
  for (let sample = 0; sample < 20; sample++) {
    const data = Float32Array.from({ length: 37 }, () => normal(next))
    fast.observe(data)
    plain.observe(data)
  }
  assert.deepEqual(fast.result(), plain.result())
})

test('tensors beside each other do not touch each other', () => {
  const needs = [3, 17, 64].map((elements) => ({ elements, counts: true, channels: 0 }))
  const kernel = StatisticsKernel.for(needs)!
  for (const [i, room] of kernel.rooms.entries()) room.elements.fill(i + 1)
  const [, middle] = kernel.rooms
  kernel.count(middle!, binsPerSide / 4)
  assert.equal(middle!.counts[binsPerSide + binsPerSide / 2], 17)
  for (const [i, room] of kernel.rooms.entries()) {
    assert.ok(room.elements.every((x) => x === i + 1))
    if (room !== middle) assert.ok(room.counts.every((count) => count === 0))
  }
})

test('a NaN or an infinity is an error that names the tensor and the element', () => {
  for (const [at, bad] of [
    [0, Number.NaN],
    [5, Number.NEGATIVE_INFINITY],
    [8, Number.NaN],
    [8, Number.POSITIVE_INFINITY],
  ] as const) {
    for (const histogram of [true, false])
      for (const elements of [9, 41]) {
        const kernel = StatisticsKernel.for([{ elements, counts: histogram, channels: 0 }])!
        const observed = { name: 'conv7', histogram, channels: undefined }
        const observer = new KernelObserver(observed, kernel, kernel.rooms[0]!)
        const data = new Float32Array(elements).fill(1)
        data[at] = bad
        assert.throws(() => observer.observe(data), {
          code: 'MODEL_NAN_WEIGHTS',
          where: 'conv7',
          saw: `${bad} at element ${at}`,
        })
      }
  }
})

test('more than a gigabyte of tensors is left to the simple loop', () => {
  assert.equal(StatisticsKernel.for([{ elements: 2 ** 28, counts: true, channels: 0 }]), null)
})

test('counts are taken over before they would leave 32 bits', () => {
  const kernel = StatisticsKernel.for([{ elements: 4, counts: true, channels: 0 }])!
  const room = kernel.rooms[0]!
  const observer = new KernelObserver({ name: 't', histogram: true, channels: undefined }, kernel, room, 10)
  let most = 0
  for (let sample = 0; sample < 9; sample++) {
    observer.observe(Float32Array.of(0, 0, 0, 1))
    most = Math.max(most, room.counts[binsPerSide]!)
  }
  assert.equal(most, 6)
  assert.equal(observer.result().histogram!.positive[0], 27)
})
