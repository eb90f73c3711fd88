import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createOnnxEvaluator } from '../../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../../src/formats/onnx/write.ts'
import type { Op } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { verifyGraph } from '../../../src/graph/verify.ts'
import { convertLayout } from '../../../src/passes/layout.ts'
import { calibrate } from '../../../src/quantize/calibrate.ts'
import { sqnrDb } from '../../../src/quantize/fidelity.ts'
import { inspect, predictTailored } from '../../../targets/edgetpu/inspect.ts'
import { prepare, tailorWithNotes, wantedTensors } from '../../../targets/edgetpu/prepare.ts'
import { litert } from '../../../targets/litert/index.ts'
import { arm64Options, randomFeeds } from '../onnxruntime-run.ts'
import { SmallGraph } from '../small-graphs.ts'

const evaluatorOf = (graph: Graph) => createOnnxEvaluator(writeOnnx(convertLayout(graph, 'channels-first')))
const binary = (fn: 'Add' | 'Mul' | 'Div' | 'Pow'): Op => ({ kind: 'Binary', fn })

function resizeTo(mode: 'linear' | 'nearest', sizes: readonly number[]): Op {
  return {
    kind: 'Resize',
    mode,
    sizes,
    scales: null,
    coordinateTransformation: 'half_pixel',
    nearestMode: 'round_prefer_floor',
    cubicCoefficient: -0.75,
    excludeOutside: false,
    extrapolationValue: 0,
    roi: null,
    antialias: false,
    layout: 'channels-first',
  }
}

/** A network with one operator that Coral’s table lacks (or limits), between two convolutions that map. */
function between(
  build: (graph: SmallGraph, x: string) => string,
  size: readonly number[] = [1, 8, 9, 7],
): Graph {
  const graph = new SmallGraph()
  const x = graph.conv(graph.input('x', 1, 3, size[2]!, size[3]!), size[1]!)
  return graph.finish(graph.conv(build(graph, x), 4, { kernel: 1 }))
}

const pooled = (graph: SmallGraph, x: string) =>
  graph.node({ kind: 'GlobalAveragePool', layout: 'channels-first' }, [x])

const cases: readonly [rewrite: string, left: string, graph: Graph][] = [
  ['decompose-hard-swish', 'HARD_SWISH', between((g, x) => g.node({ kind: 'HardSwish' }, [x]))],
  ['leaky-relu-to-prelu', 'LEAKY_RELU', between((g, x) => g.node({ kind: 'LeakyRelu', alpha: 0.1 }, [x]))],
  [
    'plain-arithmetic',
    'DIV',
    between((g, x) => g.node(binary('Div'), [x, g.constant([1, 8, 1, 1], [1, 2, 3, 4, -5, 6, 0.5, 8])])),
  ],
  ['plain-arithmetic', 'POW', between((g, x) => g.node(binary('Pow'), [x, g.constant([1], [2])]))],
  ['plain-arithmetic', 'NEG', between((g, x) => g.node({ kind: 'Unary', fn: 'Neg' }, [x]))],
  ['plain-arithmetic', 'ABS', between((g, x) => g.node({ kind: 'Unary', fn: 'Abs' }, [x]))],
  ['split-mean', 'MEAN', between(pooled, [1, 4, 200, 100])],
  [
    'repeat-one-place',
    'RESIZE_BILINEAR',
    between((g, x) => g.node(resizeTo('linear', [1, 8, 9, 7]), [pooled(g, x)])),
  ],
  [
    'repeat-one-place',
    'RESIZE_NEAREST_NEIGHBOR',
    between((g, x) => g.node(resizeTo('nearest', [1, 8, 3, 1]), [pooled(g, x)])),
  ],
  [
    'repeat-by-concatenation',
    'TILE',
    between((g, x) => g.node({ kind: 'Tile', repeats: [1, 2, 1, 3] }, [x])),
  ],
  [
    'repeat-by-concatenation',
    'BROADCAST_TO',
    between((g, x) => g.node({ kind: 'Expand', shape: [1, 8, 5, 4] }, [pooled(g, x)])),
  ],
  [
    'split-to-slices',
    'SPLIT_V',
    between((g, x) => {
      const [a, b] = g.nodeOutputs({ kind: 'Split', axis: 1, sizes: [3, 5] }, [x])
      return g.node({ kind: 'Concat', axis: 1 }, [b!, a!])
    }),
  ],
  [
    'strided-slice-to-pool',
    'STRIDED_SLICE',
    between((g, x) =>
      g.node({ kind: 'Slice', axes: [2, 3], starts: [1, 0], ends: [9, 7], steps: [2, 3] }, [x]),
    ),
  ],
  [
    'strided-slice-to-pool',
    'STRIDED_SLICE',
    between((g, x) => g.node({ kind: 'Slice', axes: [3], starts: [0], ends: [7], steps: [2] }, [x])),
  ],
  [
    'merge-transposed-axes',
    'RESHAPE',
    between((g, x) => {
      const groups = g.node({ kind: 'Reshape', shape: [1, 2, 4, 9, 7] }, [x])
      const shuffled = g.node({ kind: 'Transpose', perm: [0, 2, 1, 3, 4] }, [groups])
      return g.node({ kind: 'Reshape', shape: [1, 8, 9, 7] }, [shuffled])
    }),
  ],
]

for (const [i, [rewrite, left, graph]] of cases.entries())
  test(`${rewrite} gives the same numbers without ${left} (${i})`, async () => {
    const { graph: tailored, notes } = tailorWithNotes(graph, arm64Options)
    verifyGraph(tailored)
    assert.ok(
      notes.some((note) => note.pass === rewrite),
      `no note of ${rewrite} among ${notes.map(({ pass }) => pass)}`,
    )
    const without = predictTailored(litert.tailor!(graph, arm64Options), arm64Options).prediction
    const lost = without.operators.filter(
      ({ mapped, status }) => !mapped && !status.startsWith('More than one'),
    )
    assert.deepEqual([...new Set(lost.map(({ operator }) => operator.type))].slice(0, 1), [left])
    const { prediction } = predictTailored(tailored, arm64Options)
    assert.deepEqual(
      prediction.operators
        .filter(({ mapped }) => !mapped)
        .map(({ operator, reason }) => [operator.type, reason]),
      [],
    )
    assert.ok(inspect(graph, arm64Options).every(({ placement }) => placement === 'accelerator'))
    const [before, after] = [await outputOf(graph), await outputOf(tailored)]
    const largest = before.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    for (const [j, x] of before.entries())
      assert.ok(Math.abs(x - after[j]!) <= 1e-5 * largest, `${x} became ${after[j]}`)
  })

async function outputOf(graph: Graph): Promise<Float32Array> {
  const evaluator = await evaluatorOf(graph)
  const [output] = (await evaluator.run(randomFeeds(graph, 3))).values()
  await evaluator.close()
  return output!.data as Float32Array
}

test('in int8, a decomposed hard-swish is as near to float as the network around it allows', async () => {
  const plain = await int8Sqnr(between((g, x) => g.node({ kind: 'Relu' }, [x])))
  const swish = await int8Sqnr(cases[0]![2])
  const leaky = await int8Sqnr(cases[1]![2])
  assert.ok(swish > plain - 6, `hard-swish ${swish.toFixed(1)} dB, relu ${plain.toFixed(1)} dB`)
  assert.ok(leaky > plain - 6, `leaky relu ${leaky.toFixed(1)} dB, relu ${plain.toFixed(1)} dB`)
})

async function int8Sqnr(graph: Graph): Promise<number> {
  const { graph: tailored } = tailorWithNotes(graph, arm64Options)
  const feeds = Array.from({ length: 8 }, (_, i) => randomFeeds(graph, i + 1))
  const options = { ...arm64Options, allow: ['float-io'] }
  const ranges = await calibrate(tailored, evaluatorOf, feeds, wantedTensors(tailored, options))
  const { graph: typed } = prepare(tailored, ranges, options)
  return sqnrDb(await outputOf(graph), await outputOf(typed))
}

test('a row names the operator of the file and its result, also after a rewrite', () => {
  const graph = cases[0]![2]
  const [plain] = inspect(graph, arm64Options).filter(({ sourceOp }) => sourceOp === 'HARD_SWISH')
  const swish = graph.nodes.find(({ op }) => op.kind === 'HardSwish')!
  assert.deepEqual(plain!.outputs, swish.outputs)
  const sourced = {
    ...graph,
    nodes: graph.nodes.map((node, index) => ({
      ...node,
      source: { opType: node.op.kind, name: node.name, index },
    })),
  }
  const { graph: tailored } = tailorWithNotes(sourced, arm64Options)
  const rows = inspect(tailored, arm64Options).filter(({ sourceOp }) => sourceOp === 'HardSwish')
  assert.equal(rows.length, 1)
  assert.deepEqual([rows[0]!.outputs, rows[0]!.placement], [swish.outputs, 'accelerator'])
})

test('another function is put in place only where the user allows it', () => {
  const swish = between((g, x) => g.node(binary('Mul'), [x, g.node({ kind: 'Sigmoid' }, [x])]))
  const gelu = between((g, x) => g.node({ kind: 'Gelu', approximate: 'none' }, [x]))
  const kinds = (graph: Graph, allow: string[]) =>
    tailorWithNotes(graph, { ...arm64Options, allow }).graph.nodes.map(({ op }) => op.kind)
  assert.ok(kinds(swish, []).includes('Sigmoid'))
  assert.deepEqual(
    kinds(swish, ['relu6']).filter((kind) => kind === 'Sigmoid' || kind === 'Clip'),
    ['Clip'],
  )
  assert.ok(kinds(gelu, []).includes('Gelu'))
  const [row] = inspect(gelu, arm64Options).filter(({ placement }) => placement !== 'accelerator')
  assert.match(row!.remedy!, /allowance relu6/)
  assert.ok(
    inspect(gelu, { ...arm64Options, allow: ['relu6'] }).every(
      ({ placement }) => placement === 'accelerator',
    ),
  )
})

test('what cannot be rewritten is left, with the reason', () => {
  const declinedBy = (pass: string, graph: Graph) =>
    tailorWithNotes(graph, arm64Options)
      .notes.filter((note) => note.pass === pass)
      .map(({ reason }) => reason)
  const computed = between((g, x) => g.node(binary('Div'), [x, g.node({ kind: 'Sigmoid' }, [x])]))
  assert.deepEqual(declinedBy('plain-arithmetic', computed), ['left: its divisor is computed'])
  const cubed = between((g, x) => g.node(binary('Pow'), [x, g.constant([1], [3])]))
  assert.deepEqual(declinedBy('plain-arithmetic', cubed), ['left: only a square is a product'])
  const channels = between((g, x) =>
    g.node({ kind: 'Slice', axes: [1], starts: [0], ends: [8], steps: [2] }, [x]),
  )
  assert.deepEqual(declinedBy('strided-slice-to-pool', channels), [
    'left: its strides are over the batch or the channels',
  ])
  const wide = between((g, x) => g.node(resizeTo('linear', [1, 8, 100, 2]), [pooled(g, x)]))
  assert.deepEqual(declinedBy('repeat-one-place', wide), ['left: more than 64 copies'])
})

test('a network that is quantized already is not rewritten, only read', async () => {
  const { graph: tailored } = tailorWithNotes(cases[0]![2], arm64Options)
  const feeds = [randomFeeds(tailored, 1)]
  const ranges = await calibrate(tailored, evaluatorOf, feeds, wantedTensors(tailored, arm64Options))
  const { graph: typed } = prepare(tailored, ranges, arm64Options)
  const again = tailorWithNotes(typed, arm64Options)
  assert.deepEqual(again.notes, [])
  assert.deepEqual(
    again.graph.nodes.map(({ op }) => op.kind),
    typed.nodes.map(({ op }) => op.kind),
  )
})
