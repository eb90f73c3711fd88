import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { parseRecipe } from '../../src/compile/recipe.ts'
import { seededGenerator } from '../../src/data/generator.ts'
import type { Dataset } from '../../src/data/types.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Graph } from '../../src/graph/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { memoryDataset } from '../../src/data/in-memory.ts'
import { tuneModel } from '../../src/tune/tune.ts'
import type { TuneRequest } from '../../src/tune/request.ts'
import { writeFile } from 'node:fs/promises'
import { temporaryFolder } from '../data/temporary.ts'
import { networkOf } from '../train/low-rank/networks.ts'

const width = 32

/** An autoencoder of decibels: its inputs are around −30, which no step along all inputs at once survives. */
function autoencoder(): Graph {
  return networkOf(
    [1, width],
    (b, x, floats) => {
      const dense = (from: string, to: number, size: number) =>
        b.op({ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }, [
          from,
          floats(to, size),
          floats(to),
        ])
      const relu = (from: string) => b.op({ kind: 'Relu' }, [from])
      return dense(relu(dense(relu(dense(x, 48, width)), 48, 48)), width, 48)
    },
    (_, random) => random / Math.sqrt(width),
  )
}

function spectra(count: number): Dataset {
  const random = seededGenerator(6)
  const data = new Float32Array(count * width)
  for (let sample = 0; sample < count; sample++) {
    const [level, tilt, ripple] = [random.normal() * 4, random.normal() * 3, random.normal() * 3]
    for (let i = 0; i < width; i++)
      data[sample * width + i] =
        -30 + level + (tilt * i) / width + ripple * Math.sin(i / 3) + 0.3 * random.normal()
  }
  return memoryDataset({ x: { data, shape: [count, width] } }, [
    { name: 'x', dtype: 'float32', shape: [1, width] },
  ])
}

async function factored(t: TestContext, more: Partial<TuneRequest> = {}) {
  const folder = await temporaryFolder(t)
  const model = join(folder, 'autoencoder.onnx')
  await writeFile(model, writeOnnx(autoencoder()))
  const progress = silentProgress()
  const { stages, report } = await tuneModel(
    {
      model,
      methods: ['low-rank'],
      data: spectra(120),
      target: 'litert',
      recipe: parseRecipe({ preset: 'fast', scheme: 'float' }, 'test'),
      budget: { weights: 0.5 },
      device: null,
      out: join(folder, 'tuned'),
      ...more,
      training: { epochs: 6, threads: 1, ...more.training },
    },
    progress,
  )
  const notes = stages.at(-1)!.notes.join('\n')
  return { stage: stages.at(-1)!, report, notes, warnings: progress.warnings }
}

test('factors that are nearly exact are trained gently, and lose nothing by it', async (t) => {
  const { stage, notes } = await factored(t)
  const [, before, after] = /loss (\S+) → (\S+);/.exec(notes) ?? []
  assert.ok(Number(after) < Number(before), notes)
  assert.match(notes, /trained gently, the last factor of each layer/)
  const weights = stage.layers.reduce((sum, { weightsAfter }) => sum + weightsAfter, 0)
  assert.ok(
    weights > 0 && stage.layers.every(({ weightsAfter, weightsBefore }) => weightsAfter < weightsBefore),
  )
  // the error that the table shows is of samples that no rank was chosen by
  for (const { error } of stage.layers) assert.ok(error! > 0 && error! < 0.5, `${error}`)
})

test('a training that only harms leaves the factors as they were found, and says so', async (t) => {
  const { notes, warnings } = await factored(t, { training: { learningRate: 10 } })
  assert.match(notes, /Stays as it was before training/)
  assert.deepEqual(
    warnings.map(({ code }) => code).filter((code) => code === 'TRAINING_NO_GAIN'),
    ['TRAINING_NO_GAIN'],
  )
  const [, before, after] = /before training: (.*?); after: (.*?)\.$/m.exec(notes) ?? []
  assert.equal(after, before)
})
