import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededGenerator } from '../../../src/data/generator.ts'
import {
  applyMasks,
  magnitudeMasks,
  maskable,
  type MaskedWeights,
  type Masks,
  sparsityAt,
  sparsityOf,
  structuredMasks,
} from '../../../src/train/prune/masks.ts'

function layer(name: string, shape: number[], scale: number, seed: number): MaskedWeights {
  const random = seededGenerator(seed)
  const count = shape.reduce((a, b) => a * b, 1)
  return { name, shape, values: Float32Array.from({ length: count }, () => random.normal() * scale) }
}

const layers = [
  layer('a', [8, 4, 3, 3], 1, 1),
  layer('b', [16, 8, 1, 1], 0.7, 2),
  layer('c', [5, 16], 1.3, 3),
]
const zerosOf = (masks: Masks, name: string) => masks.get(name)!.filter((one) => one === 0).length

test('exactly the wanted share of all weights is masked, and they are the smallest', () => {
  const total = layers.reduce((sum, { values }) => sum + values.length, 0)
  for (const sparsity of [0, 0.1, 0.29, 0.5, 0.8, 0.9]) {
    const masks = magnitudeMasks(layers, sparsity)
    const zeros = layers.reduce((sum, { name }) => sum + zerosOf(masks, name), 0)
    assert.equal(zeros, Math.round(sparsity * total))
    assert.equal(sparsityOf(masks), zeros / total)
    const [gone, stays] = [0, 1].map((wanted) =>
      layers.flatMap(({ name, values }) =>
        [...values].filter((_, i) => masks.get(name)![i] === wanted).map(Math.abs),
      ),
    )
    assert.ok(Math.max(-1, ...gone!) <= Math.min(...stays!))
  }
})

test('per layer, each has the same share', () => {
  const masks = magnitudeMasks(layers, 0.75, { scope: 'layer' })
  for (const { name, values } of layers) assert.equal(zerosOf(masks, name), Math.round(0.75 * values.length))
})

test('equal weights: as many go as are wanted, in order', () => {
  const equal = [{ name: 'e', shape: [8, 1], values: new Float32Array(8).fill(-2) }]
  assert.deepEqual([...magnitudeMasks(equal, 0.5).get('e')!], [0, 0, 0, 0, 1, 1, 1, 1])
})

test('a layer of small weights does not go as a whole; the others make up for it', () => {
  const tiny = layer('tiny', [10, 10], 1e-4, 4)
  const all = [...layers, tiny]
  const total = all.reduce((sum, { values }) => sum + values.length, 0)
  const masks = magnitudeMasks(all, 0.6)
  assert.equal(zerosOf(masks, 'tiny'), 98)
  assert.equal(sparsityOf(masks), Math.round(0.6 * total) / total)
  assert.deepEqual([...masks.keys()], ['a', 'b', 'c', 'tiny'])
  assert.equal(zerosOf(magnitudeMasks(all, 0.6, { leastPerLayer: 0 }), 'tiny'), 100)
})

test('masks of a schedule are nested when values are held to them', () => {
  let values: ReadonlyMap<string, Float32Array> = new Map(layers.map(({ name, values: own }) => [name, own]))
  let before: Masks = new Map()
  for (let step = 1; step <= 4; step++) {
    const masks = magnitudeMasks(
      layers.map((one) => ({ ...one, values: values.get(one.name)! })),
      sparsityAt(step / 4, 0.8),
    )
    for (const [name, mask] of before)
      assert.ok(mask.every((one, i) => one === 1 || masks.get(name)![i] === 0))
    values = applyMasks(values, masks)
    before = masks
  }
  assert.ok(Math.abs(sparsityOf(before) - 0.8) < 0.002)
})

test('the cubic schedule starts steep and ends flat', () => {
  assert.deepEqual(
    [-1, 0, 0.5, 1, 2].map((done) => sparsityAt(done, 0.8)),
    [0, 0, 0.8 * 0.875, 0.8, 0.8],
  )
})

test('masked values are zero, not minus zero, and others are untouched', () => {
  const values = new Map([
    ['a', Float32Array.of(-1, 2, -3)],
    ['b', Float32Array.of(4)],
  ])
  const applied = applyMasks(values, new Map([['a', Float32Array.of(0, 1, 1)]]))
  assert.ok(Object.is(applied.get('a')![0], 0))
  assert.deepEqual([...applied.get('a')!], [0, 2, -3])
  assert.equal(applied.get('b'), values.get('b'))
})

test('of every four inputs the two largest stay, whichever axis they are on', () => {
  for (const [shape, axis] of [
    [[6, 8, 3, 3], 1],
    [[12, 5], 0],
    [[5, 12], 1],
  ] as const) {
    const weights = layer('w', [...shape], 1, 5)
    const mask = structuredMasks([weights], () => axis).get('w')!
    const inner = shape.slice(axis + 1).reduce((a: number, b: number) => a * b, 1)
    let groups = 0
    for (let start = 0; start < mask.length; start++) {
      if (Math.floor(start / inner) % 4 !== 0) continue
      groups++
      const at = [0, 1, 2, 3].map((i) => start + i * inner)
      const kept = at.filter((i) => mask[i] === 1)
      assert.equal(kept.length, 2)
      // no pair of the four has more magnitude
      const best = at.map((i) => Math.abs(weights.values[i]!)).toSorted((a, b) => b - a)
      const sum = kept.reduce((total, i) => total + Math.abs(weights.values[i]!), 0)
      assert.ok(Math.abs(sum - best[0]! - best[1]!) < 1e-12)
    }
    assert.equal(groups * 4, mask.length)
  }
})

test('1 of 4, 4 of 8; what does not divide stays whole', () => {
  const weights = [layer('w', [4, 8], 1, 6), layer('odd', [4, 6], 1, 7)]
  assert.equal(sparsityOf(structuredMasks(weights, () => 1, 1, 4)), 0.75)
  assert.equal(sparsityOf(structuredMasks(weights, () => 1, 4, 8)), 0.5)
  assert.deepEqual([...structuredMasks(weights, () => 1).keys()], ['w'])
})

test('kernels and matrices are masked; biases, normalizations and what stands still are not', () => {
  const parameter = (name: string, shape: number[], decay: boolean, trainable = true) => ({
    name,
    shape,
    decay,
    trainable,
    initial: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  })
  const parameters = [
    parameter('kernel', [2, 2, 1, 1], true),
    parameter('bias', [2], false),
    parameter('still', [2, 2], true, false),
  ]
  const values = new Map(parameters.map(({ name, initial }) => [name, initial]))
  assert.deepEqual(
    maskable(parameters, values).map(({ name }) => name),
    ['kernel'],
  )
})
