import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { calibrateSamples } from '../../src/compile/calibration.ts'
import { executeGraph } from '../../src/compile/execute-graph.ts'
import { openSource } from '../../src/compile/source.ts'
import { randomDataset } from '../../src/data/random.ts'
import type { Dataset } from '../../src/data/types.ts'
import type { Graph } from '../../src/graph/types.ts'
import { silentProgress } from '../../src/progress.ts'
import { calibrate } from '../../src/quantize/calibrate.ts'
import { fixture, fixturesMissing } from '../fixtures.ts'
import { SmallGraph } from '../targets/small-graphs.ts'

const indices = [0, 1, 2, 3, 4, 5]

function datasetFor(graph: Graph, seed = 1): Dataset {
  const inputs = graph.inputs.map((name) => ({ name, ...graph.values.get(name)!.type }))
  return randomDataset(inputs, { length: indices.length, seed })
}

async function feedsOf(dataset: Dataset) {
  return Promise.all(indices.map(async (index) => (await dataset.sample(index)).inputs))
}

/** Real inner values that are no constants, of which none is a mere view of another. */
function innerValues({ nodes, values }: Graph): string[] {
  return nodes
    .filter(({ op }) => op.kind !== 'Transpose' && op.kind !== 'Reshape')
    .flatMap(({ outputs }) => outputs)
    .filter((name) => values.get(name)!.type.dtype === 'float32')
}

for (const path of ['mlperf-tiny/ic_resnet8_float.tflite', 'mlperf-tiny/kws_dscnn_float.onnx'])
  test(`ranges do not depend on the layout that the runtime computes in: ${path}`, {
    skip: fixturesMissing,
  }, async () => {
    const { graph } = await openSource({ model: fixture(path), shapes: {} }, silentProgress())
    const dataset = datasetFor(graph)
    const wanted = [...graph.inputs, ...innerValues(graph)]
    const found = await calibrateSamples(
      { graph, wanted, samples: { dataset, indices }, cache: null },
      silentProgress(),
    )
    const plain = await calibrate(graph, executeGraph, await feedsOf(dataset), wanted)
    assert.deepEqual([...found.keys()].sort(), [...wanted].sort())
    for (const name of wanted) {
      const [a, b] = [found.get(name)!, plain.get(name)!]
      assert.deepEqual([a.min, a.max], [b.min, b.max], name)
      assert.deepEqual(
        [a.histogram!.positive, a.histogram!.negative],
        [b.histogram!.positive, b.histogram!.negative],
      )
      for (const [channel, mean] of Array.from(b.channelMeans ?? []).entries())
        assert.ok(Math.abs(a.channelMeans![channel]! - mean) < 1e-9, `${name} ${channel}`)
      assert.equal(a.channelMeans?.length, b.channelMeans?.length)
    }
  })

async function folderFor(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgewright-calibration-'))
  context.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function network(slope = 2) {
  const g = new SmallGraph()
  const scaled = g.node(
    { kind: 'Binary', fn: 'Mul' },
    [g.input('x', 1, 4), g.constant([], [slope])],
    'scaled',
  )
  return g.finish(g.node({ kind: 'Relu' }, [scaled], 'relu'))
}

/** Counts the samples that are read. */
function watched(dataset: Dataset) {
  const seen = { samples: 0 }
  const sample = (index: number) => {
    seen.samples++
    return dataset.sample(index)
  }
  return { seen, dataset: { ...dataset, sample } }
}

test('the same samples through the same network are looked at once; anything else is looked at', async (context) => {
  const folder = await folderFor(context)
  const run = async (graph: Graph, wanted: readonly string[], seed = 1, histograms = true) => {
    const { dataset, seen } = watched(datasetFor(graph, seed))
    const request = { graph, wanted, samples: { dataset, indices }, histograms, cache: { folder } }
    return { ranges: await calibrateSamples(request, silentProgress()), samples: seen.samples }
  }
  const first = await run(network(), ['x', 'relu_out'])
  const second = await run(network(), ['x', 'relu_out'])
  assert.deepEqual([first.samples, second.samples], [6, 0])
  assert.deepEqual(second.ranges, first.ranges)
  assert.equal((await run(network(3), ['x', 'relu_out'])).samples, 6, 'other weights')
  assert.equal((await run(network(), ['relu_out'])).samples, 6, 'other tensors')
  assert.equal((await run(network(), ['x', 'relu_out'], 2)).samples, 6, 'other samples')
  assert.equal((await run(network(), ['x', 'relu_out'], 1, false)).samples, 6, 'no histograms')
  assert.equal((await readdir(folder)).length, 5)
})

test('a network whose inputs alone are wanted is not run', async () => {
  const { dataset } = watched(datasetFor(network()))
  const request = { graph: network(), wanted: ['x'], samples: { dataset, indices }, cache: null }
  assert.equal((await calibrateSamples(request, silentProgress())).get('x')!.histogram!.count, 24)
})
