import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import type { Op } from '../../src/graph/ops.ts'
import type { Graph } from '../../src/graph/types.ts'
import { verifyGraph } from '../../src/graph/verify.ts'
import { batchOf, rebatch } from '../../src/train/rebatch.ts'
import { fixturesMissing } from '../fixtures.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { assertRowByRow, assertSameGraph, floatNetworks, readGraph } from './float-networks.ts'

describe('a network for several samples at a time gives row by row what it gives for one', {
  skip: fixturesMissing,
}, () => {
  for (const [name, path] of Object.entries(floatNetworks))
    test(name, async () => {
      const graph = await readGraph(path)
      const batched = rebatch(graph, 3)
      verifyGraph(batched)
      assert.equal(batchOf(batched), 3)
      await assertRowByRow(graph, batched, 3)
      assertSameGraph(rebatch(batched, 1), graph)
      assertSameGraph(rebatch(rebatch(graph, 5), 3), batched)
    })
})

const reshape = (...shape: number[]): Op => ({ kind: 'Reshape', shape })
const transpose = (...perm: number[]): Op => ({ kind: 'Transpose', perm })
const binary = (fn: 'Add' | 'Mul' | 'Max'): Op => ({ kind: 'Binary', fn })
const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
const reduce = (axes: number[], keepDims = false): Op => ({ kind: 'Reduce', fn: 'Mean', axes, keepDims })

function small(build: (g: SmallGraph, x: string) => string, shape = [1, 4, 6]): Graph {
  const g = new SmallGraph()
  return g.finish(build(g, g.input('x', ...shape)))
}

describe('the batch is followed', () => {
  const followed: Record<string, Graph> = {
    'through rows that a matrix product takes together, and what is added to each row': small((g, x) => {
      const rows = g.node(gemm, [g.node(reshape(4, 6), [x]), g.weights([6, 5]), g.weights([4, 5])])
      const sums = g.node(binary('Add'), [rows, g.weights([4, 1])])
      return g.node(reshape(1, 4, 5), [g.node({ kind: 'Relu' }, [sums])])
    }),
    'through heads that stand beside it on one axis': small((g, x) => {
      const heads = g.node(transpose(0, 2, 1, 3), [g.node(reshape(1, 4, 2, 3), [x])])
      const joined = g.node(reshape(2, 4, 3), [heads])
      const scores = g.node({ kind: 'MatMul' }, [joined, g.node(transpose(0, 2, 1), [joined])])
      const mixed = g.node({ kind: 'MatMul' }, [g.node({ kind: 'Softmax', axis: 2 }, [scores]), joined])
      const apart = g.node(transpose(0, 2, 1, 3), [g.node(reshape(1, 2, 4, 3), [mixed])])
      return g.node(reshape(1, 4, 6), [apart])
    }),
    'where it is not the first axis for a while': small((g, x) => {
      const last = g.node(transpose(1, 2, 0), [x])
      const wide = g.node({ kind: 'Concat', axis: 0 }, [last, g.node({ kind: 'Sigmoid' }, [last])])
      const product = g.node({ kind: 'MatMul' }, [g.weights([7, 6]), wide])
      return g.node(reduce([1]), [g.node(transpose(2, 0, 1), [product])])
    }),
    'where operators state its size': small((g, x) => {
      const sliced = g.node({ kind: 'Slice', axes: [0, 1], starts: [0, 1], ends: [1, 3], steps: [1, 1] }, [x])
      const pooled = g.node({ kind: 'Expand', shape: [1, 2, 6] }, [g.node(reduce([1], true), [sliced])])
      const tiled = g.node({ kind: 'Tile', repeats: [1, 2, 1] }, [pooled])
      return g.node({ kind: 'Pad', mode: 'constant', padsBegin: [0, 1, 0], padsEnd: [0, 0, 2], value: 1 }, [
        tiled,
      ])
    }),
    'to constants that were one sample’s': small((g, x) => {
      const token = g.weights([1, 1, 6])
      const first = g.node({ kind: 'Concat', axis: 1 }, [token, x])
      // the same constant again: it is repeated once
      return g.node({ kind: 'Concat', axis: 1 }, [first, token])
    }),
    'through a lookup': (() => {
      const g = new SmallGraph()
      const x = g.input('x', 1, 4, 6)
      const picked = g.node({ kind: 'Gather', axis: 1 }, [x, g.integers([2], [3n, 0n])])
      const largest = g.node({ kind: 'ArgMax', axis: 2, keepDims: false, selectLastIndex: false }, [picked])
      return g.finish(g.node({ kind: 'Gather', axis: 0 }, [g.weights([6, 3]), largest]))
    })(),
    'through a window, a normalization and a resize': small(
      (g, x) => {
        const conv = g.conv(x, 4)
        const each = (shift: number) => g.weights([4], 0.3, shift)
        const norm: Op = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }
        const normal = g.node(norm, [conv, each(1), each(0), each(0), each(1)])
        const instance = g.node({ kind: 'InstanceNormalization', epsilon: 1e-3 }, [normal, each(1), each(0)])
        return g.node(
          {
            kind: 'Resize',
            mode: 'nearest',
            sizes: [1, 4, 10, 10],
            scales: [1, 1, 2, 2],
            layout: 'channels-first',
            coordinateTransformation: 'asymmetric',
            nearestMode: 'floor',
            cubicCoefficient: -0.75,
            excludeOutside: false,
            extrapolationValue: 0,
            roi: null,
            antialias: false,
          },
          [instance],
        )
      },
      [1, 3, 5, 5],
    ),
  }
  for (const [name, graph] of Object.entries(followed))
    test(name, async () => {
      const batched = rebatch(graph, 3)
      verifyGraph(batched)
      await assertRowByRow(graph, batched, 3)
      assertSameGraph(rebatch(batched, 1), graph)
    })
})

test('a batch that is as wanted changes nothing', () => {
  const graph = small((g, x) => g.node({ kind: 'Relu' }, [x]))
  assert.equal(rebatch(graph, 1), graph)
})

test('what a graph’s names look like does not make a repetition of its own one of ours', async () => {
  const graph = small((g, x) => {
    const twice = g.node({ kind: 'Tile', repeats: [1, 2, 1] }, [g.weights([1, 2, 6])], 'w_for_each_sample_1')
    return g.node(binary('Add'), [x, twice])
  })
  await assertRowByRow(graph, rebatch(graph, 2), 2)
})

describe('a network that mixes samples is refused with the operator’s name', () => {
  const opaque: Op = {
    kind: 'Opaque',
    format: 'onnx',
    domain: '',
    opType: 'NonMaxSuppression',
    opset: 13,
    payload: new Uint8Array(),
    captures: [],
  }
  const mixing: Record<string, [build: (g: SmallGraph, x: string) => string, saw: RegExp, shape?: number[]]> =
    {
      'a mean over samples': [
        (g, x) => g.node(reduce([0]), [x], 'mixer'),
        /Reduce: it reduces over the samples/,
      ],
      'a softmax over samples': [
        (g, x) => g.node({ kind: 'Softmax', axis: 0 }, [x], 'mixer'),
        /Softmax: it works along the axis of the samples/,
      ],
      'samples that stay joined with rows': [
        (g, x) => g.node({ kind: 'MatMul' }, [g.node(reshape(6, 4), [x]), g.weights([4, 2])], 'rows'),
        /first axis/,
      ],
      'a sum over samples': [
        (g, x) => g.node({ kind: 'MatMul' }, [g.weights([2, 4]), g.node(reshape(4, 6), [x])], 'mixer'),
        /MatMul: it sums over the samples/,
      ],
      'each sample with each': [
        (g, x) => {
          const rows = g.node(reshape(1, 24), [x])
          return g.node({ kind: 'MatMul' }, [rows, g.node(transpose(1, 0), [rows])], 'mixer')
        },
        /MatMul: both operands have samples and it takes each with each/,
      ],
      'samples side by side': [
        (g, x) => g.node({ kind: 'Concat', axis: 0 }, [x, x], 'mixer'),
        /Concat: it joins along the axis of the samples/,
      ],
      'samples repeated': [
        (g, x) => g.node({ kind: 'Expand', shape: [3, 4, 6] }, [x], 'mixer'),
        /Expand: it repeats the samples/,
      ],
      'an operator that nobody knows': [
        (g, x) => {
          const type = g.editor.type(x)
          g.editor.addNode({ name: 'mixer', op: opaque, inputs: [x], outputs: [{ name: 'y', type }] })
          return 'y'
        },
        /NonMaxSuppression: it is not known what it does with them/,
      ],
      'constants for each of two samples': [
        (g, x) => g.node(binary('Mul'), [x, g.weights([2, 1, 1])], 'mixer'),
        /Binary: a constant operand has values for each sample/,
        [2, 4, 6],
      ],
      'a second sample taken': [
        (g, x) => g.node({ kind: 'Slice', axes: [0], starts: [1], ends: [2], steps: [1] }, [x], 'mixer'),
        /Slice: it takes some of the samples/,
        [2, 4, 6],
      ],
    }
  for (const [name, [build, saw, shape]] of Object.entries(mixing))
    test(name, () => {
      const graph = small(build, shape)
      assert.throws(
        () => rebatch(graph, 4),
        (error) => {
          assert.ok(error instanceof EdgewrightError)
          assert.equal(error.code, 'OPERATOR_UNSUPPORTED')
          const all = `${error.message} ${error.where} ${error.saw}`
          assert.match(all, saw)
          assert.equal(error.hint, `Train it with batch ${(shape ?? [1])[0]}.`)
          return true
        },
      )
    })
})

test('inputs must agree on the number of samples, and it must be one', () => {
  const g = new SmallGraph()
  const sum = g.node(binary('Add'), [g.input('x', 2, 3), g.input('y', 1, 3)])
  const graph = g.finish(sum)
  assert.throws(() => rebatch(graph, 4), { code: 'GRAPH_INVALID', saw: 'x: 2, y: 1' })
  const plain = small((s, x) => s.node({ kind: 'Relu' }, [x]))
  for (const size of [0, -1, 1.5, Number.NaN]) assert.throws(() => rebatch(plain, size), { code: 'USAGE' })
})
