import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { compileModel } from '../../../src/compile/compile.ts'
import { executeGraph, modelFileOf } from '../../../src/compile/execute-graph.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import { openSource } from '../../../src/compile/source.ts'
import { randomTensor } from '../../../src/execute/random.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { findRescaling, rescale } from '../../../src/passes/rescale-channels.ts'
import { silentProgress } from '../../../src/progress.ts'
import { repositoryRoot } from '../../fixtures.ts'
import { withOutlierChannels } from '../../models/outlier-channels.ts'

const transformer = join(repositoryRoot, 'test', 'models', 'mnist-vit.onnx')
const digits = join(repositoryRoot, 'examples', 'mnist')
let folder: string
let outliers: string
let source: Graph

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-smooth-quant-'))
  source = (await openSource({ model: transformer, shapes: {} }, silentProgress())).original
  outliers = join(folder, 'outliers.onnx')
  await writeFile(outliers, modelFileOf(withOutlierChannels(source, 100)))
})
after(() => rm(folder, { recursive: true, force: true }))

function compile(model: string, target: string) {
  return compileModel(
    {
      model,
      shapes: {},
      data: join(digits, 'data.yaml'),
      calibrationData: join(digits, 'calibration.yaml'),
      metric: undefined,
      recipe: parseRecipe({ calibration: { method: 'min-max' }, evaluationSamples: 100 }, 'test'),
      profile: 'raspberry-pi-5',
      target,
      out: join(folder, `${target}-${model === outliers}`),
    },
    silentProgress(),
  )
}

test('outlier channels do not change the float network', async () => {
  const difference = await largestDifference(source, withOutlierChannels(source, 100))
  assert.ok(difference < 1e-5, `${difference} of the largest score`)
})

test('rescaling every block of a transformer keeps its function', async () => {
  const { graph } = await openSource({ model: transformer, shapes: {} }, silentProgress())
  const norms = graph.nodes.filter(({ op }) => op.kind === 'LayerNormalization')
  assert.equal(norms.length, 7)
  const changes = norms.map(({ outputs }) => {
    const rescaling = findRescaling(graph, outputs[0]!, 2)
    assert.ok(typeof rescaling !== 'string', String(rescaling))
    return { rescaling, factors: Array.from({ length: 48 }, (_, channel) => 3 ** ((channel % 7) - 3)) }
  })
  const readers = changes.map(({ rescaling }) => rescaling.readers.length).sort()
  assert.deepEqual(readers, [1, 1, 1, 1, 3, 3, 3])
  const difference = await largestDifference(graph, rescale(graph, changes))
  assert.ok(difference < 1e-5, `${difference} of the largest score`)
})

for (const target of ['onnxruntime', 'litert']) {
  test(`outlier channels of a transformer drown its int8 form, SmoothQuant brings it back: ${target}`, async () => {
    const { candidates, quality } = await compile(outliers, target)
    const ranges = candidates.find(({ step, kept }) => step === 'ranges' && kept)!
    const smoothed = candidates.find(({ step, kept }) => step === 'SmoothQuant' && kept)!
    assert.ok(ranges.sqnrDb! < 5, `${ranges.sqnrDb} dB`)
    assert.ok(smoothed.sqnrDb! > 25, `${smoothed.sqnrDb} dB`)
    assert.ok(quality.sqnrDb > 25 && quality.agreement! > 0.98, `${quality.sqnrDb} dB, ${quality.agreement}`)
    // six normalizations that have outliers, of ten places where factors could go
    assert.match(smoothed.name, /^SmoothQuant of [67] of 10 blocks/)
  })

  test(`a transformer without outliers is left as it is: ${target}`, async () => {
    const { candidates, declined, quality } = await compile(transformer, target)
    assert.ok(!candidates.some(({ step }) => step === 'SmoothQuant'))
    assert.match(declined.find(({ step }) => step === 'SmoothQuant')!.reason, /any of 10 blocks 2 dB better/)
    assert.ok(quality.sqnrDb > 25, `${quality.sqnrDb} dB`)
  })
}

test('a network without normalizations declines', async () => {
  const { declined } = await compile(join(digits, 'mnist.onnx'), 'onnxruntime')
  assert.match(declined.find(({ step }) => step === 'SmoothQuant')!.reason, /^no int8 product/)
})

/** On three random pictures, in parts of the largest score. */
async function largestDifference(a: Graph, b: Graph): Promise<number> {
  const [one, other] = [await executeGraph(a), await executeGraph(b)]
  let worst = 0
  for (const seed of [1, 2, 3]) {
    const feeds = new Map(a.inputs.map((name) => [name, randomTensor(a.values.get(name)!.type, seed)]))
    const [expected, found] = [await one.run(feeds), await other.run(feeds)].map(
      (results) => results.get('logits')!.data as Float32Array,
    ) as [Float32Array, Float32Array]
    const largest = Math.max(...expected.map(Math.abs))
    expected.forEach((x, i) => {
      worst = Math.max(worst, Math.abs(x - found[i]!) / largest)
    })
  }
  await one.close()
  await other.close()
  return worst
}
