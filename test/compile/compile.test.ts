import assert from 'node:assert/strict'
import { readFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Compiled, compileModel, type CompileRequest } from '../../src/compile/compile.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { EdgewrightError } from '../../src/error.ts'
import { silentProgress } from '../../src/progress.ts'
import { repositoryRoot } from '../fixtures.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-compile-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function compile(
  name: string,
  change: Partial<CompileRequest> & { recipe?: CompileRequest['recipe'] } = {},
) {
  const progress = silentProgress()
  const compiled = await compileModel(
    {
      model: join(example, 'mnist.onnx'),
      shapes: {},
      data: join(example, 'data.yaml'),
      calibrationData: join(example, 'calibration.yaml'),
      metric: undefined,
      recipe: parseRecipe({ calibration: { method: 'mse' }, evaluationSamples: 200 }, 'test'),
      profile: 'raspberry-pi-5',
      target: undefined,
      out: join(folder, name),
      ...change,
    },
    progress,
  )
  return {
    compiled,
    warnings: progress.warnings,
    model: await readFile(join(compiled.folder, compiled.manifest.model)),
  }
}

const recipe = (written: object) =>
  parseRecipe({ calibration: { method: 'mse' }, evaluationSamples: 200, ...written }, 'test')

test('the MNIST example in int8 keeps its accuracy at a third of its size', async () => {
  const { compiled, model } = await compile('plain')
  assert.ok(model.length < 0.3 * compiled.manifest.source.bytes, `${model.length} bytes`)
  assert.equal(compiled.weightBytes.compiled / compiled.weightBytes.float, 0.25)
  assert.ok(compiled.quality.float! - compiled.quality.compiled! <= 0.01)
  assert.ok(compiled.quality.sqnrDb > 30, `${compiled.quality.sqnrDb} dB`)
  assert.equal(compiled.manifest.calibrated, true)
})

test('same input, same recipe: same bytes', async () => {
  const { model: first } = await compile('first')
  const { model: second } = await compile('second')
  assert.deepEqual(first, second)
})

test('two boards whose constraints differ get different networks, with the reason', async () => {
  const { compiled: pi, model: signed } = await compile('pi')
  const { compiled: here, model: own } = await compile('generic', { profile: 'generic-x64' })
  assert.notDeepEqual(signed, own)
  const reasons = (entry: Compiled) => entry.decisions.map(({ reason }) => reason).join(' ')
  assert.match(reasons(pi), /ARM64 kernels take signed/)
  assert.match(reasons(here), /x64 without VNNI/)
})

test('integer inputs and outputs carry their scale and zero point', async () => {
  const { compiled } = await compile('uint8', { recipe: recipe({ io: 'uint8' }) })
  const [input] = compiled.manifest.inputs
  assert.equal(input!.dtype, 'uint8')
  assert.ok(input!.quantization!.scale > 0)
  assert.equal(compiled.manifest.outputs[0]!.dtype, 'uint8')
  assert.ok(compiled.quality.float! - compiled.quality.compiled! <= 0.015)
})

test('folded preprocessing takes raw pixels and gives the same answers', async () => {
  const { compiled: plain } = await compile('unfolded')
  const { compiled: folded } = await compile('folded', {
    recipe: recipe({ foldPreprocessing: true, io: 'uint8' }),
  })
  const preprocessing = folded.manifest.preprocessing as { scale: number }
  assert.equal(preprocessing.scale, 1)
  // raw pixels 0..255 are the integers themselves
  assert.ok(
    Math.abs(folded.manifest.inputs[0]!.quantization!.scale - 1) < 0.05,
    `${folded.manifest.inputs[0]!.quantization!.scale}`,
  )
  assert.equal(folded.quality.float, plain.quality.float)
  assert.ok(folded.quality.float! - folded.quality.compiled! <= 0.015)
})

test('without data the artifact is marked uncalibrated and it is said plainly', async () => {
  const { compiled, warnings } = await compile('random', { data: undefined, calibrationData: undefined })
  assert.equal(compiled.manifest.calibrated, false)
  assert.ok(warnings.some(({ code }) => code === 'CALIBRATED_ON_RANDOM'))
})

test('scheme float gives the float network', async () => {
  const { compiled } = await compile('float', { recipe: recipe({ scheme: 'float' }) })
  assert.ok(compiled.quality.sqnrDb > 90)
  assert.equal(compiled.manifest.scheme, 'float')
})

test('a scheme that the target lacks is refused with those that it has', async () => {
  await assert.rejects(
    compile('int16', { recipe: recipe({ scheme: 'int16x8' }) }),
    (error: unknown) =>
      error instanceof EdgewrightError && error.code === 'TARGET_CANNOT_RUN' && /full-int8/.test(error.saw!),
  )
})

test('an output folder that is no artifact is left alone', async () => {
  await assert.rejects(
    compile('x', { out: repositoryRoot }),
    (error: unknown) => error instanceof EdgewrightError && error.code === 'ARTIFACT_INVALID',
  )
})

test('choosing by all of the calibration data leaves nothing to calibrate on, which is said', async () => {
  const choosingBy = (selectionSamples: number) =>
    compile(`choosing-by-${selectionSamples}`, { recipe: parseRecipe({ selectionSamples }, 'test') })
  // of 300
  await assert.rejects(choosingBy(300), { code: 'DATA_EMPTY' })
  await assert.rejects(choosingBy(301), { code: 'RECIPE_INVALID' })
})
