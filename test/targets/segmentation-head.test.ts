import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import sharp from 'sharp'
import { seededGenerator } from '../../src/data/generator.ts'
import { openMetric } from '../../src/data/metric.ts'
import { openDataset } from '../../src/data/open.ts'
import { taskAgreement } from '../../src/data/task-agreement.ts'
import type { Dataset } from '../../src/data/types.ts'
import { openEvaluator } from '../../src/execute/open.ts'
import type { Graph } from '../../src/graph/types.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { litert } from '../../targets/litert/index.ts'
import { onnxruntime } from '../../targets/onnxruntime/index.ts'
import { temporaryFolder } from '../data/temporary.ts'
import { evaluatorOf } from './litert/run.ts'
import { sessionOf, x64Options } from './onnxruntime-run.ts'
import { convOp, SmallGraph } from './small-graphs.ts'

const [height, width] = [64, 96]
const colours = [
  [110, 110, 110],
  [190, 80, 70],
  [70, 170, 90],
  [80, 90, 190],
] as const

/**
 * Classes of pixels by the nearest colour: |x − c|² without the part that all share is linear, so a mean over 3 × 3
 * pixels and a 1 × 1 convolution do it. Scores come at half the size, as from a network with a stride.
 */
function colourClassifier(): Graph {
  const graph = new SmallGraph('colours')
  const x = graph.input('picture', 1, 3, height, width)
  const mean = graph.constant([3, 1, 3, 3], new Array(27).fill(1 / 9))
  const smooth = graph.node(convOp({ stride: 2, group: 3 }), [x, mean, null], 'smooth')
  const scale = 1 / 255
  const weights = graph.constant(
    [4, 3, 1, 1],
    colours.flatMap((colour) => colour.map((of) => 2 * of * scale)),
  )
  const bias = graph.constant(
    [4],
    colours.map((colour) => -colour.reduce((sum, of) => sum + (of * scale) ** 2, 0)),
  )
  return graph.finish(graph.node(convOp({ pad: 0 }), [smooth, weights, bias], 'scores'))
}

/** Pictures of noisy rectangles with their masks. */
async function rectangles(context: TestContext): Promise<Dataset> {
  const folder = await temporaryFolder(context)
  for (const name of ['images', 'masks']) await mkdir(join(folder, name))
  const random = seededGenerator(11)
  for (let index = 0; index < 12; index++) {
    const classes = new Uint8Array(height * width)
    for (let count = 0; count < 6; count++) {
      const [w, h] = [12 + random.integer(30), 12 + random.integer(20)]
      const [left, top] = [random.integer(width - w), random.integer(height - h)]
      for (let y = 0; y < h; y++)
        for (let x = 0; x < w; x++) classes[(top + y) * width + left + x] = 1 + (count % 3)
    }
    const pixels = Buffer.from(
      [...classes].flatMap((of) =>
        colours[of]!.map((level) => Math.max(0, Math.min(255, Math.round(level + 25 * random.normal())))),
      ),
    )
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(folder, `images/${index}.png`))
    await sharp(Buffer.from(classes), { raw: { width, height, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(join(folder, `masks/${index}.png`))
  }
  await writeFile(
    join(folder, 'data.yaml'),
    `
files: {images: images}
preprocess: {resize: [${height}, ${width}], scale: 0.00392156862745098}
labels: {masks: masks}
classNames: [ground, red, green, blue]
segmentation: {}
`,
  )
  return openDataset(folder, [{ name: 'picture', dtype: 'float32', shape: [1, 3, height, width] }], {})
}

for (const target of [onnxruntime, litert])
  test(`${target.name}: mIoU and equal pixels of a colour classifier in int8 beside float`, async (context) => {
    const dataset = await rectangles(context)
    const graph = target.tailor?.(colourClassifier(), x64Options) ?? colourClassifier()
    const feeds = await Promise.all([0, 1, 2, 3].map(async (index) => (await dataset.sample(index)).inputs))
    const ranges = await calibrate(graph, evaluatorOf, feeds, target.wantedTensors(graph, x64Options))
    const emitted = target.emit(target.prepare(graph, ranges, x64Options).graph, x64Options)
    const float = await evaluatorOf(colourClassifier())
    const compiled = await openEvaluator(emitted.files.get(emitted.model)!, sessionOf(x64Options))
    const agreement = taskAgreement(dataset.task!)
    const [ofFloat, ofCompiled] = [await openMetric('miou', dataset), await openMetric('miou', dataset)]
    ofFloat.start()
    ofCompiled.start()
    for (let index = 4; index < dataset.length; index++) {
      const sample = await dataset.sample(index)
      const [reference, candidate] = [await float.run(sample.inputs), await compiled.run(sample.inputs)]
      await ofFloat.add(reference, sample)
      await ofCompiled.add(candidate, sample)
      agreement.add(reference, candidate)
    }
    const figures = {
      float: await ofFloat.finish(),
      int8: await ofCompiled.finish(),
      agreement: agreement.value!,
    }
    assert.ok(figures.float > 0.85 && figures.float < 1, JSON.stringify(figures))
    assert.ok(Math.abs(figures.float - figures.int8) < 0.02, JSON.stringify(figures))
    assert.ok(figures.agreement > 0.97 && figures.agreement < 1, JSON.stringify(figures))
    await float.close()
    await compiled.close()
  })
