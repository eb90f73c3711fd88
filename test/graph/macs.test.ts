import assert from 'node:assert/strict'
import { test } from 'node:test'
import { macsOf } from '../../src/graph/macs.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'

test('multiply-accumulates of each operator are those of its loops', () => {
  const small = new SmallGraph()
  const x = small.input('x', 1, 4, 6, 6)
  const plain = small.conv(x, 8, { kernel: 3, stride: 2 }, 'plain')
  const depthwise = small.conv(plain, 8, { kernel: 3, group: 8 }, 'depthwise')
  const transposed = small.node(
    { ...convOp({ pad: 0, stride: 2 }), kind: 'ConvTranspose', outputPadding: [0, 0] } as never,
    [depthwise, small.weights([8, 5, 2, 2])],
    'transposed',
  )
  const flat = small.node({ kind: 'Reshape', shape: [36, 5] }, [transposed], 'flat')
  const product = small.node({ kind: 'MatMul' }, [flat, small.weights([5, 7])], 'product')
  const gemm = small.node(
    { kind: 'Gemm', alpha: 1, beta: 1, transA: true, transB: false },
    [product, small.weights([36, 3])],
    'gemm',
  )
  const graph = small.finish(gemm)
  const macs = Object.fromEntries(graph.nodes.map((node) => [node.name, macsOf(node, graph)]))
  assert.deepEqual(macs, {
    plain: 3 * 3 * 8 * (4 * 3 * 3),
    depthwise: 3 * 3 * 8 * (3 * 3),
    // every input element goes to 5 channels of 2×2
    transposed: 3 * 3 * 8 * (5 * 2 * 2),
    flat: 0,
    product: 36 * 7 * 5,
    gemm: 7 * 3 * 36,
  })
})
