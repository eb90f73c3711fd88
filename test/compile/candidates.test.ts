import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { compileModel } from '../../src/compile/compile.ts'
import { withHeadroom } from '../../src/compile/headroom.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { constantOf } from '../../src/graph/constant.ts'
import { GraphEditor } from '../../src/graph/edit.ts'
import { silentProgress } from '../../src/progress.ts'
import { repositoryRoot } from '../fixtures.ts'

const example = join(repositoryRoot, 'examples', 'mnist')
let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgewright-candidates-'))
})
after(() => rm(folder, { recursive: true, force: true }))

function compile(name: string, target: string, seed = 0, preset?: 'fast') {
  return compileModel(
    {
      model: join(example, 'mnist.onnx'),
      shapes: {},
      data: join(example, 'data.yaml'),
      calibrationData: join(example, 'calibration.yaml'),
      metric: undefined,
      recipe: parseRecipe({ seed, preset }, 'test'),
      profile: 'raspberry-pi-5',
      target,
      out: join(folder, name),
    },
    silentProgress(),
  )
}

test('every way to choose ranges is tried, then each improvement on top of the best, and the report says what was kept', async () => {
  const { candidates, declined, manifest } = await compile('litert', 'litert')
  const ranges = candidates.filter(({ step }) => step === 'ranges')
  assert.ok(ranges.length >= 6)
  assert.equal(ranges.filter(({ kept }) => kept).length, 1)
  const best = ranges.find(({ kept }) => kept)!
  assert.equal(best.sqnrDb, Math.max(...ranges.map(({ sqnrDb }) => sqnrDb!)))
  let reached = best.sqnrDb!
  for (const step of new Set(candidates.map((one) => one.step).filter((name) => name !== 'ranges'))) {
    assert.ok(!declined.some((other) => other.step === step))
    const tried = candidates.filter((one) => one.step === step)
    for (const { sqnrDb, gainDb } of tried) assert.ok(Math.abs(gainDb! - (sqnrDb! - reached)) < 1e-9)
    const kept = tried.filter((one) => one.kept)
    if (kept.length === 0) continue
    assert.equal(kept.length, 1)
    assert.equal(kept[0]!.sqnrDb, Math.max(...tried.map(({ sqnrDb }) => sqnrDb!)))
    assert.ok(kept[0]!.sqnrDb! > reached)
    reached = kept[0]!.sqnrDb!
  }
  const names = candidates.filter(({ kept }) => kept).map(({ name }) => name)
  assert.equal((manifest.recipe as { chosen: string }).chosen, names.join(', '))
})

test('a target that keeps logits in float has no output to give headroom', async () => {
  const { declined, candidates } = await compile('onnxruntime', 'onnxruntime')
  assert.ok(declined.some(({ step }) => step === 'outputs without headroom'))
  assert.ok(!candidates.some(({ step }) => step === 'outputs without headroom'))
})

test('the fast preset takes min-max ranges and tries nothing', async () => {
  const { candidates, manifest } = await compile('fast', 'litert', 0, 'fast')
  assert.deepEqual(candidates, [])
  assert.equal((manifest.recipe as { chosen: string }).chosen, 'min-max activations, min-max weights')
})

test('75 calibration samples do not clip the logits of digits that were not seen', async () => {
  // of 1,000 digits that chose nothing; without headroom 31.9, 36.2 and 34.1 dB
  const floors = [35.5, 37, 34.5]
  for (const [seed, least] of floors.entries()) {
    const { quality } = await compile(`seed-${seed}`, 'litert', seed)
    assert.ok(quality.sqnrDb >= least, `seed ${seed}: ${quality.sqnrDb} dB`)
  }
})

test('headroom goes to outputs and to what a softmax reads, not to what lies before', () => {
  const editor = GraphEditor.empty('classifier')
  const type = { dtype: 'float32', shape: [1, 4], quantization: null } as const
  editor.addInput('x', type)
  editor.addConstant('w', constantOf('float32', [4, 4], new Float32Array(16)), null)
  const add = (name: string, op: Parameters<typeof editor.addNode>[0]['op'], inputs: string[]) =>
    editor.addNode({ name, op, inputs, outputs: [{ name, type }] })
  add('hidden', { kind: 'MatMul' }, ['x', 'w'])
  add('logits', { kind: 'MatMul' }, ['hidden', 'w'])
  add('scores', { kind: 'Softmax', axis: 1 }, ['logits'])
  editor.outputs = ['scores']
  const ranges = new Map(['x', 'hidden', 'logits', 'scores'].map((name) => [name, { min: -2, max: 10 }]))
  const widened = withHeadroom(editor.finish(), ranges, 0.5)
  assert.deepEqual(widened.get('x'), { min: -2, max: 10 })
  assert.deepEqual(widened.get('hidden'), { min: -2, max: 10 })
  assert.deepEqual(widened.get('logits'), { min: -3, max: 15 })
  assert.deepEqual(ranges.get('logits'), { min: -2, max: 10 })
})
