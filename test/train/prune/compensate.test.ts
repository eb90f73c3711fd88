import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Graph } from '../../../src/graph/types.ts'
import type { Tensor } from '../../../src/tensor.ts'
import { MomentSums } from '../../../src/train/low-rank/moments.ts'
import { channelMap } from '../../../src/train/prune/channel-map.ts'
import { compensated, readValues } from '../../../src/train/prune/compensate.ts'
import { removeChannels } from '../../../src/train/prune/remove-channels.ts'
import { convOp, SmallGraph } from '../../targets/small-graphs.ts'
import { difference, run, samplesOf } from '../float-networks.ts'

async function momentsOf(graph: Graph, samples = 4) {
  const reads = readValues(channelMap(graph))
  const sums = reads.map(({ name, axis }) => new MomentSums(graph.values.get(name)!.type.shape[axis]!, axis))
  for (const feeds of samplesOf(graph, samples)) {
    const values = await run({ ...graph, outputs: reads.map(({ name }) => name) }, feeds)
    for (const [index, { name }] of reads.entries()) sums[index]!.add(values.get(name)!)
  }
  return new Map(reads.map(({ name }, index) => [name, sums[index]!.result()]))
}

/** Relative squared error of the first output over fresh samples. */
async function errorOf(graph: Graph, reference: Graph): Promise<number> {
  let [error, power] = [0, 0]
  for (const feeds of samplesOf(reference, 9).slice(4)) {
    const [wanted, found] = [await run(reference, feeds), await run(graph, feeds)].map(
      (values) => [...values.values()][0]!.data as Float32Array,
    ) as [Float32Array, Float32Array]
    wanted.forEach((value, index) => {
      error += (value - found[index]!) ** 2
      power += value ** 2
    })
  }
  return error / power
}

/** The channels of the first group of layers, by place. */
function idsOf(graph: Graph, ...places: number[]): Set<number> {
  const [group] = channelMap(graph).groups
  return new Set(places.map((place) => group!.channels[place]!))
}

test('a channel that is twice another, and one that is constant, can go for nothing', async () => {
  const g = new SmallGraph('twins')
  const x = g.input('x', 1, 1, 5, 5)
  const kernel = g.constant([4, 1, 1, 1], [1, 2, 0, -1])
  const made = g.node(convOp({ pad: 0 }), [x, kernel, g.constant([4], [0.25, 0.5, 3, 1])], 'makes')
  const read = g.node(convOp({ pad: 0 }), [made, g.weights([3, 4, 3, 3])], 'reads')
  const graph = g.finish(g.node({ kind: 'Relu' }, [read]))
  const map = channelMap(graph)
  const removed = idsOf(graph, 1, 2)
  const pruned = compensated(map, removed, await momentsOf(graph))
  const [feeds] = samplesOf(graph, 1)
  const wanted = (await run(graph, feeds!)).values().next().value as Tensor
  assert.ok(difference(wanted, (await run(pruned, feeds!)).values().next().value) < 2e-3)
  const left = pruned.nodes.find(({ name }) => name === 'makes')!.inputs[1]!
  assert.deepEqual(pruned.values.get(left)!.type.shape, [2, 1, 1, 1], 'they are gone')
  assert.ok((await errorOf(removeChannels(map, removed), graph)) > 0.1, 'which is not nothing without')
})

test('behind padding no constant is added, which the border would not have', async () => {
  const g = new SmallGraph('padded')
  const x = g.input('x', 1, 1, 4, 4)
  const made = g.node(convOp({ pad: 0 }), [x, g.constant([2, 1, 1, 1], [1, 1]), g.constant([2], [2, 2])])
  const read = g.node(convOp({ pad: 1 }), [made, g.weights([2, 2, 3, 3])], 'reads')
  const graph = g.finish(g.node({ kind: 'Relu' }, [read]))
  const pruned = compensated(channelMap(graph), idsOf(graph, 1), await momentsOf(graph))
  const reads = pruned.nodes.find(({ name }) => name === 'reads')!
  assert.equal(reads.inputs[2] ?? null, null)
  // equal channels: what the border sees is halved and doubled alike
  assert.ok((await errorOf(pruned, graph)) < 1e-6)
})

test('in a residual network with a dense end, in both layouts of matrices, less is lost than without', async () => {
  for (const transB of [false, true]) {
    const g = new SmallGraph('residual')
    const x = g.input('x', 1, 3, 8, 8)
    const first = g.node({ kind: 'Relu' }, [g.conv(x, 12, {}, 'first')])
    const inner = g.node({ kind: 'Relu' }, [g.conv(first, 12, {}, 'inner')])
    const sum = g.node({ kind: 'Binary', fn: 'Add' }, [g.conv(inner, 12, {}, 'back'), first])
    const pooled = g.node({ kind: 'Reduce', fn: 'Mean', axes: [2, 3], keepDims: false }, [sum])
    const op = { kind: 'Gemm', transA: false, transB, alpha: 1, beta: 1 } as const
    const dense = g.node(op, [pooled, g.weights(transB ? [5, 12] : [12, 5])], 'dense')
    const graph = g.finish(dense)
    const map = channelMap(graph)
    assert.equal(map.groups.length, 2)
    const moments = await momentsOf(graph)
    for (const { channels, layers } of map.groups) {
      const removed = new Set(channels.slice(0, 5))
      const [plain, helped] = [removeChannels(map, removed), compensated(map, removed, moments)]
      const shapes = (of: Graph) => of.nodes.map(({ outputs }) => of.values.get(outputs[0]!)!.type.shape)
      assert.deepEqual(shapes(helped), shapes(plain))
      const [without, withIt] = [await errorOf(plain, graph), await errorOf(helped, graph)]
      assert.ok(withIt < 0.7 * without, `${layers}: ${withIt} beside ${without}`)
    }
  }
})

test('what has no moments, moments that are no numbers, and kernels that are shared lose their channels as they are', async () => {
  const g = new SmallGraph('plain')
  const x = g.input('x', 1, 2, 6, 6)
  const made = g.node({ kind: 'Relu' }, [g.conv(x, 4, {}, 'makes')])
  const graph = g.finish(g.conv(made, 3, {}, 'reads'))
  const map = channelMap(graph)
  const removed = idsOf(graph, 0)
  const [feeds] = samplesOf(graph, 1)
  const wanted = await run(removeChannels(map, removed), feeds!)
  const [[name, known]] = [...(await momentsOf(graph))] as [
    [string, Awaited<ReturnType<typeof momentsOf>> extends Map<string, infer M> ? M : never],
  ]
  const broken = { ...known, covariance: known.covariance.map(() => Number.NaN) }
  for (const moments of [new Map(), new Map([[name, broken]])])
    assert.deepEqual(await run(compensated(map, removed, moments), feeds!), wanted)

  const tied = new SmallGraph('tied')
  const start = tied.conv(tied.input('x', 1, 2, 6, 6), 4, {}, 'makes')
  const kernel = tied.weights([4, 4, 3, 3])
  const once = tied.node(convOp(), [start, kernel], 'once')
  const both = tied.finish(tied.node({ kind: 'Relu' }, [tied.node(convOp(), [once, kernel], 'twice')]))
  assert.deepEqual(readValues(channelMap(both)), [])
})
