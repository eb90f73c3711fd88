import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { compileModel, type CompileRequest } from '../../src/compile/compile.ts'
import { compareQuality, type Runnable } from '../../src/compile/quality.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { openMetric } from '../../src/data/metric.ts'
import { EdgewrightError } from '../../src/error.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import { constantOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import { silentProgress } from '../../src/progress.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import { evaluateSubject } from '../../src/run/evaluate.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../fixtures.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-hazards-'))
})
after(() => rm(folder, { recursive: true, force: true }))

function compile(name: string, change: Partial<CompileRequest> = {}) {
  return compileModel(
    {
      model: join(example, 'mnist.onnx'),
      shapes: {},
      data: join(example, 'data.yaml'),
      calibrationData: join(example, 'calibration.yaml'),
      metric: undefined,
      recipe: parseRecipe({ calibration: { method: 'min-max' }, evaluationSamples: 100 }, 'test'),
      profile: 'generic-x64',
      target: 'onnxruntime',
      out: join(folder, name),
      ...change,
    },
    silentProgress(),
  )
}

function evaluate(subject: string) {
  return evaluateSubject(
    {
      subject,
      shapes: {},
      data: join(example, 'data.yaml'),
      metric: undefined,
      recipe: parseRecipe({}, 'test'),
      device: undefined,
      limit: 200,
      connection: noQuestions,
    },
    silentProgress(),
  )
}

/** x → MatMul → Relu, the Relu being the output. */
async function endingInRelu(path: string): Promise<string> {
  const editor = GraphEditor.empty('mlp')
  const type = { dtype: 'float32', shape: [1, 8], quantization: null } as const
  editor.addInput('x', type)
  const weights = Float32Array.from({ length: 64 }, (_, index) => Math.sin(index * 1.7))
  editor.addConstant('w', constantOf('float32', [8, 8], weights), null)
  editor.addNode({
    name: 'product',
    op: { kind: 'MatMul' },
    inputs: ['x', 'w'],
    outputs: [{ name: 'h', type }],
  })
  editor.addNode({ name: 'relu', op: { kind: 'Relu' }, inputs: ['h'], outputs: [{ name: 'y', type }] })
  editor.outputs = ['y']
  await writeFile(path, writeOnnx(editor.finish()))
  return path
}

describe('hazards of a compile', () => {
  test('a network that ends in a matrix product and a Relu is calibrated to its end', async () => {
    const model = await endingInRelu(join(folder, 'mlp.onnx'))
    const { quality } = await compile('mlp', { model, data: undefined, calibrationData: undefined })
    assert.ok(quality.sqnrDb > 20, `${quality.sqnrDb} dB`)
  })

  test('a model file named for people becomes a release that a shell can name', async () => {
    const model = await endingInRelu(join(folder, 'my net (v2).onnx'))
    const { manifest } = await compile('named', { model, data: undefined, calibrationData: undefined })
    assert.equal(manifest.name, 'my-net-v2')
  })

  test('a misspelt keepFloat name is refused, not passed over', async () => {
    const recipe = parseRecipe({ keepFloat: ['/conv1/Cnov'] }, 'test')
    await assert.rejects(compile('misspelt', { recipe }), (error: EdgewrightError) => {
      assert.equal(error.code, 'RECIPE_INVALID')
      assert.equal(error.saw, '/conv1/Cnov')
      return true
    })
  })

  test('one sample gives no figures that look perfect', async () => {
    const { writeFileSync } = await import('node:fs')
    const loader = join(folder, 'one.mjs')
    writeFileSync(loader, 'export default [{ x: new Float32Array(784), label: 3 }]\n')
    await assert.rejects(compile('one', { data: loader, calibrationData: undefined }), { code: 'DATA_EMPTY' })
  })

  test('an artifact that folds preprocessing is evaluated on raw samples', async () => {
    const recipe = parseRecipe(
      { foldPreprocessing: true, io: 'uint8', calibration: { method: 'min-max' }, evaluationSamples: 50 },
      'test',
    )
    await compile('folded', { recipe })
    const { value } = await evaluate(join(folder, 'folded'))
    assert.ok(value! >= 0.95, `top-1 ${value}`)
  })

  test('an artifact made for a profile of one’s own is evaluated without that profile', async () => {
    const { stringify } = await import('yaml')
    const { resolveProfile } = await import('../../src/profiles/resolve.ts')
    const own = join(folder, 'own.yaml')
    await writeFile(own, stringify({ ...resolveProfile('generic-x64'), id: 'own-board' }))
    await compile('own', { profile: own })
    assert.ok((await evaluate(join(folder, 'own'))).value! >= 0.95)
  })

  test('an output whose length depends on the data counts as noise where it differs', async () => {
    const runnable = (length: number): Runnable => ({
      evaluator: {
        run: async () =>
          new Map([
            ['y', { dtype: 'int64' as const, shape: [length], data: new BigInt64Array(length).fill(2n) }],
          ]),
        close: async () => {},
      } as unknown as Runnable['evaluator'],
      inputs: [],
      outputs: [{ name: 'y', stored: null }],
    })
    const samples = async function* () {
      yield { id: '0', inputs: new Map(), label: null }
    }
    const quality = await compareQuality(
      runnable(4),
      runnable(6),
      samples(),
      1,
      () => openMetric('top-1'),
      silentProgress(),
    )
    assert.equal(quality.sqnrDb, 0)
    // indices are no scores: which of them is largest says nothing
    assert.equal(quality.agreement, null)
  })
})

test('a TensorFlow Lite file whose signature calls its tensors otherwise compiles', {
  skip: fixturesMissing,
}, async () => {
  for (const name of ['single_hard_swish', 'branching_conv_fc']) {
    const { quality } = await compile(name, {
      model: fixture(`tflite-single-op/${name}.tflite`),
      data: undefined,
      calibrationData: undefined,
      target: 'litert',
    })
    assert.ok(quality.sqnrDb > 20, `${name}: ${quality.sqnrDb} dB`)
  }
})
