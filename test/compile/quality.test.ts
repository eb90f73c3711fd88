import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { compileModel } from '../../src/compile/compile.ts'
import { compareQuality, type Runnable } from '../../src/compile/quality.ts'
import type { Metric } from '../../src/data/metric.ts'
import type { Sample } from '../../src/data/types.ts'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { silentProgress } from '../../src/progress.ts'
import type { Tensor } from '../../src/tensor.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'

const metric: Metric = {
  name: 'none',
  higherIsBetter: true,
  needsLabels: true,
  start() {},
  add() {},
  finish: () => 0,
}

/** Gives the same outputs whatever it reads. */
function giving(outputs: Record<string, readonly number[]>): Runnable {
  const results = new Map(
    Object.entries(outputs).map(([name, numbers]): [string, Tensor] => [
      name,
      { dtype: 'float32', shape: [numbers.length], data: Float32Array.from(numbers) },
    ]),
  )
  return {
    evaluator: { run: async () => results, close: async () => {} } as unknown as Runnable['evaluator'],
    inputs: [],
    outputs: Object.keys(outputs).map((name) => ({ name, stored: null })),
  }
}

async function sqnrOf(float: Record<string, readonly number[]>, compiled: Record<string, readonly number[]>) {
  async function* samples(): AsyncGenerator<Sample> {
    yield { inputs: new Map(), label: null } as unknown as Sample
  }
  const quality = await compareQuality(
    giving(float),
    giving(compiled),
    samples(),
    1,
    async () => metric,
    silentProgress(),
  )
  return quality.sqnrDb
}

test('a result that is no number is worse than any noise, never NaN', async () => {
  const worst = await sqnrOf({ y: [1, 2] }, { y: [Number.NaN, 2] })
  assert.equal(worst, -150)
  assert.ok((await sqnrOf({ y: [1, 2] }, { y: [-1000, 1000] })) > worst)
  assert.equal(await sqnrOf({ y: [1, 2] }, { y: [Number.POSITIVE_INFINITY, 2] }), -150)
})

test('samples on which float itself gives no number tell nothing apart', async () => {
  assert.equal(await sqnrOf({ y: [Number.NaN] }, { y: [1] }), -150)
  assert.equal(await sqnrOf({ y: [Number.POSITIVE_INFINITY] }, { y: [1] }), -150)
})

test('an output that is zero in float does not decide where another has a signal', async () => {
  // 10·log10(100 / 1)
  assert.equal(await sqnrOf({ y: [10], dead: [0, 0] }, { y: [9], dead: [0.5, 0] }), 20)
  assert.equal(await sqnrOf({ dead: [0, 0] }, { dead: [0.5, 0] }), -150)
  assert.equal(await sqnrOf({ dead: [0, 0] }, { dead: [0, 0] }), Number.POSITIVE_INFINITY)
})

test('an exact output counts as 150 dB beside one that is not', async () => {
  assert.equal(await sqnrOf({ y: [10], exact: [3] }, { y: [9], exact: [3] }), 85)
})

test('the integers that a quantized file gives are compared as the reals that they mean', {
  skip: fixturesMissing,
}, async (t) => {
  const out = await mkdtemp(join(tmpdir(), 'edgewright-quality-'))
  t.after(() => rm(out, { recursive: true, force: true }))
  const { quality } = await compileModel(
    {
      model: fixture('mlperf-tiny/kws_dscnn_int8.tflite'),
      shapes: {},
      data: undefined,
      calibrationData: undefined,
      metric: undefined,
      recipe: parseRecipe({ preset: 'fast' }, 'test'),
      profile: 'raspberry-pi-5',
      target: 'litert',
      out: join(out, 'artifact'),
    },
    silentProgress(),
  )
  assert.ok(quality.sqnrDb > 40, `${quality.sqnrDb} dB`)
})
