import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { chooseBoard } from '../../../src/compile/board.ts'
import { executeGraph } from '../../../src/compile/execute-graph.ts'
import { classRanges } from '../../../src/compile/improvements/class-ranges.ts'
import type { ImprovementContext } from '../../../src/compile/improvements/improvement.ts'
import { OutputNoise } from '../../../src/compile/output-noise.ts'
import { parseRecipe } from '../../../src/compile/recipe.ts'
import { RetainedSamples } from '../../../src/compile/retained-samples.ts'
import { openSamples } from '../../../src/compile/samples.ts'
import { openSource } from '../../../src/compile/source.ts'
import { makeTrial, type Trial } from '../../../src/compile/trial.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import { float32Constant } from '../../../src/graph/constant.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { silentProgress } from '../../../src/progress.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import type { ActivationRangeMethod } from '../../../src/quantize/ranges.ts'
import { repositoryRoot } from '../../fixtures.ts'
import { SmallGraph } from '../../targets/small-graphs.ts'

const digits = join(repositoryRoot, 'examples', 'mnist')
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-class-ranges-'))
})
after(() => rm(folder, { recursive: true, force: true }))

/**
 * Digits → 32 sums of their pixels, one of them large and rare → what that one alone decides beside the others. The
 * rare elements carry the outputs: to clip them ruins these, though the tensor's own error hardly shows it.
 */
function rareButNeeded(): Graph {
  const small = new SmallGraph()
  const flat = small.node({ kind: 'Reshape', shape: [1, 784] }, [small.input('image', 1, 1, 28, 28)], 'flat')
  const sums = small.editor.addConstant(
    'sums',
    float32Constant(
      [784, 64],
      Array.from({ length: 784 * 64 }, (_, i) => (i % 64 === 0 ? 2 : 0.02) * Math.sin(i * 0.37)),
    ),
  )
  const hidden = small.node(
    { kind: 'Relu' },
    [small.node({ kind: 'MatMul' }, [flat, sums], 'first')],
    'hidden',
  )
  const wide = small.editor.addConstant(
    'readers',
    float32Constant(
      [64, 10],
      Array.from({ length: 640 }, (_, i) => (i < 10 ? 1 : 0.01) * Math.cos(i * 1.3)),
    ),
  )
  return small.finish(small.node({ kind: 'MatMul' }, [hidden, wide], 'last'))
}

async function proposal(target: string, graph: Graph, activation: ActivationRangeMethod) {
  const progress = silentProgress()
  const model = join(folder, `${target}.onnx`)
  await writeFile(model, writeOnnx(graph))
  const recipe = parseRecipe({ preset: 'best' }, 'test')
  const wanted = { model, shapes: {}, data: join(digits, 'data.yaml'), calibrationData: undefined }
  const source = await openSource(wanted, progress)
  const { calibration } = await openSamples({ ...wanted, recipe }, source, progress)
  const board = chooseBoard({ profile: 'raspberry-pi-5', target, recipe }, progress)
  const tailored = board.target.tailor?.(source.graph, board.options) ?? source.graph
  const samples = new RetainedSamples(calibration, progress.signal, 64)
  const feeds = async function* () {
    for await (const { inputs } of samples) yield inputs
  }
  const names = board.target.wantedTensors(tailored, board.options)
  const trial: Trial = {
    graph: tailored,
    ranges: await calibrate(tailored, executeGraph, feeds(), names),
    activation,
    weight: 'min-max',
    correctBias: true,
    headroom: true,
    rowScales: false,
    keepFloat: [],
    layers: new Map(),
    valueRanges: new Map(),
  }
  const make = (one: Trial) => makeTrial(one, board)
  const context = { board, progress, calibration: samples, make } as unknown as ImprovementContext
  const found = await classRanges.propose(make(trial), context)
  const noise = await OutputNoise.open(tailored, context, 64)
  const noiseOf = (one: Trial) => noise.of(make(one))
  return { trial, found, noiseOf, close: () => noise.close() }
}

for (const target of ['litert', 'onnxruntime'])
  describe(target, () => {
    test('a class whose rare elements carry the outputs is no longer clipped', async () => {
      const clipping = { kind: 'percentile', percentile: 98 } as const
      const { trial, found, noiseOf, close } = await proposal(target, rareButNeeded(), clipping)
      assert.ok('trials' in found, JSON.stringify(found))
      const [{ name, trial: better }] = found.trials as [(typeof found.trials)[number]]
      assert.match(name, /^ranges by class: 1 of 1 changed/)
      assert.ok((await noiseOf(better)) < (await noiseOf(trial)) / 100)
      // what it was given is as it was
      assert.equal(trial.valueRanges.size, 0)
      await close()
    })

    test('nothing changes where what clips nothing is best already', async () => {
      const { found, close } = await proposal(target, rareButNeeded(), { kind: 'min-max' })
      assert.ok('declined' in found, JSON.stringify(found))
      assert.match(found.declined, /nearer to float|the same one/)
      await close()
    })
  })
