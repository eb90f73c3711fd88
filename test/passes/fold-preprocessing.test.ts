import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import { foldPreprocessing, type Normalization } from '../../src/passes/fold-preprocessing.ts'
import { sqnrDb } from '../../src/quantize/fidelity.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { evaluatorOf } from './run-pass.ts'

/** What the folded network gives for raw pixels against what the plain one gives for normalized ones. */
async function fidelity(graph: Graph, normalization: Normalization, channelExtent: number): Promise<number> {
  const folded = foldPreprocessing(graph, 'x', normalization)
  verifyGraph(folded)
  const { shape } = graph.values.get('x')!.type
  const count = shape.reduce((a, b) => a * b, 1)
  const raw = Float32Array.from({ length: count }, (_, i) => (i * 89) % 256)
  const { scale, mean, std } = normalization
  const real = raw.map((x, i) => {
    const channel = Math.floor(i / channelExtent) % shape[1]!
    return (x * scale - (mean[channel] ?? mean[0]!)) / (std[channel] ?? std[0]!)
  })
  const run = async (network: Graph, data: Float32Array) => {
    const evaluator = await evaluatorOf(network)
    const [output] = (await evaluator.run(new Map([['x', { dtype: 'float32', shape, data }]]))).values()
    await evaluator.close()
    return output!.data as Float32Array
  }
  return sqnrDb(await run(graph, real), await run(folded, raw))
}

function network(pad: number): Graph {
  const g = new SmallGraph()
  return g.finish(g.conv(g.input('x', 1, 3, 8, 8), 4, { pad }))
}

const imagenet = { scale: 1 / 255, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
const centred = { scale: 1 / 255, mean: [0.5], std: [0.5] }

test('mean and std of each channel go into a convolution without padding', async () => {
  assert.ok((await fidelity(network(0), imagenet, 64)) > 100)
})

test('a padded convolution gets explicit padding with the raw value that means 0: borders are exact', async () => {
  assert.ok((await fidelity(network(1), centred, 64)) > 100)
  const folded = foldPreprocessing(network(1), 'x', centred)
  assert.deepEqual(
    folded.nodes.map((node) => node.op.kind),
    ['Pad', 'Conv'],
  )
  const [pad] = folded.nodes
  assert.ok(pad!.op.kind === 'Pad' && pad!.op.value === 127.5)
})

test('a scale alone needs no explicit padding', async () => {
  const only = { scale: 1 / 255, mean: [], std: [] }
  assert.deepEqual(
    foldPreprocessing(network(1), 'x', only).nodes.map((node) => node.op.kind),
    ['Conv'],
  )
  assert.ok((await fidelity(network(1), { ...only, mean: [0], std: [1] }, 64)) > 100)
})

test('a Gemm takes the normalization too', async () => {
  const g = new SmallGraph()
  const graph = g.finish(
    g.node({ kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }, [
      g.input('x', 2, 6),
      g.weights([4, 6]),
      g.weights([4]),
    ]),
  )
  assert.ok((await fidelity(graph, centred, 1)) > 100)
})

test('what cannot be folded is refused with the reason', () => {
  const refused = (graph: Graph, normalization: Normalization, reason: RegExp) =>
    assert.throws(
      () => foldPreprocessing(graph, 'x', normalization),
      (error: { code: string; saw: string }) => {
        assert.equal(error.code, 'RECIPE_INVALID')
        assert.match(error.saw, reason)
        return true
      },
    )
  refused(network(1), imagenet, /differs between channels: 123\.675, 116\.28, 103\.53/)
  refused(network(0), { ...imagenet, mean: [1, 2] }, /2 means for 3 channels/)
  refused(network(0), { ...centred, std: [0] }, /deviation of 0/)
  const g = new SmallGraph()
  const x = g.input('x', 1, 3, 8, 8)
  refused(g.finish(g.conv(x, 4), g.conv(x, 4)), centred, /2 operators read it/)
  const relu = new SmallGraph()
  refused(relu.finish(relu.node({ kind: 'Relu' }, [relu.input('x', 2)])), centred, /not linear/)
})
