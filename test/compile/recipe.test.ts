import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { splitOutputs } from '../../src/compile/mixed-heads.ts'
import { allowances, parseRecipe, recipeSchema } from '../../src/compile/recipe.ts'
import { EdgewrightError } from '../../src/error.ts'
import { floatBoundary } from '../../targets/edgetpu/prepare.ts'
import { allowances as edgetpuAllowances } from '../../targets/edgetpu/rewrites/rewrite.ts'
import { dlaAllowance } from '../../targets/tensorrt/dla.ts'

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

test('what is allowed by a name that nothing goes by is a mistake that names the others', () => {
  assert.deepEqual(parseRecipe({ allow: ['relu6', 'dla'] }, 'test').allow, ['relu6', 'dla'])
  assert.throws(() => parseRecipe({ allow: ['relu6', 'relu-6'] }, 'r.yaml'), {
    code: 'RECIPE_INVALID',
    saw: 'allow.1: Nothing is allowed by the name "relu-6"; what can be: relu6, float-io, dla, split-outputs',
  })
})

test('every allowance of a target can be asked for', () => {
  const asked: readonly string[] = allowances
  for (const name of [...Object.keys(edgetpuAllowances), floatBoundary, dlaAllowance, splitOutputs])
    assert.ok(asked.includes(name), name)
  assert.equal(asked.length, Object.keys(edgetpuAllowances).length + 3)
})
