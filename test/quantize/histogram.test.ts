import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomNumbers } from '../../src/execute/random.ts'
import { binsPerSide, Histogram } from '../../src/quantize/histogram.ts'

/** Normal numbers by Box and Muller. */
function normals(count: number, seed: number, scale = 1): Float32Array {
  const next = randomNumbers(seed)
  return Float32Array.from(
    { length: count },
    () => scale * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  )
}

function observed(...parts: Float32Array[]): Histogram {
  const histogram = new Histogram('t')
  for (const part of parts) histogram.observe(part)
  return histogram
}

function assertSame(a: Histogram, b: Histogram): void {
  assert.equal(a.exponent, b.exponent)
  assert.deepEqual(a.positive, b.positive)
  assert.deepEqual(a.negative, b.negative)
  assert.deepEqual([a.count, a.min, a.max], [b.count, b.min, b.max])
  assert.ok(Math.abs(a.sum - b.sum) <= 1e-9 * a.sumOfSquares)
  assert.ok(Math.abs(a.sumOfSquares - b.sumOfSquares) <= 1e-12 * a.sumOfSquares)
}

for (const count of [100, 20_000])
  test(`every element of ${count} is counted in the bin that holds it`, () => {
    const elements = normals(count, 1)
    const histogram = observed(elements)
    const expected = { positive: new Float64Array(binsPerSide), negative: new Float64Array(binsPerSide) }
    for (const x of elements) {
      if (x >= 0) expected.positive[Math.floor(x / histogram.binWidth)]!++
      else expected.negative[-1 - Math.floor(x / histogram.binWidth)]!++
    }
    assert.deepEqual(histogram.positive, expected.positive)
    assert.deepEqual(histogram.negative, expected.negative)
    assert.equal(histogram.min, Math.min(...elements))
    assert.equal(histogram.max, Math.max(...elements))
  })

test('R is the smallest power of two above every magnitude', () => {
  for (const [magnitude, reach] of [
    [1, 2],
    [0.999, 1],
    [4, 8],
    [3.5, 4],
    [2 ** -20, 2 ** -19],
    [255, 256],
  ] as const) {
    assert.equal(observed(Float32Array.of(0, magnitude)).reach, reach)
    assert.equal(observed(Float32Array.of(-magnitude)).reach, reach)
  }
})

test('the order in which tensors come does not matter, however R grows', () => {
  const parts = [
    normals(1000, 1, 0.01),
    normals(1000, 2, 30),
    Float32Array.of(0, 0, 0),
    normals(1000, 3, 1e-6),
  ]
  const forward = observed(...parts)
  assertSame(forward, observed(...parts.toReversed()))
  assert.equal(
    forward.positive.reduce((a, b) => a + b, 0) + forward.negative!.reduce((a, b) => a + b, 0),
    3003,
  )
})

test('merging is the same as observing, in any grouping', () => {
  const parts = [normals(700, 4, 5), normals(700, 5, 0.1), Float32Array.from(normals(700, 6), Math.abs)]
  const whole = observed(...parts)
  const [a, b, c] = parts.map((part) => observed(part)) as [Histogram, Histogram, Histogram]
  const left = observed()
  left.merge(a)
  left.merge(b)
  left.merge(c)
  assertSame(left, whole)
  const right = observed(parts[1]!)
  right.merge(c)
  const other = observed(parts[0]!)
  other.merge(right)
  assertSame(other, whole)
})

test('a tensor without negatives allocates one side only', () => {
  assert.equal(observed(Float32Array.of(0, 1, 2)).negative, null)
})

test('an all-zero tensor keeps min and max 0', () => {
  const histogram = observed(new Float32Array(10))
  assert.deepEqual([histogram.min, histogram.max, histogram.count, histogram.positive[0]], [0, 0, 10, 10])
})

test('a NaN or an infinity is an error that names the tensor and the element', () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const histogram = new Histogram('conv7')
    assert.throws(() => histogram.observe(Float32Array.of(1, bad, 2)), {
      code: 'MODEL_NAN_WEIGHTS',
      where: 'conv7',
      saw: `${bad} at element 1`,
    })
    assert.equal(histogram.count, 0)
  }
})

test('negative zero and the smallest floats are in order', () => {
  const histogram = observed(Float32Array.of(-0, 1e-45, -1e-45))
  assert.deepEqual([histogram.min, histogram.max], [Math.fround(-1e-45), Math.fround(1e-45)])
  assert.ok(Object.is(observed(Float32Array.of(-0)).min, 0))
})

test('a tensor in the middle of a buffer is read from its own start', () => {
  const buffer = Float32Array.of(100, 1, -2, 200)
  const histogram = observed(buffer.subarray(1, 3))
  assert.deepEqual([histogram.min, histogram.max, histogram.count], [-2, 1, 2])
})
