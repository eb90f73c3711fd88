import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { seededGenerator } from '../../../src/data/generator.ts'
import { leadingSubspace, openProducts } from '../../../src/train/low-rank/large-subspace.ts'
import { errorsOf, outerGram, subspaceOf } from '../../../src/train/low-rank/subspace.ts'

const products = openProducts()
after(() => products.close())

/** Rows of a normal matrix whose columns weigh less and less. @param directions beyond which there is nothing */
function gramOf(size: number, directions: number, decay: number, scale = 1): Float64Array {
  const random = seededGenerator(2)
  return outerGram(
    Float64Array.from(
      { length: size * directions },
      (_, i) => scale * random.normal() * decay ** (i % directions),
    ),
    size,
  )
}

const cases = {
  'strong ones and many weak ones': gramOf(120, 120, 0.95),
  'all about alike': gramOf(120, 120, 1),
  'fewer than are asked for': gramOf(120, 10, 0.9),
  'huge numbers': gramOf(120, 60, 0.9, 1e60),
  'tiny numbers': gramOf(120, 60, 0.9, 1e-60),
}

for (const [name, gram] of Object.entries(cases))
  test(`leading directions lose what the best do: ${name}`, async () => {
    const [exact, leading] = [subspaceOf(gram, 120), await leadingSubspace(gram, 120, 40, products)]
    const [best, errors] = [errorsOf(exact), errorsOf(leading)]
    assert.equal(errors.length, 41)
    for (const rank of [1, 5, 20, 40])
      assert.ok(
        errors[rank]! >= best[rank]! - 1e-6 && errors[rank]! <= best[rank]! + 0.01,
        `rank ${rank}: ${errors[rank]}, the best is ${best[rank]}`,
      )
    // orthonormal, where there is something
    const { directions, values } = leading
    for (let a = 0; a < 40; a++)
      for (let b = 0; b <= a; b++) {
        let product = 0
        for (let i = 0; i < 120; i++) product += directions[a * 120 + i]! * directions[b * 120 + i]!
        const wanted = a === b && values[a]! > 1e-9 * values[0]! ? 1 : 0
        if (a === b && wanted === 0) continue
        assert.ok(Math.abs(product - wanted) < 1e-6, `${a} · ${b} = ${product}`)
      }
  })

test('of nothing there are no directions, and no error', async () => {
  const { values, total } = await leadingSubspace(new Float64Array(120 * 120), 120, 40, products)
  assert.equal(total, 0)
  assert.ok(values.every((value) => value === 0))
})

test('products are those of loops', async () => {
  const a = Float64Array.from([1, 2, 3, 4, 5, 6])
  const b = Float64Array.from([1, 0, 2, -1, 3, 1])
  assert.deepEqual([...(await products.multiply(a, 2, b, 2))], [14, 1, 32, 1])
  assert.deepEqual([...(await products.multiply(a, 2, b, 2, true))], [7, 8, 16, 17])
})
