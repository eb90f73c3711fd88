import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EqualizedTensor, equalizationScales, mostScale } from '../../src/quantize/equalization.ts'

/** Peaks of one weight, or element, for each channel. */
function tensor(
  peaks: number[],
  dividedBy: number[],
  multipliedBy: number[],
  storedWith: number[] | null = null,
) {
  return { peaks, dividedBy, multipliedBy, storedWith } satisfies EqualizedTensor
}

const none = [0, 0]

test('a pair of layers comes to √(r₁/r₂), each channel the same part of both ranges', () => {
  // as parts of their ranges r₁ = (1, 1/16) and r₂ = (1/2, 1): √2 and 1/4
  const scales = equalizationScales({
    groups: 3,
    tensors: [tensor([4, 0.25], [1, 2], none), tensor([1, 2], none, [1, 2])],
  })
  assert.ok(Math.abs(scales[1]! - Math.SQRT2) < 1e-9, `${scales[1]}`)
  assert.ok(Math.abs(scales[2]! - 0.25) < 1e-9, `${scales[2]}`)
  assert.equal(scales[0], 1)
})

test('a depthwise layer between two others: all three ranges spread by the cube root of the product', () => {
  // channel 1 over channel 2 is 8, 1/4 and 4: each comes to ∛8
  const scales = equalizationScales({
    groups: 5,
    tensors: [tensor([8, 1], [1, 2], none), tensor([0.25, 1], [3, 4], [1, 2]), tensor([4, 1], none, [3, 4])],
  })
  const [, a, b, c, d] = scales as unknown as [number, number, number, number, number]
  const spreads = [(8 / a) * b, ((0.25 * a) / c / (1 * b)) * d, (4 * c) / d]
  for (const spread of spreads) assert.ok(Math.abs(spread - 2) < 1e-3, `${spreads}`)
})

test('all who give and all who take a channel count alike', () => {
  // shares in what divides: 1/4 and 1/16, in what multiplies 1/2: geometric means over three terms
  const scales = equalizationScales({
    groups: 2,
    tensors: [tensor([4, 1], [0, 1], none), tensor([16, 1], [0, 1], none), tensor([2, 1], none, [0, 1])],
  })
  assert.ok(Math.abs(scales[1]! - ((1 / 4) * (1 / 16) * 2) ** (1 / 3)) < 1e-9, `${scales[1]}`)
})

test('rows with scales of their own leave only the activation to balance', () => {
  // a depthwise layer takes any scale: the activation gets channels of one size
  const scales = equalizationScales({
    groups: 3,
    tensors: [
      tensor([5, 1], [1, 2], none, [0, 1]),
      tensor([6, 1.5], [1, 2], none),
      tensor([3, 7], none, [1, 2], [0, 1]),
    ],
  })
  assert.ok(Math.abs(6 / scales[1]! / (1.5 / scales[2]!) - 1) < 1e-3, `${scales}`)
})

test('a dead channel, one of nothing but readers and one without readers keep their scale', () => {
  const dead = equalizationScales({
    groups: 3,
    tensors: [tensor([1, 1e-12], [1, 2], none), tensor([1, 1], none, [1, 2])],
  })
  assert.equal(dead[2], 1)
  const unread = equalizationScales({
    groups: 3,
    tensors: [tensor([1, 0.1], [1, 2], none), tensor([1, 0], none, [1, 2])],
  })
  assert.equal(unread[2], 1)
  assert.deepEqual(
    [...equalizationScales({ groups: 3, tensors: [tensor([1, 0.1], none, [1, 2])] })],
    [1, 1, 1],
  )
})

test('scales stay within their limits, above those of clips, and at 1 where a clip was reached', () => {
  const tensors = [
    tensor([1, 1e-6, 1e-6, 1e-6], [0, 1, 2, 3], [0, 0, 0, 0]),
    tensor([1, 1, 1], [0, 0, 0], [1, 2, 3]),
  ]
  const scales = equalizationScales({ groups: 4, tensors, least: [0, 0, 0.5, 1.1] })
  assert.deepEqual([...scales], [1, 1 / mostScale, 0.5, 1])
})

test('what is in balance stays as it is', () => {
  const tensors = [tensor([3, 1], [1, 2], none), tensor([6, 2], none, [1, 2])]
  assert.deepEqual([...equalizationScales({ groups: 3, tensors })], [1, 1, 1])
})
