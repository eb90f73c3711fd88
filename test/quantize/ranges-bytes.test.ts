import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import { Histogram } from '../../src/quantize/histogram.ts'
import type { Ranges, TensorRange } from '../../src/quantize/ranges.ts'
import { decodeRanges, encodeRanges } from '../../src/quantize/ranges-bytes.ts'

function histogramOf(name: string, elements: Float32Array): Histogram {
  const histogram = new Histogram(name)
  histogram.observe(elements)
  return histogram
}

function example(): Ranges {
  const next = randomNumbers(1)
  const signed = histogramOf(
    'signed',
    Float32Array.from({ length: 30_000 }, () => next() - 0.4),
  )
  const huge = histogramOf('huge', Float32Array.of(1, 2, 3))
  // more than 32 bits count
  huge.positive[8191] = 2 ** 52 + 1
  huge.count = huge.positive.reduce((a, b) => a + b, 0)
  return new Map<string, TensorRange>([
    [
      'signed',
      {
        min: signed.min,
        max: signed.max,
        histogram: signed,
        channelMeans: Float64Array.of(0.1, -0, Number.MIN_VALUE),
        channelMeanSquares: Float64Array.of(1, 2, 3),
        channelMin: Float64Array.of(-1, -2, -3),
        channelMax: Float64Array.of(1, 2, 3),
      },
    ],
    ['huge', { min: 1, max: 3, histogram: huge }],
    ['größe/λ', { min: -1.5, max: 0.1 + 0.2, channelMeans: new Float64Array(0) }],
    ['zeros', { min: 0, max: 0, histogram: histogramOf('zeros', new Float32Array(5)) }],
  ])
}

test('ranges come back exactly', () => {
  const ranges = example()
  assert.deepEqual(decodeRanges(encodeRanges(ranges)), ranges)
  assert.deepEqual(decodeRanges(encodeRanges(new Map())), new Map())
})

test('a histogram takes a tenth of its size in memory', () => {
  const { length } = encodeRanges(new Map([['signed', example().get('signed')!]]))
  assert.ok(length < 2 * 8192 * 8 * 0.1, `${length} bytes`)
})

test('bytes that are cut, or have something behind them, are nothing', () => {
  const bytes = encodeRanges(example())
  for (let length = 0; length < bytes.length; length += length < 300 ? 1 : 97)
    assert.equal(decodeRanges(bytes.subarray(0, length)), null, `cut at ${length}`)
  assert.equal(decodeRanges(Uint8Array.from([...bytes, 0])), null)
})

test('hostile bytes end at once: nothing, or ranges whose counts add up', () => {
  const bytes = encodeRanges(example())
  const next = randomNumbers(5)
  for (let round = 0; round < 500; round++) {
    const broken = bytes.slice()
    for (let i = 0; i < 4; i++)
      broken[Math.floor(next() * (round % 2 ? bytes.length : 400))] = Math.floor(next() * 256)
    for (const { histogram } of decodeRanges(broken)?.values() ?? [])
      if (histogram) {
        const counted = [...histogram.positive, ...(histogram.negative ?? [])].reduce((a, b) => a + b, 0)
        assert.equal(counted, histogram.count)
      }
  }
  // 2^40 tensors, a name of 2^40 bytes, a run of 2^40 zeros
  for (const claim of [[], [1]])
    assert.equal(decodeRanges(Uint8Array.from([...claim, 128, 128, 128, 128, 128, 8])), null)
})
