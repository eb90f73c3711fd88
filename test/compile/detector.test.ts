import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { compileModel } from '../../src/compile/compile.ts'
import { parseRecipe, type RecipeInput } from '../../src/compile/recipe.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import { silentProgress } from '../../src/progress.ts'
import { squareDetector, writeSquares } from '../data/square-detector.ts'

let folder: string
let data: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-detector-'))
  data = await writeSquares(join(folder, 'data'), 12)
  await writeFile(join(folder, 'net.onnx'), writeOnnx(squareDetector()))
})
after(() => rm(folder, { recursive: true, force: true }))

function compile(name: string, recipe: RecipeInput, metric?: string) {
  return compileModel(
    {
      model: join(folder, 'net.onnx'),
      shapes: {},
      data,
      calibrationData: undefined,
      metric,
      recipe: parseRecipe({ preset: 'fast', ...recipe }, 'test'),
      profile: 'raspberry-pi-5',
      target: 'litert',
      out: join(folder, name),
    },
    silentProgress(),
  )
}

test('a detector whose boxes and scores share a concatenation keeps its objects: the head stays in float', async () => {
  const { quality, decisions } = await compile('parted', {})
  assert.equal(quality.metric, 'map')
  assert.ok(quality.float! > 0.99, `float ${quality.float}`)
  assert.ok(quality.compiled! > 0.95, `int8 ${quality.compiled}`)
  assert.ok(quality.agreement! > 0.95, `agreement ${quality.agreement}`)
  assert.ok(decisions.some(({ where, reason }) => where === 'head' && /stays in float/.test(reason)))
})

test('with integer outputs the head is lost and said so, unless outputs of their own are allowed', async () => {
  const joined = await compile('joined', { io: 'int8' })
  assert.ok(joined.quality.compiled! < 0.05, `joined ${joined.quality.compiled}`)
  assert.ok(joined.decisions.some(({ reason }) => /allow split-outputs/.test(reason)))
  const parted = await compile('outputs', { io: 'int8', allow: ['split-outputs'] })
  assert.equal(parted.manifest.outputs.length, 2)
  assert.ok(parted.quality.compiled! > 0.8, `parted ${parted.quality.compiled}`)
})

test('a mistaken metric shows before anything is calibrated', async () => {
  await assert.rejects(compile('metric', {}, 'mean-precision'), { code: 'DATA_NOT_FOUND' })
})
