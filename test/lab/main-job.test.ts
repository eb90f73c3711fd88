import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { mcnemarTest } from '../../src/data/significance.ts'
import { silentProgress } from '../../src/progress.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { prepareCompile, compileFor } from '../../src/compile/compile.ts'
import { chooseBoard } from '../../src/compile/board.ts'
import { noQuestions } from '../../src/run/open-device.ts'
import { runMainJob } from '../../src/run/run.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { type Board, startBoard } from './board.ts'
import { labMissing } from './requirements.ts'

/** What the first issue asks of real networks on a real ARM userland. */
describe('networks that someone else trained, on the emulated board', {
  skip: fixturesMissing || labMissing(),
  timeout: 900_000,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'edgewright-main-job-'))
  let board: Board
  before(async () => {
    board = await startBoard({ model: 'raspberry-pi-5' })
  })
  after(async () => {
    await board?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function run(model: string, data: string | undefined) {
    const { document } = await runMainJob(
      {
        model: fixture(model),
        shapes: {},
        data,
        calibrationData: undefined,
        metric: undefined,
        recipe: parseRecipe({}, 'test'),
        schemes: ['full-int8'],
        edgetpuCompiler: undefined,
        devices: [{ device: board.spec, profile: undefined, target: undefined, optional: false }],
        threads: [1],
        affinity: [],
        rateHz: 0,
        preset: 'quick',
        report: undefined,
        budgets: [],
        connection: {
          ...noQuestions,
          identity: board.identityFile,
          hostKey: board.hostKeyFingerprint,
          knownHosts: board.knownHostsFile,
        },
        store: join(folder, 'store'),
      },
      silentProgress(),
    )
    const [result] = document.results
    assert.equal(result!.status, 'ok', JSON.stringify(result!.error))
    assert.equal(result!.profile, 'raspberry-pi-5')
    assert.match(result!.conditions!.emulated!, /QEMU/)
    return result!
  }

  function describeData(name: string, yaml: string): string {
    const path = join(folder, `${name}.yaml`)
    writeFileSync(path, yaml)
    return path
  }

  const keywords = () =>
    describeData(
      'kws',
      `files:
  binary: { path: ${fixture('data/kws01_x_int8.bin')}, dtype: int8, shape: [49, 10, 1] }
preprocess:
  dequantize: { scale: 0.58470291, zeroPoint: 83 }
labels: { csv: ${fixture('data/kws01_labels.csv')}, columns: [file, classes, label], label: label }
`,
    )

  const digits = () =>
    describeData(
      'digits',
      `files: { idx: ${fixture('data/mnist_images.idx3-ubyte')} }
labels: { idx: ${fixture('data/mnist_labels.idx1-ubyte')} }
preprocess: { scale: 1 }
`,
    )

  for (const [name, model, data] of [
    ['keyword spotting (DS-CNN)', 'mlperf-tiny/kws_dscnn_float.onnx', keywords],
    ['digits (CNTK)', 'mnist/mnist_cntk.onnx', digits],
  ] as const)
    test(`${name}: accuracy, size and parity hold`, async () => {
      const { accuracy, parity, size } = await run(model, data())
      assert.ok(accuracy!.drop! <= 0.006, `int8 loses ${accuracy!.drop}`)
      assert.ok(accuracy!.sqnrDb! >= 25, `${accuracy!.sqnrDb} dB`)
      assert.ok(size!.int8Bytes / size!.floatBytes <= 0.5, `file ${size!.int8Bytes / size!.floatBytes}`)
      assert.ok(Math.abs(size!.int8WeightBytes! / size!.floatWeightBytes! - 0.25) < 0.001)
      assert.equal(parity!.ok, true, parity!.firstDivergence)
      assert.ok(parity!.maxSteps <= 1)
    })

  test('a network that is wholly int8 gives the same bits on board and host', async () => {
    const { document } = await runMainJob(
      {
        model: fixture('mnist/mnist_cntk.onnx'),
        shapes: {},
        data: digits(),
        calibrationData: undefined,
        metric: undefined,
        recipe: parseRecipe({ io: 'int8', calibration: { method: 'min-max' } }, 'test'),
        schemes: ['full-int8'],
        edgetpuCompiler: undefined,
        devices: [{ device: board.spec, profile: undefined, target: undefined, optional: false }],
        threads: [1],
        affinity: [],
        rateHz: 0,
        preset: 'quick',
        report: undefined,
        budgets: [],
        connection: {
          ...noQuestions,
          identity: board.identityFile,
          hostKey: board.hostKeyFingerprint,
          knownHosts: board.knownHostsFile,
        },
        store: join(folder, 'store'),
      },
      silentProgress(),
    )
    const { parity } = document.results[0]!
    assert.equal(parity!.tolerance, 0)
    assert.equal(parity!.identicalShare, 1)
    assert.equal(parity!.ok, true)
  })

  for (const name of ['light_squeezenet', 'light_shufflenet'])
    test(`${name} is read, compiled and run`, async () => {
      const { parity, calibrated } = await run(`onnx/light/${name}.onnx`, undefined)
      assert.equal(parity!.ok, true, parity!.firstDivergence)
      assert.equal(calibrated, false)
    })

  test('the 500 keyword inputs: int8 is not below float by more than 0.6 points', async () => {
    const progress = silentProgress()
    const recipe = parseRecipe({ evaluationSamples: 500 }, 'test')
    const data = keywords()
    const prepared = await prepareCompile(
      {
        model: fixture('mlperf-tiny/kws_dscnn_float.onnx'),
        shapes: {},
        data,
        calibrationData: data,
        metric: undefined,
        recipe,
      },
      progress,
    )
    try {
      const compiled = await compileFor(
        prepared,
        chooseBoard({ profile: 'raspberry-pi-5', target: undefined, recipe }, progress),
        join(folder, 'kws'),
        progress,
      )
      const { quality } = compiled
      assert.equal(quality.samples, 500)
      assert.ok(
        quality.float! - quality.compiled! <= 0.006,
        `float ${quality.float}, int8 ${quality.compiled}`,
      )
      assert.ok(mcnemarTest(quality.floatRight, quality.compiledRight).pValue > 0.05)
      assert.ok(statSync(join(folder, 'kws', 'model.onnx')).size <= 0.5 * 103_271)
    } finally {
      await prepared.close()
    }
  })
})
