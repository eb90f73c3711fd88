import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../../../src/graph/ops.ts'
import type { Graph } from '../../../../src/graph/types.ts'
import { convertLayout } from '../../../../src/passes/index.ts'
import { openNetwork } from '../../../../src/train/open-network.ts'
import { gatedGraph } from '../../../../src/train/prune/channels/gates.ts'
import { channelGroups } from '../../../../src/train/prune/channels/groups.ts'
import { removeChannels } from '../../../../src/train/prune/channels/remove.ts'
import { SmallGraph } from '../../../targets/small-graphs.ts'
import { assertSameWithout, someGroups } from './same-function.ts'

const relu: Op = { kind: 'Relu' }
const add: Op = { kind: 'Binary', fn: 'Add' }
const mul: Op = { kind: 'Binary', fn: 'Mul' }
const pool: Op = { kind: 'GlobalAveragePool', layout: 'channels-first' }
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: true }

/** How many groups each layer has. */
function groupCounts(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { layer } of channelGroups(graph)) counts[layer] = (counts[layer] ?? 0) + 1
  return counts
}

async function holds(
  graph: Graph,
  counts: Record<string, number>,
  layouts = ['channels-first', 'channels-last'],
) {
  for (const layout of layouts) {
    const placed = convertLayout(graph, layout as 'channels-first')
    assert.deepEqual(groupCounts(placed), counts, layout)
    if (channelGroups(placed).length === 0) continue
    for (const seed of [1, 2, 3]) await assertSameWithout(placed, someGroups(placed, 0.5, seed))
  }
}

/** x → conv `a` → what stands between → conv `b` → output. */
function between(make: (small: SmallGraph, x: string) => string, channels = 8): Graph {
  const small = new SmallGraph()
  const x = small.conv(small.input('x', 1, 3, 6, 6), channels, {}, 'a')
  return small.finish(small.conv(make(small, x), 4, {}, 'b'))
}

test('channels of inputs and outputs stay', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 3, 6, 6)
  await holds(small.finish(small.conv(small.node(relu, [x]), 8, {}, 'only')), {})
})

test('both sides of a residual sum lose the same channels, in a chain of them', async () => {
  const small = new SmallGraph()
  let x = small.conv(small.input('x', 1, 3, 6, 6), 8, {}, 'stem')
  for (const name of ['first', 'second']) {
    const inner = small.node(relu, [small.conv(x, 6, {}, `${name}-in`)])
    x = small.node(relu, [small.node(add, [small.conv(inner, 8, {}, `${name}-out`), x])])
  }
  await holds(small.finish(small.conv(x, 4, {}, 'head')), { stem: 8, 'first-in': 6, 'second-in': 6 })
})

test('a shortcut that is padded with channels of zeros', async () => {
  const graph = between((small, x) => {
    const pads = { padsBegin: [0, 2, 0, 0], padsEnd: [0, 2, 0, 0] }
    const padded = small.node({ kind: 'Pad', mode: 'constant', value: 0, ...pads }, [x])
    return small.node(add, [small.conv(x, 12, {}, 'wide'), padded])
  })
  // the first and last two have no channel before the padding
  await holds(graph, { a: 8, wide: 4 })
})

test('cropping along the channels', async () => {
  const crop: Op = {
    kind: 'Pad',
    mode: 'constant',
    value: 0,
    padsBegin: [0, -2, 0, 0],
    padsEnd: [0, -1, 0, 0],
  }
  await holds(
    between((small, x) => small.node(crop, [x])),
    { a: 8 },
  )
})

test('a squeeze-and-excitation gate shrinks with what it scales', async () => {
  const graph = between((small, x) => {
    const squeezed = small.node({ kind: 'HardSwish' }, [
      small.conv(small.node(pool, [x]), 3, { kernel: 1 }, 'squeeze'),
    ])
    const gate = small.node({ kind: 'Sigmoid' }, [small.conv(squeezed, 8, { kernel: 1 }, 'excite')])
    return small.node(mul, [x, gate])
  })
  await holds(graph, { a: 8, squeeze: 3 })
})

test('each branch of a concatenation loses its own; what reads it loses at both places', async () => {
  const graph = between((small, x) => {
    const left = small.node(relu, [small.conv(x, 5, {}, 'left')])
    const both = small.node({ kind: 'Concat', axis: 1 }, [left, x])
    return small.node({ kind: 'Concat', axis: 1 }, [both, small.conv(both, 4, {}, 'dense')])
  })
  await holds(graph, { a: 8, left: 5, dense: 4 })
})

test('a concatenation with the input of the graph keeps those channels', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 3, 6, 6)
  const both = small.node({ kind: 'Concat', axis: 1 }, [x, small.conv(x, 6, {}, 'a')])
  await holds(small.finish(small.conv(both, 4, {}, 'b')), { a: 6 })
})

test('parts of a split are whole tensors: each keeps a channel, sums of parts tie them', async () => {
  const graph = between((small, x) => {
    const [first, second, third] = small.nodeOutputs({ kind: 'Split', axis: 1, sizes: [3, 3, 2] }, [x])
    const sum = small.node(add, [first!, second!])
    return small.node({ kind: 'Concat', axis: 1 }, [sum, third!])
  })
  await holds(graph, { a: 5 })
})

test('a slice of channels, forwards and backwards; one with gaps keeps what it reads', async () => {
  const slice = (start: number, end: number, step: number): Op => ({
    kind: 'Slice',
    axes: [1],
    starts: [start],
    ends: [end],
    steps: [step],
  })
  await holds(
    between((small, x) => small.node(slice(2, 2 ** 31, 1), [x])),
    { a: 8 },
  )
  await holds(
    between((small, x) => small.node(slice(-1, -99, -1), [x])),
    { a: 8 },
  )
  await holds(
    between((small, x) => small.node(slice(6, 1, -1), [x])),
    { a: 8 },
  )
  await holds(
    between((small, x) => small.node(slice(0, 8, 2), [x])),
    {},
  )
})

test('channels that are gathered by number are numbered anew', async () => {
  const graph = between((small, x) => {
    const order = small.integers([8], [7n, 2n, 0n, -3n, 4n, 1n, 6n, 3n])
    return small.node(add, [x, small.node({ kind: 'Gather', axis: 1 }, [x, order])])
  })
  // six of them go round in the order, two stay where they are
  await holds(graph, { a: 3 }, ['channels-first'])
})

test('a depthwise convolution goes with what it reads, its multiples too', async () => {
  await holds(
    between((small, x) => small.conv(x, 8, { group: 8 }, 'depthwise')),
    { a: 8 },
  )
  await holds(
    between((small, x) => small.conv(x, 16, { group: 8 }, 'depthwise')),
    { a: 8 },
  )
})

test('a depthwise convolution of the input keeps the groups and loses multiples', async () => {
  const small = new SmallGraph()
  const x = small.conv(small.input('x', 1, 3, 6, 6), 12, { group: 3 }, 'first')
  await holds(small.finish(small.conv(small.node(relu, [x]), 4, {}, 'b')), { first: 4 }, ['channels-first'])
})

test('few large groups lose the same places in each; many small ones go as a whole', async () => {
  // 2 groups of 6: places 6 in, 5 out
  const places = between((small, x) => small.conv(x, 10, { group: 2 }, 'grouped'), 12)
  await holds(places, { a: 6, grouped: 5 }, ['channels-first'])
  // 8 groups of 2: as a whole
  const whole = between((small, x) => small.conv(x, 16, { group: 8 }, 'grouped'), 16)
  await holds(whole, { a: 8 }, ['channels-first'])
  for (const graph of [places, whole]) {
    const { nodes } = removeChannels(graph, new Set([1]))
    const { op } = nodes.find(({ name }) => name === 'grouped')!
    assert.equal(op.kind === 'Conv' && op.group, graph === places ? 2 : 7)
  }
})

test('a channel shuffle between grouped convolutions', async () => {
  const graph = between((small, x) => {
    const grouped = small.conv(x, 12, { group: 3, kernel: 1 }, 'squeeze')
    const apart = small.node({ kind: 'Reshape', shape: [1, 3, 4, 6, 6] }, [grouped])
    const turned = small.node({ kind: 'Transpose', perm: [0, 2, 1, 3, 4] }, [apart])
    const shuffled = small.node({ kind: 'Reshape', shape: [1, 12, 6, 6] }, [turned])
    return small.conv(shuffled, 12, { group: 12 }, 'depthwise')
  }, 12)
  await holds(graph, { a: 4, squeeze: 4 }, ['channels-first'])
})

test('transposed convolutions: plain, depthwise, in groups', async () => {
  const transposed = (small: SmallGraph, x: string, perGroup: number, group: number) => {
    const channels = small.editor.type(x).shape[1]!
    const op: Op = {
      kind: 'ConvTranspose',
      group,
      outputPadding: [0, 0],
      layout: 'channels-first',
      strides: [2, 2],
      dilations: [1, 1],
      padsBegin: [0, 0],
      padsEnd: [0, 0],
    }
    return small.node(
      op,
      [x, small.weights([channels, perGroup, 2, 2]), small.weights([perGroup * group])],
      'up',
    )
  }
  await holds(
    between((small, x) => transposed(small, x, 5, 1)),
    { a: 8, up: 5 },
    ['channels-first'],
  )
  await holds(
    between((small, x) => transposed(small, x, 1, 8)),
    { a: 8 },
    ['channels-first'],
  )
  await holds(
    between((small, x) => transposed(small, x, 3, 2)),
    { a: 4, up: 3 },
    ['channels-first'],
  )
})

test('a flattened picture, transposed before, and a dense layer', async () => {
  for (const perm of [
    [0, 1, 2, 3],
    [0, 2, 3, 1],
  ]) {
    const small = new SmallGraph()
    const x = small.conv(small.input('x', 1, 3, 4, 4), 6, {}, 'a')
    const turned = small.node({ kind: 'Transpose', perm }, [small.node(relu, [x])])
    const flat = small.node({ kind: 'Reshape', shape: [1, 96] }, [turned])
    const hidden = small.node(gemm, [flat, small.weights([7, 96], 0.2), small.weights([7])], 'hidden')
    const classes = small.node(gemm, [
      small.node(relu, [hidden]),
      small.weights([5, 7]),
      small.weights([1, 5]),
    ])
    const scores = small.node({ kind: 'Softmax', axis: 1 }, [classes])
    await holds(small.finish(scores), { a: 6, hidden: 7 }, ['channels-first'])
  }
})

test('batch normalization, slopes, scales and shifts along the channels are cut', async () => {
  const graph = between((small, x) => {
    const vectors = [1, 2, 3].map(() => small.weights([8]))
    const norm: Op = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }
    const normed = small.node(norm, [x, ...vectors, small.weights([8], 0.2, 1)])
    const sloped = small.node({ kind: 'PRelu' }, [normed, small.weights([8, 1, 1])])
    const scaled = small.node(mul, [sloped, small.weights([1, 8, 1, 1])])
    const placed = small.node(add, [small.weights([8, 6, 6]), scaled])
    return small.node(add, [placed, small.weights([1])])
  })
  await holds(graph, { a: 8 }, ['channels-first'])
})

test('instance normalization keeps channels apart, layer normalization needs them all', async () => {
  await holds(
    between((small, x) =>
      small.node({ kind: 'InstanceNormalization', epsilon: 1e-3 }, [
        x,
        small.weights([8]),
        small.weights([8]),
      ]),
    ),
    { a: 8 },
    ['channels-first'],
  )
  await holds(
    between((small, x) =>
      small.node({ kind: 'LayerNormalization', axis: 1, epsilon: 1e-3 }, [x, small.weights([8, 6, 6])]),
    ),
    {},
    ['channels-first'],
  )
})

test('what mixes all channels pins them: softmax and means along them', async () => {
  await holds(
    between((small, x) => small.node({ kind: 'Softmax', axis: 1 }, [x])),
    {},
    ['channels-first'],
  )
  const mean: Op = { kind: 'Reduce', fn: 'Mean', axes: [1], keepDims: true }
  await holds(
    between((small, x) => small.node(mul, [x, small.node(mean, [x])])),
    {},
    ['channels-first'],
  )
})

test('depth to space ties a block, space to depth repeats it', async () => {
  for (const mode of ['DCR', 'CRD'] as const) {
    const shuffle: Op = { kind: 'DepthToSpace', blockSize: 2, mode, layout: 'channels-first' }
    await holds(
      between((small, x) => small.node(shuffle, [x])),
      { a: 2 },
      ['channels-first'],
    )
  }
  const fold: Op = { kind: 'SpaceToDepth', blockSize: 2, layout: 'channels-first' }
  await holds(
    between((small, x) => small.node(fold, [x])),
    { a: 8 },
    ['channels-first'],
  )
})

test('sizes that operators state become those of what is left', async () => {
  const graph = between((small, x) => {
    const squeezed = small.node(pool, [x])
    const spread = small.node({ kind: 'Expand', shape: [1, 8, 6, 6] }, [squeezed])
    const larger = small.node(
      {
        kind: 'Resize',
        mode: 'nearest',
        sizes: [1, 8, 12, 12],
        scales: [1, 1, 2, 2],
        coordinateTransformation: 'asymmetric',
        nearestMode: 'floor',
        cubicCoefficient: -0.75,
        excludeOutside: false,
        extrapolationValue: 0,
        roi: null,
        antialias: false,
        layout: 'channels-first',
      },
      [small.node(add, [x, spread])],
    )
    return small.node({ kind: 'Tile', repeats: [1, 2, 1, 1] }, [larger])
  })
  await holds(graph, { a: 8 }, ['channels-first'])
})

function attention(): Graph {
  const small = new SmallGraph()
  const tokens = small.input('x', 1, 5, 6)
  const dense = (x: string, from: number, to: number, name: string) =>
    small.node({ kind: 'MatMul' }, [x, small.weights([from, to])], name)
  const x = dense(tokens, 6, 10, 'embed')
  const heads = (name: string, perm: number[]) => {
    const made = small.node(add, [dense(x, 10, 12, name), small.weights([12])])
    const apart = small.node({ kind: 'Reshape', shape: [1, 5, 3, 4] }, [made])
    return small.node({ kind: 'Transpose', perm }, [apart])
  }
  const scores = small.node({ kind: 'MatMul' }, [heads('q', [0, 2, 1, 3]), heads('k', [0, 2, 3, 1])])
  const weights = small.node({ kind: 'Softmax', axis: 3 }, [scores])
  const mixed = small.node({ kind: 'MatMul' }, [weights, heads('v', [0, 2, 1, 3])])
  const joined = small.node({ kind: 'Reshape', shape: [1, 5, 12] }, [
    small.node({ kind: 'Transpose', perm: [0, 2, 1, 3] }, [mixed]),
  ])
  const out = small.node(add, [x, dense(joined, 12, 10, 'out')])
  return small.finish(dense(out, 10, 3, 'head'))
}

test('attention: of each head the same places, keys with queries, values, and the network around it', async () => {
  await holds(attention(), { embed: 10, q: 4, v: 4 }, ['channels-first'])
})

test('gates of attention are parameters of the open network', () => {
  const { graph, gates } = gatedGraph(attention())
  const { parameters } = openNetwork(graph, { batchSize: 1, batchNorm: 'frozen' })
  const shapes = new Map(parameters.map(({ name, shape }) => [name, shape]))
  // what q, k and v read; q for the scores; v, mixed, where its heads are joined; what the head reads
  assert.deepEqual(
    gates.map(({ name }) => shapes.get(name)),
    [[10], [12], [12], [10]],
  )
})

test('weights on the left, transposed operands, a sum of two products', async () => {
  const small = new SmallGraph()
  const x = small.input('x', 3, 4)
  const left = small.node({ kind: 'MatMul' }, [small.weights([7, 3]), x], 'left')
  const hidden = small.node(relu, [left])
  const turned: Op = { kind: 'Gemm', alpha: 0.5, beta: 2, transA: true, transB: false }
  const made = small.node(turned, [hidden, small.weights([7, 6]), small.weights([4, 6])], 'turned')
  const plain: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
  const last = small.node(plain, [made, small.weights([6, 2]), null])
  await holds(small.finish(last), { left: 7, turned: 6 }, ['channels-first'])
})

test('layers that share a kernel still share it afterwards', async () => {
  const small = new SmallGraph()
  const [kernel, bias] = [small.weights([6, 3, 1, 1]), small.weights([6])]
  const conv = (x: string, name: string) =>
    small.node(
      {
        kind: 'Conv',
        group: 1,
        layout: 'channels-first',
        strides: [1, 1],
        dilations: [1, 1],
        padsBegin: [0, 0],
        padsEnd: [0, 0],
      },
      [x, kernel, bias],
      name,
    )
  const left = conv(small.input('x', 1, 3, 4, 4), 'left')
  const right = conv(small.input('y', 1, 3, 4, 4), 'right')
  const graph = small.finish(
    small.conv(small.node(relu, [left]), 4, {}, 'b'),
    small.conv(small.node(relu, [right]), 4, {}, 'c'),
  )
  await holds(graph, { left: 6 }, ['channels-first'])
  const pruned = removeChannels(graph, new Set([2, 3]))
  const kernels = pruned.nodes
    .filter(({ name }) => ['left', 'right'].includes(name))
    .map(({ inputs }) => inputs[1])
  assert.equal(kernels[0], kernels[1])
  assert.equal(kernels[0], kernel)
})

test('equal biases of layers that shrink differently part', async () => {
  const small = new SmallGraph()
  const zeros = small.constant([6], [1, 2, 3, 4, 5, 6])
  let x = small.input('x', 1, 3, 4, 4)
  for (const name of ['one', 'two']) {
    const from = small.editor.type(x).shape[1]!
    const op: Op = {
      kind: 'Conv',
      group: 1,
      layout: 'channels-first',
      strides: [1, 1],
      dilations: [1, 1],
      padsBegin: [0, 0],
      padsEnd: [0, 0],
    }
    x = small.node(relu, [small.node(op, [x, small.weights([6, from, 1, 1]), zeros], name)])
  }
  await holds(small.finish(small.conv(x, 3, {}, 'b')), { one: 6, two: 6 }, ['channels-first'])
})

test('columns of an embedding table are channels', async () => {
  const small = new SmallGraph()
  const table = small.weights([9, 6])
  const indices = small.integers([4], [3n, 1n, 8n, 0n])
  const x = small.node({ kind: 'Gather', axis: 0 }, [table, indices], 'embedding')
  const scaled = small.node(mul, [x, small.input('x', 4, 1)])
  const out = small.node({ kind: 'MatMul' }, [small.node(relu, [scaled]), small.weights([6, 3])])
  await holds(small.finish(out), { embedding: 6 }, ['channels-first'])
})

test('what an unknown operator sees stays, and so does what meets its result', () => {
  const graph = between((small, x) => {
    const op: Op = {
      kind: 'Opaque',
      format: 'onnx',
      domain: '',
      opType: 'Celu',
      opset: 13,
      payload: new Uint8Array(),
      captures: [],
    }
    small.editor.addNode({
      name: 'celu',
      op,
      inputs: [x],
      outputs: [{ name: 'y', type: small.editor.type(x) }],
    })
    return small.node(add, [small.conv(small.conv(x, 5, {}, 'free'), 8, {}, 'meets'), 'y'])
  })
  assert.deepEqual(groupCounts(graph), { free: 5 })
})

test('a constant that a subgraph uses by name, or that is an output, stays beside what is cut of it', () => {
  const small = new SmallGraph()
  const x = small.conv(small.input('x', 1, 3, 4, 4), 6, {}, 'a')
  const [scale, shift] = [small.weights([6, 1, 1]), small.weights([6, 1, 1])]
  const moved = small.node(add, [small.node(mul, [x, scale]), shift])
  const op: Op = {
    kind: 'Opaque',
    format: 'onnx',
    domain: '',
    opType: 'If',
    opset: 13,
    payload: new Uint8Array(),
    captures: [scale],
  }
  small.editor.addNode({
    name: 'if',
    op,
    inputs: [],
    outputs: [{ name: 'y', type: small.editor.type(scale) }],
  })
  const graph = small.finish(small.conv(moved, 4, {}, 'b'), 'y', shift)
  const pruned = removeChannels(graph, new Set([2]))
  for (const name of [scale, shift])
    assert.equal(pruned.values.get(name)!.constant, graph.values.get(name)!.constant)
  const [cut] = pruned.nodes.flatMap(({ op: { kind }, inputs }) => (kind === 'Binary' ? [inputs[1]!] : []))
  assert.deepEqual(pruned.values.get(cut!)!.type.shape, [5, 1, 1])
})

test('removing all channels of a layer, or what is no group, is refused', () => {
  const graph = between((small, x) => small.node(relu, [x]))
  const all = new Set(channelGroups(graph).map(({ id }) => id))
  assert.throws(() => removeChannels(graph, all), { code: 'USAGE', message: /all its channels/ })
  assert.throws(() => removeChannels(graph, new Set([0])), { code: 'USAGE' })
  assert.throws(() => removeChannels(graph, new Set([99])), { code: 'USAGE' })
  assert.equal(removeChannels(graph, new Set()), graph)
})
