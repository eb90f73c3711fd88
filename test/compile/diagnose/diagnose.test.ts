import assert from 'node:assert/strict'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chooseBoard } from '../../../src/compile/board.ts'
import { chooseCandidate } from '../../../src/compile/candidates.ts'
import { compileModel, prepareCompile } from '../../../src/compile/compile.ts'
import { type DiagnoseRequest, diagnoseModel } from '../../../src/compile/diagnose/diagnose.ts'
import { gather } from '../../../src/compile/diagnose/gather.ts'
import { remakingOf } from '../../../src/compile/diagnose/subject.ts'
import { parseRecipe, type RecipeInput } from '../../../src/compile/recipe.ts'
import { RetainedSamples } from '../../../src/compile/retained-samples.ts'
import { EdgewrightError } from '../../../src/error.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { numbersOf } from '../../../src/graph/constant.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import { dequantizedNumbers } from '../../../src/quantize/weighted-layer.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { convOp, SmallGraph } from '../../targets/small-graphs.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-diagnose-'))
})
after(() => rm(folder, { recursive: true, force: true }))

let files = 0
async function request(
  graph: Graph | string,
  target: string,
  recipe: RecipeInput = {},
  changes: Partial<DiagnoseRequest> = {},
): Promise<DiagnoseRequest> {
  let model = graph
  if (typeof model !== 'string') {
    model = join(folder, `${files++}.onnx`)
    await writeFile(model, writeOnnx(graph as Graph))
  }
  return {
    model,
    shapes: {},
    data: undefined,
    calibrationData: undefined,
    metric: undefined,
    recipe: parseRecipe({ preset: 'fast', ...recipe }, 'test'),
    profile: 'raspberry-pi-5',
    target,
    limit: 4,
    tries: 0,
    artifact: null,
    ...changes,
  }
}

/** A depthwise convolution whose filters differ 64 times and whose results do not, then an ordinary convolution. */
function spreadNetwork(): Graph {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 4, 12, 12)
  const sizes = [8, 1 / 8, 1 / 8, 1 / 8]
  const scaled = graph.constant(
    [4, 4, 1, 1],
    sizes.flatMap((size, row) => sizes.map((_, column) => (row === column ? 1 / size : 0))),
  )
  const before = graph.node(convOp({ pad: 0 }), [x, scaled, null], 'before')
  const taps = [1, 0.3, -0.4, 0.8, -1, 0.6, -0.2, 0.9, 0.5]
  const filters = graph.constant(
    [4, 1, 3, 3],
    sizes.flatMap((size) => taps.map((tap) => tap * size)),
  )
  const depthwise = graph.node(convOp({ group: 4 }), [before, filters, null], 'depthwise')
  const relu = graph.node({ kind: 'Relu' }, [depthwise], 'relu')
  return graph.finish(graph.conv(relu, 4, { kernel: 1 }, 'mix'))
}

for (const target of ['litert', 'onnxruntime'])
  test(`a depthwise convolution with one scale is blamed, what follows it is not, and a gain that was tried is real (${target})`, async () => {
    const perTensor = await request(
      spreadNetwork(),
      target,
      { perChannel: false, calibration: { method: 'min-max' } },
      { tries: 1 },
    )
    const { diagnosis, calibrated } = await diagnoseModel(perTensor, silentProgress())
    assert.equal(calibrated, false)
    const [relu, mix] = ['relu_out', 'mix_out'].map((name) =>
      diagnosis.tensors.find((tensor) => tensor.name.startsWith(name)),
    )
    assert.equal(relu!.operator, 'Conv + Relu')
    assert.ok(relu!.ownDb! < 25, `${relu!.ownDb}`)
    assert.equal(relu!.causes[0]!.kind, 'weight-spread')
    assert.ok(mix!.ownDb! > 30 && mix!.sqnrDb! < 25, `${mix!.ownDb} ${mix!.sqnrDb}`)
    assert.deepEqual(
      mix!.causes.map(({ kind }) => kind),
      ['accumulated'],
    )
    assert.match(mix!.causes[0]!.sentence, new RegExp(`most of all from ${relu!.name} `))

    const [remedy] = relu!.causes[0]!.remedies
    assert.equal(remedy!.option, '--per-channel')
    const recipe = parseRecipe({ ...perTensor.recipe, perChannel: true }, 'test')
    const other = await diagnoseModel({ ...perTensor, tries: 0, recipe }, silentProgress())
    const gainDb = other.diagnosis.sqnrDb! - diagnosis.sqnrDb!
    assert.ok(gainDb > 1, `${gainDb}`)
    assert.ok(Math.abs(remedy!.gainDb! - gainDb) < 1e-9, `${remedy!.gainDb} is not ${gainDb}`)
  })

test('where there is nothing to try, that is said', async () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 4, 8, 8)
  const progress = silentProgress()
  const asked = await request(graph.finish(graph.conv(x, 4)), 'onnxruntime', {}, { tries: 1 })
  const { diagnosis } = await diagnoseModel(asked, progress)
  const options = diagnosis.tensors.flatMap(({ causes }) => causes.flatMap(({ remedies }) => remedies))
  assert.deepEqual(
    options.filter(({ option }) => option !== null),
    [],
  )
  assert.match(
    progress.warnings.find(({ code }) => code === 'NOTHING_TO_TRY')?.message ?? '',
    /would help the worst tensor/,
  )
})

test('own error is exactly what rounded weights do to the stored operand', async () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 8)
  const w = graph.weights([5, 8])
  const op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true } as const
  const model = graph.finish(graph.node(op, [x, w, null], 'product'))
  const asked = await request(model, 'onnxruntime')
  const progress = silentProgress()
  const board = chooseBoard(asked, progress)
  const prepared = await prepareCompile(asked, progress)
  const { made } = await chooseCandidate(prepared, board, progress)
  const samples = new RetainedSamples(prepared.samples.evaluation, progress.signal, 4)
  const gathered = await gather(made, board, samples, progress)
  const input = gathered.find(({ name }) => name === 'x')!
  const product = gathered.find(({ name }) => name.startsWith('product'))!
  assert.equal(product.stored, null, 'float comes out of the kernel')
  const node = made.typed.graph.nodes.find(({ name }) => name === 'product')!
  const stored = made.typed.graph.values.get(node.inputs[1]!)!
  const rounded = dequantizedNumbers(stored.constant!, stored.type.quantization!)
  const floats = numbersOf(
    made.trial.graph.values.get(made.trial.graph.nodes.find(({ name }) => name === 'product')!.inputs[1]!)!
      .constant!,
  )
  const { scale, zeroPoint } = input.stored!
  const [low, high] = input.stored!.dtype === 'int8' ? [-128, 127] : [0, 255]
  let [signal, noise] = [0, 0]
  for await (const sample of samples) {
    const reals = sample.inputs.get('x')!.data as Float32Array
    const kept = Array.from(
      reals,
      (real) => (Math.min(high!, Math.max(low!, Math.round(real / scale) + zeroPoint)) - zeroPoint) * scale,
    )
    for (let row = 0; row < 5; row++) {
      const dot = (matrix: readonly number[]) =>
        kept.reduce((sum, value, i) => sum + value * matrix[row * 8 + i]!, 0)
      signal += dot(floats) ** 2
      noise += (dot(rounded) - dot(floats)) ** 2
    }
  }
  await prepared.close()
  assert.ok(Math.abs(product.meter.own.db - 10 * Math.log10(signal / noise)) < 0.01)
  assert.ok(product.meter.whole.db < product.meter.own.db, 'the operand was rounded too')
})

test('tensors gone through in groups give the same sums as all at once', async () => {
  const asked = await request(join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx'), 'litert')
  const progress = silentProgress()
  const board = chooseBoard(asked, progress)
  const prepared = await prepareCompile(asked, progress)
  const { made } = await chooseCandidate(prepared, board, progress)
  const samples = new RetainedSamples(prepared.samples.evaluation, progress.signal, 2)
  const figures = async (elements?: number) =>
    (await gather(made, board, samples, progress, elements)).map(({ name, meter }) => [
      name,
      meter.whole.db,
      meter.own.db,
      meter.storage.db,
      meter.histogram.count,
    ])
  const whole = await figures()
  assert.ok(whole.length >= 8)
  assert.deepEqual(await figures(5_000), whole)
  await prepared.close()
})

test('scores beside boxes in one integer concatenation are found, on the branch and on the whole; branches that are parted are not', async () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const wide = graph.node(convOp({ pad: 0 }), [x, graph.weights([4, 3, 1, 1], 300), null], 'boxes')
  const narrow = graph.node(convOp({ pad: 0 }), [x, graph.weights([2, 3, 1, 1], 0.3), null], 'scores')
  const model = graph.finish(graph.node({ kind: 'Concat', axis: 1 }, [wide, narrow], 'join'))
  const hurtBy = async (io: 'int8' | 'float') =>
    (
      await diagnoseModel(await request(model, 'onnxruntime', { io }), silentProgress())
    ).diagnosis.tensors.filter(({ causes }) => causes.some(({ kind }) => kind === 'concat-mismatch'))
  const hurt = await hurtBy('int8')
  assert.deepEqual(
    hurt.map(({ name }) => name),
    ['scores_out', 'join_out'],
  )
  const [scores, join] = hurt
  assert.match(scores!.causes[0]!.sentence, /^One scale for branches whose ranges differ .* scores_out/)
  assert.equal(scores!.causes[0]!.remedies[0]!.option, '--io float')
  assert.ok(scores!.ownDb! < 10, `${scores!.ownDb}`)
  assert.ok(join!.sqnrDb! > 30, 'the whole looks fine')
  assert.deepEqual(await hurtBy('float'), [])
})

for (const scheme of ['dynamic', 'weight-only', 'float16'] as const)
  test(`a network that keeps activations real is diagnosed too: ${scheme}`, async () => {
    const { diagnosis } = await diagnoseModel(
      await request(join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx'), 'onnxruntime', { scheme }),
      silentProgress(),
    )
    assert.ok(diagnosis.tensors.length >= 8)
    assert.ok(diagnosis.tensors.every(({ dtype }) => dtype === null))
    assert.ok(diagnosis.tensors.some(({ ownDb }) => ownDb !== null && ownDb > 20))
  })

test('scheme float has nothing to diagnose', async () => {
  await assert.rejects(
    diagnoseModel(
      await request(join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx'), 'litert', { scheme: 'float' }),
      silentProgress(),
    ),
    (error) => error instanceof EdgewrightError && error.code === 'USAGE',
  )
})

test('a model that is quantized already is refused: there is no float to compare with', {
  skip: fixturesMissing,
}, async () => {
  await assert.rejects(
    diagnoseModel(await request(fixture('mlperf-tiny/kws_dscnn_int8.tflite'), 'litert'), silentProgress()),
    (error) => error instanceof EdgewrightError && /quantized already/.test(error.message),
  )
})

test('an artifact is made again of its model, and what differs is said', async () => {
  const model = join(folder, 'digits.onnx')
  await copyFile(join(repositoryRoot, 'examples', 'mnist', 'mnist.onnx'), model)
  const made = join(folder, 'digits-artifact')
  const recipe = { preset: 'fast', perChannel: false } as const
  const plain = await request(model, 'litert', recipe)
  await compileModel({ ...plain, out: made }, silentProgress())
  const remaking = (await remakingOf(made))!
  assert.deepEqual([remaking.model, remaking.profile, remaking.target], [model, 'raspberry-pi-5', 'litert'])
  const asked = { ...plain, recipe: parseRecipe(remaking.recipe, 'test'), artifact: remaking.artifact }
  assert.equal(asked.recipe.perChannel, false)
  const same = silentProgress()
  await diagnoseModel(asked, same)
  assert.ok(!same.warnings.some(({ code }) => code === 'ARTIFACT_REMADE'))
  const other = silentProgress()
  await diagnoseModel({ ...asked, recipe: { ...asked.recipe, perChannel: true } }, other)
  assert.ok(other.warnings.some(({ code }) => code === 'ARTIFACT_REMADE'))
  assert.equal(await remakingOf(model), null, 'a model is no artifact')

  await writeFile(model, writeOnnx(spreadNetwork()))
  await assert.rejects(
    diagnoseModel(asked, silentProgress()),
    (error) =>
      error instanceof EdgewrightError &&
      error.code === 'ARTIFACT_INVALID' &&
      /has changed/.test(error.message),
  )
  await rm(model)
  await assert.rejects(
    remakingOf(made),
    (error) => error instanceof EdgewrightError && error.code === 'MODEL_NOT_FOUND',
  )
})

test('MobileNetV1 with one weight scale: its first depthwise convolutions are the worst, and why', {
  skip: fixturesMissing,
}, async () => {
  const { diagnosis } = await diagnoseModel(
    await request(
      fixture('imagenet/mobilenet_v1_0.25_224_float.tflite'),
      'litert',
      {
        perChannel: false,
        calibration: { samples: 8 },
        preprocessing: { scale: 1 / 127.5, mean: [1], std: [1] },
      },
      { data: fixture('imagenet/calib256'), tries: 1 },
    ),
    silentProgress(),
  )
  const worst = [...diagnosis.tensors].sort((a, b) => (a.ownDb ?? 999) - (b.ownDb ?? 999)).slice(0, 2)
  assert.deepEqual(worst.map(({ name }) => name.split('/').at(-2)).sort(), [
    'Conv2d_1_depthwise',
    'Conv2d_2_depthwise',
  ])
  for (const { causes, ownDb } of worst) {
    assert.ok(ownDb! < 20, `${ownDb}`)
    assert.equal(causes[0]!.kind, 'weight-spread')
    assert.match(causes[0]!.sentence, /of a depthwise convolution/)
  }
  const remedy = worst[0]!.causes[0]!.remedies[0]!
  assert.equal(remedy.option, '--per-channel')
  assert.ok(remedy.gainDb! > 5, `${remedy.gainDb} dB`)
})
