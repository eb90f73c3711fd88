import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { compileModel, type CompileRequest } from '../../../src/compile/compile.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import { silentProgress } from '../../../src/progress.ts'
import type { Op } from '../../../src/graph/ops.ts'
import { fixture, fixturesMissing, repositoryRoot } from '../../fixtures.ts'
import { randomFeeds } from '../onnxruntime-run.ts'
import { SmallGraph } from '../small-graphs.ts'
import { residualBlocks, transformerBlock } from './networks.ts'
import { checkRules } from './rules.ts'
import { compile as compileGraph, fidelity, options } from './run.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-tensorrt-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function compile(name: string, written: object = {}, change: Partial<CompileRequest> = {}) {
  const progress = silentProgress()
  const compiled = await compileModel(
    {
      model: join(example, 'mnist.onnx'),
      shapes: {},
      data: join(example, 'data.yaml'),
      calibrationData: join(example, 'calibration.yaml'),
      metric: undefined,
      recipe: parseRecipe({ evaluationSamples: 200, ...written }, 'test'),
      profile: 'jetson-orin-nx',
      target: undefined,
      out: join(folder, name),
      ...change,
    },
    progress,
  )
  const read = (file: string) => readFile(join(compiled.folder, file))
  return { ...compiled, warnings: progress.warnings, read }
}

test('an Orin gets int8 with a file for each kind of builder, nothing to push, and accuracy near float', async () => {
  const { manifest, quality, read, candidates, weightBytes } = await compile('orin')
  assert.equal(manifest.target, 'tensorrt')
  assert.deepEqual(manifest.runtimes, [])
  assert.deepEqual(manifest.prepare, {
    kind: 'trtexec',
    precision: 'int8',
    weaklyTyped: { model: 'model.onnx', allow: ['int8', 'fp16'] },
    stronglyTyped: { model: 'model-typed.onnx' },
    dla: null,
    output: 'model.engine',
  })
  assert.deepEqual((await checkRules(await read('model.onnx'))).violations, [])
  assert.deepEqual((await checkRules(await read('model-typed.onnx'), 'float16')).violations, [])
  assert.ok(quality.float! - quality.compiled! <= 0.01)
  assert.ok(quality.sqnrDb > 40, `${quality.sqnrDb} dB`)
  const readme = String(await read('README.md'))
  assert.match(readme, /trtexec --onnx=model\.onnx --int8 --fp16 --saveEngine=model\.engine/)
  assert.match(readme, /trtexec --onnx=model-typed\.onnx --saveEngine=model\.engine/)
  // the search tried what holds here
  for (const step of ['ranges', 'rounding by output error', 'sequential bias correction'])
    assert.ok(
      candidates.some((candidate) => candidate.step === step),
      step,
    )
  // convolutions in int8, dense layers with one row in float16
  assert.ok(weightBytes.compiled < weightBytes.float)
})

test('float16 and float32 stand beside int8, from the same network', async () => {
  const half = await compile('half', { scheme: 'float16' })
  const float = await compile('float', { scheme: 'float' })
  const planOf = ({ manifest }: typeof half) => {
    assert.ok(manifest.prepare && 'kind' in manifest.prepare)
    return manifest.prepare
  }
  assert.equal(planOf(half).precision, 'fp16')
  assert.deepEqual(planOf(half).weaklyTyped.allow, ['fp16'])
  assert.equal(planOf(half).stronglyTyped.model, 'model-typed.onnx')
  assert.equal(planOf(float).precision, 'fp32')
  assert.deepEqual(planOf(float).weaklyTyped.allow, [])
  assert.equal(planOf(float).stronglyTyped.model, 'model.onnx')
  // what float16 rounds shows, and nothing else
  assert.ok(half.quality.sqnrDb > 55 && half.quality.sqnrDb < 90, `${half.quality.sqnrDb} dB`)
  assert.ok(float.quality.sqnrDb > 110, `${float.quality.sqnrDb} dB`)
})

test('a Jetson Nano, whose GPU has no int8, gets float16 and is told why', async () => {
  const { manifest, warnings, quality } = await compile('nano', {}, { profile: 'jetson-nano' })
  assert.equal(manifest.scheme, 'float16')
  assert.ok(manifest.prepare && 'kind' in manifest.prepare && manifest.prepare.precision === 'fp16')
  const refused = warnings.find(({ code }) => code === 'INT8_REFUSED')
  assert.match(refused!.message, /compute capability 5\.3.*makes float16 in the place of full-int8/)
  assert.ok(!/2 GB/.test(refused!.message), 'other constraints do not explain it')
  assert.ok(quality.sqnrDb > 55)
})

test('asked for float16, a Nano says nothing', async () => {
  const { warnings } = await compile('quiet', { scheme: 'float16' }, { profile: 'jetson-nano' })
  assert.deepEqual(
    warnings.filter(({ code }) => code === 'INT8_REFUSED'),
    [],
  )
})

test('an accuracy limit leaves layers in float16 instead of giving up', {
  skip: fixturesMissing,
}, async () => {
  const { candidates, quality, read } = await compile(
    'limit',
    { maxDrop: 0.01, calibration: { method: 'min-max' }, preset: 'fast' },
    {
      model: fixture('mlperf-tiny/ic_resnet8_float.tflite'),
      data: join(repositoryRoot, 'bench/peers/data/cifar10-test.yaml'),
      calibrationData: undefined,
    },
  )
  const mixed = candidates.find(({ step }) => step === 'mixed precision')
  assert.match(mixed!.name, /operators in float/)
  const { int8, violations } = await checkRules(await read('model.onnx'))
  assert.deepEqual(violations, [])
  assert.ok(int8.Conv! > 0 && int8.Conv! < 9, JSON.stringify(int8))
  assert.ok(quality.float! - quality.compiled! < 0.05)
})

test('what TensorRT cannot do is refused with a sentence, before the board sees it', async () => {
  await assert.rejects(compile('io', { io: 'int8' }), { code: 'TARGET_CANNOT_RUN', saw: 'int8' })
  await assert.rejects(
    compile('16', { scheme: 'int16x8' }),
    (error: Error & { hint?: string; code?: string }) => {
      assert.equal(error.code, 'TARGET_CANNOT_RUN')
      assert.match(error.hint ?? '', /no kernels with int16/)
      return true
    },
  )
})

test('a network with scales of another runtime is refused, not written as it is', {
  skip: fixturesMissing,
}, async () => {
  const quantized = {
    model: fixture('mlperf-tiny/kws_dscnn_int8.tflite'),
    data: undefined,
    calibrationData: undefined,
  }
  await assert.rejects(compile('quantized', {}, quantized), {
    code: 'TARGET_CANNOT_RUN',
    message: /already carries scales/,
  })
})

test('an operator that the parser lacks is named with the sentence of its limit', async () => {
  const g = new SmallGraph()
  const crop: Op = {
    ...{ kind: 'Resize', mode: 'linear', sizes: [1, 16, 8, 8], scales: null, roi: [0, 0, 0, 0, 1, 1, 1, 1] },
    ...{ coordinateTransformation: 'tf_crop_and_resize', nearestMode: 'floor', cubicCoefficient: -0.75 },
    ...{ excludeOutside: false, extrapolationValue: 0, antialias: false, layout: 'channels-first' },
  }
  const graph = g.finish(g.node(crop, [g.input('x', 1, 16, 4, 4)], 'crop'))
  await assert.rejects(compileGraph(graph, [randomFeeds(graph, 1)]), {
    code: 'OPERATOR_UNSUPPORTED',
    where: 'crop',
    saw: /ONNX parser of TensorRT knows the operator.*a Resize that crops/,
  })
})

test('a weight that is no number is named with its layer', async () => {
  const g = new SmallGraph()
  const weights = Array.from({ length: 16 * 16 }, (_, i) => (i === 37 ? Number.NaN : 0.1))
  const conv: Op = {
    ...{ kind: 'Conv', group: 1, strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] },
    layout: 'channels-first',
  }
  const x = g.input('x', 1, 16, 4, 4)
  const broken = g.node(conv, [g.conv(x, 16, {}, 'whole'), g.constant([16, 16, 1, 1], weights)], 'broken')
  const graph = g.finish(broken)
  await assert.rejects(compileGraph(graph, [randomFeeds(graph, 1)]), {
    code: 'MODEL_NAN_WEIGHTS',
    where: 'broken',
    saw: /NaN at element 37/,
  })
})

test('channels without a weight and activations that stay 0 get scales that both precisions hold', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 16, 6, 6)
  const dead = g.constant([16, 16, 1, 1], new Array(256).fill(0))
  const conv: Op = {
    ...{ kind: 'Conv', group: 1, strides: [1, 1], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] },
    layout: 'channels-first',
  }
  const zero = g.node({ kind: 'Relu' }, [g.node(conv, [x, dead], 'dead')], 'zero')
  const tiny = g.constant(
    [16, 16, 1, 1],
    Array.from({ length: 256 }, (_, i) => (i % 7) * 1e-7),
  )
  const faint = g.node(conv, [zero, tiny], 'faint')
  const graph = g.finish(g.node({ kind: 'Binary', fn: 'Add' }, [faint, g.conv(x, 16, {}, 'alive')]))
  const { bytes, typed } = await compileGraph(graph, [randomFeeds(graph, 1)])
  assert.deepEqual((await checkRules(bytes)).violations, [])
  assert.deepEqual((await checkRules(typed!, 'float16')).violations, [])
  assert.ok((await fidelity(graph, bytes, [randomFeeds(graph, 5)])) > 30)
})

test('a TensorRT without layer normalization gets it in parts, every one gets Gelu in parts', async () => {
  const graph = transformerBlock()
  const feeds = [randomFeeds(graph, 1), randomFeeds(graph, 2)]
  const opTypes = async (newestTensorRt: string | null) => {
    const accelerator = { computeCapability: '7.2', dlaCores: 2, newestTensorRt }
    const { bytes } = await compileGraph(graph, feeds, { ...options, accelerator })
    const { nodes, opset, violations } = await checkRules(bytes)
    assert.deepEqual(violations, [])
    assert.ok((await fidelity(graph, bytes, feeds)) > 20)
    return { names: new Set(nodes.map(({ opType }) => opType)), opset }
  }
  const old = await opTypes('8.5')
  assert.ok(!old.names.has('LayerNormalization') && old.names.has('ReduceMean') && old.names.has('Erf'))
  assert.equal(old.opset, 13)
  const recent = await opTypes(null)
  assert.ok(recent.names.has('LayerNormalization') && !recent.names.has('Gelu'))
  assert.equal(recent.opset, 17)
})

test('same network, same samples: same bytes', async () => {
  const graph = residualBlocks()
  const feeds = [randomFeeds(graph, 1)]
  const [a, b] = [await compileGraph(graph, feeds), await compileGraph(graph, feeds)]
  assert.deepEqual(a.bytes, b.bytes)
  assert.deepEqual(a.typed, b.typed)
})
