import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseRecipe, recipeSchema } from '../../src/compile/recipe.ts'
import { EdgewrightError } from '../../src/error.ts'

test('an empty recipe is full int8 with float inputs and outputs', () => {
  const recipe = parseRecipe({}, 'test')
  assert.equal(recipe.scheme, 'full-int8')
  assert.equal(recipe.io, 'float')
  assert.equal(recipe.calibration.method, 'auto')
  assert.equal(recipe.perChannel, true)
})

test('all mistakes of a recipe are reported at once, with the path to each', () => {
  assert.throws(
    () => parseRecipe({ scheme: 'int4', calibration: { method: 'guess' }, sede: 1 }, 'r.yaml'),
    (error: unknown) => {
      assert.ok(error instanceof EdgewrightError)
      assert.equal(error.code, 'RECIPE_INVALID')
      assert.match(error.message, /3 mistakes/)
      assert.match(error.saw!, /scheme: /)
      assert.match(error.saw!, /calibration\.method: /)
      assert.match(error.saw!, /sede/)
      return true
    },
  )
})

test('docs/recipe.md names every field of the schema', () => {
  const page = readFileSync(new URL('../../docs/recipe.md', import.meta.url), 'utf8')
  for (const field of Object.keys(recipeSchema.shape))
    assert.ok(page.includes(`\`${field}`), `docs/recipe.md lacks ${field}`)
})
