import type { Op, Window } from '../../../src/graph/ops.ts'
import type { Graph } from '../../../src/graph/types.ts'
import { SmallGraph } from '../small-graphs.ts'

const relu: Op = { kind: 'Relu' }
export const add: Op = { kind: 'Binary', fn: 'Add' }
const average: Op = { kind: 'GlobalAveragePool', layout: 'channels-first' }

export function maxPool(kernel = 2): Op {
  const window: Window = { strides: [kernel, kernel], dilations: [1, 1], padsBegin: [0, 0], padsEnd: [0, 0] }
  return { kind: 'MaxPool', kernel: [kernel, kernel], ceilMode: false, layout: 'channels-first', ...window }
}

/** Two blocks, the first with the identity on its residual branch, the second with a convolution. */
export function residualBlocks(): Graph {
  const g = new SmallGraph('residual')
  const x = g.node(relu, [g.conv(g.input('x', 1, 16, 12, 12), 16, {}, 'stem')], 'stem_relu')
  const a = g.conv(g.node(relu, [g.conv(x, 16, {}, 'a1')], 'a1_relu'), 16, {}, 'a2')
  const y = g.node(relu, [g.node(add, [a, x], 'add1')], 'add1_relu')
  const b = g.conv(g.node(relu, [g.conv(y, 32, { stride: 2 }, 'b1')], 'b1_relu'), 32, {}, 'b2')
  const down = g.conv(y, 32, { kernel: 1, stride: 2, pad: 0 }, 'down')
  // the residual branch stands first here
  const z = g.node(relu, [g.node(add, [down, b], 'add2')], 'add2_relu')
  return g.finish(g.node(average, [z], 'average'))
}

/** Branches of unlike ranges that meet in a Concat, one through a pool, one read by another convolution too. */
export function concatAndPools(): Graph {
  const g = new SmallGraph('concat')
  const x = g.node(relu, [g.conv(g.input('x', 1, 16, 16, 16), 16, {}, 'stem')], 'stem_relu')
  const a = g.node(maxPool(), [g.node(relu, [g.conv(x, 16, {}, 'left')], 'left_relu')], 'left_pool')
  const b = g.node(relu, [g.conv(g.node(maxPool(), [x], 'right_pool'), 16, {}, 'right')], 'right_relu')
  const both = g.node({ kind: 'Concat', axis: 1 }, [a, b], 'concat')
  const side = g.node(relu, [g.conv(b, 16, {}, 'side')], 'side_relu')
  const main = g.node(relu, [g.conv(both, 16, { kernel: 1 }, 'main')], 'main_relu')
  const turned = g.node(
    { kind: 'Transpose', perm: [0, 1, 3, 2] },
    [g.node(maxPool(), [main], 'end_pool')],
    'turn',
  )
  return g.finish(g.conv(turned, 16, { kernel: 1 }, 'end'), g.node(average, [side], 'average'))
}

/** Self-attention and a feed-forward part with a Gelu, each behind a layer normalization and with a residual branch. */
export function transformerBlock(): Graph {
  const [tokens, width, heads] = [9, 32, 4]
  const g = new SmallGraph('transformer')
  const linear = (x: string, from: number, to: number, name: string) =>
    g.node(
      add,
      [
        g.node({ kind: 'MatMul' }, [x, g.weights([from, to], 1 / Math.sqrt(from))], name),
        g.weights([to], 0.1),
      ],
      `${name}_bias`,
    )
  const norm = (x: string, name: string) =>
    g.node(
      { kind: 'LayerNormalization', axis: 2, epsilon: 1e-5 },
      [x, g.weights([width], 0.2, 1), g.weights([width], 0.1)],
      name,
    )
  const split = (x: string, perm: number[], name: string) =>
    g.node(
      { kind: 'Transpose', perm },
      [g.node({ kind: 'Reshape', shape: [1, tokens, heads, width / heads] }, [x], `${name}_heads`)],
      `${name}_turned`,
    )
  const x = g.input('x', 1, tokens, width)
  const normal = norm(x, 'norm1')
  const q = split(linear(normal, width, width, 'q'), [0, 2, 1, 3], 'q')
  const k = split(linear(normal, width, width, 'k'), [0, 2, 3, 1], 'k')
  const v = split(linear(normal, width, width, 'v'), [0, 2, 1, 3], 'v')
  const scores = g.node(
    { kind: 'Binary', fn: 'Mul' },
    [g.node({ kind: 'MatMul' }, [q, k], 'scores'), g.constant([1], [Math.sqrt(heads / width)])],
    'scaled',
  )
  const mixed = g.node(
    { kind: 'MatMul' },
    [g.node({ kind: 'Softmax', axis: 3 }, [scores], 'softmax'), v],
    'mixed',
  )
  const joined = g.node(
    { kind: 'Reshape', shape: [1, tokens, width] },
    [g.node({ kind: 'Transpose', perm: [0, 2, 1, 3] }, [mixed], 'back')],
    'joined',
  )
  const attended = g.node(add, [linear(joined, width, width, 'out'), x], 'residual1')
  const hidden = g.node(
    { kind: 'Gelu', approximate: 'none' },
    [linear(norm(attended, 'norm2'), width, 2 * width, 'up')],
    'gelu',
  )
  const y = g.node(add, [linear(hidden, 2 * width, width, 'down'), attended], 'residual2')
  // one token is taken: a vector times a matrix
  const first = g.node({ kind: 'Slice', axes: [1], starts: [0], ends: [1], steps: [1] }, [y], 'first')
  return g.finish(linear(first, width, 10, 'head'))
}
