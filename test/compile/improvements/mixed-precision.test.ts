import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { chooseBoard } from '../../../src/compile/board.ts'
import { compileModel, type CompileRequest } from '../../../src/compile/compile.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { OutputNoise } from '../../../src/compile/output-noise.ts'
import { parseRecipe, type RecipeInput } from '../../../src/compile/recipe.ts'
import { RetainedSamples } from '../../../src/compile/retained-samples.ts'
import { openSamples } from '../../../src/compile/samples.ts'
import { inFloat, type Sensitivity, sensitivities, withRanges } from '../../../src/compile/sensitivity.ts'
import { openSource } from '../../../src/compile/source.ts'
import { makeTrial, type Trial } from '../../../src/compile/trial.ts'
import { EdgewrightError } from '../../../src/error.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { float32Constant, numbersOf } from '../../../src/graph/constant.ts'
import { GraphEditor } from '../../../src/graph/edit.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'

const digits = join(repositoryRoot, 'examples', 'mnist')
let folder: string
let digitsGraph: Graph
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-mixed-'))
  digitsGraph = (await openSource({ model: join(digits, 'mnist.onnx'), shapes: {} }, silentProgress())).graph
})
after(() => rm(folder, { recursive: true, force: true }))

function request(name: string, model: string, recipe: RecipeInput, change: Partial<CompileRequest> = {}) {
  return {
    model,
    shapes: {},
    data: join(digits, 'data.yaml'),
    calibrationData: join(digits, 'calibration.yaml'),
    metric: undefined,
    recipe: parseRecipe({ preset: 'fast', evaluationSamples: 300, ...recipe }, 'test'),
    profile: 'raspberry-pi-5',
    target: 'litert',
    out: join(folder, name),
    ...change,
  } satisfies CompileRequest
}

type Change = (x: number, element: number, shape: readonly number[]) => number

/** The network with other numbers in some of its constants. */
async function changed(name: string, changes: Record<string, Change>): Promise<string> {
  const editor = new GraphEditor(digitsGraph)
  for (const node of editor.nodes) {
    const inputs = node.inputs.map((input) => {
      const change = changes[input ?? '']
      if (!change) return input
      const constant = editor.value(input!).constant!
      const numbers = numbersOf(constant).map((x, element) => change(x, element, constant.shape))
      return editor.addConstant(`${input}_changed`, float32Constant(constant.shape, numbers))
    })
    if (inputs.some((input, i) => input !== node.inputs[i])) editor.updateNode(node, { inputs })
  }
  const path = join(folder, `${name}.onnx`)
  await writeFile(path, writeOnnx(editor.finish()))
  return path
}

const unit = 11
const inUnit = (change: (x: number) => number): Change => {
  return (x, element, shape) => (Math.floor(element / (shape[1] ?? 1)) === unit ? change(x) : x)
}

/** A hidden unit that a Relu always stops has weights so large that one scale for the layer leaves the others nothing. */
function outlierWeights() {
  const stopped = inUnit((x) => -400 * Math.abs(x))
  return changed('outlier-weights', { 'dense1.weight': stopped, 'dense1.bias': stopped })
}

/** The same function as before, with one hidden unit 2,000 times as large as it was. */
function outlierUnit() {
  const larger = inUnit((x) => 2000 * x)
  return changed('outlier-unit', {
    'dense1.weight': larger,
    'dense1.bias': larger,
    'dense2.weight': (x, element, shape) => (element % shape[1]! === unit ? x / 2000 : x),
  })
}

/** The same function as before, with one channel between the convolutions 100,000 times as large. */
function outlierChannel() {
  return changed('outlier-channel', {
    'conv1.weight_folded': (x, element) => (element < 9 ? 1e5 * x : x),
    '/conv1/Conv_output_0_bias_folded': (x, element) => (element === 0 ? 1e5 * x : x),
    'conv2.weight_folded': (x, element) => (Math.floor(element / 9) % 32 === 0 ? x / 1e5 : x),
  })
}

/** Which layers are in float, by the decisions of the compile. */
function layersInFloat(decisions: readonly { where: string; reason: string }[]): string[] {
  return decisions
    .filter(({ where, reason }) => /accuracy limit/.test(reason) && !/Relu/.test(where))
    .map(({ where }) => /conv\d|dense\d/.exec(where)?.[0] ?? where)
}

for (const target of ['litert', 'onnxruntime'])
  describe(target, () => {
    test('the layer that one scale ruins is the first to be kept in float, and the only one', async () => {
      const model = await outlierWeights()
      const recipe = { perChannel: false, maxDrop: 0.02 }
      const compiled = await compileModel(
        request(`${target}-weights`, model, recipe, { target }),
        silentProgress(),
      )
      assert.deepEqual(layersInFloat(compiled.decisions), ['dense1'])
      const [mixed] = compiled.candidates.filter(({ step }) => step === 'mixed precision')
      assert.ok(mixed!.kept)
      // dense1 has 64 · 1568 of 2,133,632 multiply-accumulates; its weights grow from one byte to four
      assert.match(mixed!.name, /4\.7 % of the multiply-accumulates, \+30\d\.\d kB, \+[12] conversions/)
      const { float, compiled: reached } = compiled.quality
      assert.ok(float! - reached! <= 0.02, `${float} beside ${reached}`)
    })

    test('an outlier between two layers keeps both of them in float: one alone shows nothing', async () => {
      const model = await outlierUnit()
      const without = await compileModel(
        request(`${target}-unit-int8`, model, {}, { target }),
        silentProgress(),
      )
      assert.ok(without.quality.compiled! < without.quality.float! - 0.02)
      const compiled = await compileModel(
        request(`${target}-unit`, model, { maxDrop: 0.02 }, { target }),
        silentProgress(),
      )
      const { quality, decisions } = compiled
      assert.ok(quality.float! - quality.compiled! <= 0.02)
      const layers = layersInFloat(decisions).sort()
      // ONNX Runtime's product gives reals where its reader takes them: then it need not be in float itself
      const fewer = target === 'onnxruntime' && layers.length === 1
      assert.deepEqual(layers, fewer ? ['dense2'] : ['dense1', 'dense2'])
    })

    test('groups are ranked by the noise that each makes alone', async () => {
      const { found } = await measured({ model: await outlierUnit(), target })
      const noiseOf = (name: string) =>
        found.find(({ nodes }) => nodes.some((node) => node.name.includes(name)))!.noise
      for (const layer of ['conv1', 'conv2'])
        assert.ok(noiseOf('dense2') > 20 * noiseOf(layer) && noiseOf(layer) > 0)
      assert.equal(
        Math.max(...found.map(({ noise }) => noise)),
        Math.max(noiseOf('dense1'), noiseOf('dense2')),
      )
    })
  })

test('a network within its limit stays as it is, byte for byte', async () => {
  const model = join(digits, 'mnist.onnx')
  const [plain, limited] = [
    await compileModel(request('plain', model, {}), silentProgress()),
    await compileModel(request('limited', model, { maxDrop: 0.03 }), silentProgress()),
  ]
  const digest = ({ manifest }: typeof plain) =>
    manifest.files.find(({ path }) => path === manifest.model)!.sha256
  assert.equal(digest(plain), digest(limited))
  const declined = limited.declined.find(({ step }) => step === 'mixed precision')
  assert.match(declined!.reason, /^within the limit: it loses \d(\.\d+)? % \(top-1, \d+ samples\)$/)
})

test('a limit that would need most of the network in float fails and writes nothing', async () => {
  // what ruins conv2 is 85 % of the multiply-accumulates
  const model = await outlierChannel()
  await assert.rejects(compileModel(request('most', model, { maxDrop: 0.02 }), silentProgress()), (error) => {
    assert.ok(error instanceof EdgewrightError)
    assert.equal(error.code, 'ACCURACY_LIMIT')
    assert.equal(error.exitCode, 10)
    assert.match(error.message, /limit of 2 %/)
    assert.match(error.saw!, /loses \d+(\.\d+)? % \(top-1, 75 samples\); mixed precision: /)
    assert.match(error.hint!, /--scheme int16x8/)
    return true
  })
  assert.ok(!existsSync(join(folder, 'most')))
})

test('on an accelerator without float no operator is taken from it', async () => {
  const model = await outlierUnit()
  const coral = { profile: 'raspberry-pi-5+coral-usb', target: 'edgetpu' }
  await assert.rejects(
    compileModel(request('coral', model, { maxDrop: 0.01 }, coral), silentProgress()),
    (error) => {
      assert.ok(error instanceof EdgewrightError)
      assert.equal(error.code, 'ACCURACY_LIMIT')
      assert.match(error.saw!, /mixed precision: the accelerator computes on integers only/)
      return true
    },
  )
})

test('a limit below what the held-out samples resolve is told, and none of them may be lost', async () => {
  const progress = silentProgress()
  await compileModel(request('coarse', join(digits, 'mnist.onnx'), { maxDrop: 0.002 }), progress)
  const warning = progress.warnings.find(({ code }) => code === 'ACCURACY_LIMIT_COARSE')
  assert.match(warning!.message, /75 held-out samples cannot resolve a drop of 0\.2 %/)
  assert.match(warning!.hint, /500 or more/)
})

test('a scheme without integer activations is held to the limit too', async () => {
  const model = await outlierWeights()
  const kept = await compileModel(
    request('weight-only', model, { scheme: 'weight-only', maxDrop: 0.02 }),
    silentProgress(),
  )
  assert.ok(kept.quality.float! - kept.quality.compiled! <= 0.02)
  await assert.rejects(
    compileModel(
      request('one-scale', model, { scheme: 'weight-only', perChannel: false, maxDrop: 0.02 }),
      silentProgress(),
    ),
    { code: 'ACCURACY_LIMIT' },
  )
})

test('an interruption while groups are measured ends the compile', async () => {
  const controller = new AbortController()
  const progress = silentProgress(controller.signal)
  let measured = 0
  const interrupted = {
    ...progress,
    tick(_done: number, _total: number, unit: string) {
      if (unit === 'groups' && ++measured === 2) controller.abort()
    },
  }
  const model = await outlierUnit()
  await assert.rejects(compileModel(request('interrupted', model, { maxDrop: 0.01 }), interrupted), {
    code: 'INTERRUPTED',
  })
  assert.equal(measured, 2)
})

describe('a limit that nothing can judge is refused before the work', () => {
  test('random inputs', async () => {
    const without = { data: undefined, calibrationData: undefined }
    await assert.rejects(
      compileModel(
        request('random', join(digits, 'mnist.onnx'), { maxDrop: 0.01 }, without),
        silentProgress(),
      ),
      { code: 'RECIPE_INVALID', saw: 'random inputs' },
    )
  })

  test('an autoencoder without a metric', async () => {
    const small = new SmallGraph()
    const hidden = small.node({ kind: 'MatMul' }, [small.input('x', 1, 6), small.weights([6, 4])])
    const model = join(folder, 'autoencoder.onnx')
    await writeFile(
      model,
      writeOnnx(small.finish(small.node({ kind: 'MatMul' }, [hidden, small.weights([4, 6])]))),
    )
    const data = join(folder, 'x.npy')
    await writeFile(data, npy(40, 6))
    await assert.rejects(
      compileModel(
        request('autoencoder', model, { maxDrop: 0.01 }, { data, calibrationData: undefined }),
        silentProgress(),
      ),
      (error) => {
        assert.ok(error instanceof EdgewrightError)
        assert.equal(error.code, 'RECIPE_INVALID')
        assert.match(error.saw!, /no labels for top-1/)
        assert.match(error.hint!, /--metric/)
        return true
      },
    )
  })
})

test('MobileNetV1 with one scale a layer: of 29 groups two depthwise layers make most of the noise', {
  skip: fixturesMissing,
}, async () => {
  const { found, noiseInFloat } = await measured({
    model: fixture('imagenet/mobilenet_v1_0.25_224_float.tflite'),
    data: fixture('imagenet/tune256'),
    recipe: {
      perChannel: false,
      preprocessing: { resize: 224, antialias: false, mean: 127.5, std: 127.5, scale: 1 },
    },
    samples: 10,
  })
  assert.equal(found.length, 29)
  const worst = [...found].sort((a, b) => b.noise - a.noise).slice(0, 2)
  assert.deepEqual(worst.map(({ nodes }) => /Conv2d_\d+_depthwise/.exec(nodes[0]!.name)![0]).sort(), [
    'Conv2d_1_depthwise',
    'Conv2d_2_depthwise',
  ])
  const macs = (groups: readonly Sensitivity[]) => groups.reduce((sum, group) => sum + group.macs, 0)
  assert.ok(macs(worst) < 0.04 * macs(found))
  const [before, after] = [await noiseInFloat([]), await noiseInFloat(worst)]
  assert.ok(after < before / 5, `noise ${before} before, ${after} after`)
})

/** The groups of a network with weights and activations by MSE, and the noise with some of them in float. */
async function measured({
  model,
  target = 'litert',
  data,
  recipe: written = {},
  samples = 24,
}: {
  readonly model: string
  readonly target?: string
  readonly data?: string
  readonly recipe?: RecipeInput
  readonly samples?: number
}) {
  const progress = silentProgress()
  const { recipe, ...wanted } = request('measured', model, written, {
    target,
    ...(data ? { data, calibrationData: undefined } : {}),
  })
  const source = await openSource(wanted, progress)
  const { calibration } = await openSamples({ ...wanted, recipe }, source, progress)
  const board = chooseBoard({ ...wanted, recipe }, progress)
  const graph = board.target.tailor?.(source.graph, board.options) ?? source.graph
  const retained = new RetainedSamples(calibration, progress.signal, samples)
  const feeds = async function* () {
    for await (const { inputs } of retained) yield inputs
  }
  const trial: Trial = {
    graph,
    ranges: await calibrate(graph, executeGraph, feeds(), board.target.wantedTensors(graph, board.options)),
    activation: { kind: 'mse' },
    weight: 'mse',
    correctBias: true,
    headroom: true,
    rowScales: false,
    keepFloat: [],
    layers: new Map(),
    valueRanges: new Map(),
  }
  const make = (one: Trial) => makeTrial(one, board)
  const context = { board, progress, calibration: retained, make }
  const found = await sensitivities(make(trial), context)
  return {
    found,
    async noiseInFloat(groups: readonly Sensitivity[]): Promise<number> {
      const ranged = await withRanges(trial, groups, context)
      const noise = await OutputNoise.open(graph, context, samples)
      try {
        return await noise.of(
          make(
            inFloat(
              ranged,
              groups.flatMap(({ values }) => values),
            ),
          ),
        )
      } finally {
        await noise.close()
      }
    },
  }
}

/** A file of seeded numbers as numpy writes it. */
function npy(rows: number, columns: number): Uint8Array {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${columns}), }`
  const padded = `${header.padEnd(128 - 10 - 1)}\n`
  const data = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i * 1.7))
  const prefix = Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), Buffer.from([118, 0])])
  return Buffer.concat([prefix, Buffer.from(padded), Buffer.from(data.buffer)])
}
