import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersOf } from '../../src/graph/constant.ts'
import type { Op } from '../../src/graph/ops.ts'
import { biasHandovers, handOverBiases } from '../../src/passes/absorb-bias.ts'
import { convertLayout } from '../../src/passes/index.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'
import { assertSameFunction } from './run-pass.ts'

const relu: Op = { kind: 'Relu' }

/** Two layers with so much padding in the second; the first gives at least 3 whatever it reads of [−1, 1]. */
function layers(op: Op | null, pad = 0) {
  const small = new SmallGraph()
  const a = small.node(convOp({ pad: 0 }), [
    small.input('x', 1, 2, 6, 6),
    small.weights([4, 2, 3, 3], 0.1),
    small.weights([4], 0, 5),
  ])
  const read = op ? small.node(op, [a]) : a
  return small.finish(small.conv(read, 3, { pad, bias: false }))
}

for (const [name, op] of [
  ['ReLU', relu],
  ['ReLU6', { kind: 'Clip', min: 0, max: 7 }],
  ['nothing', null],
] as const)
  test(`a constant handed over across ${name} leaves the function as it is`, async () => {
    for (const layout of ['channels-first', 'channels-last'] as const) {
      const graph = convertLayout(layers(op), layout)
      const [handover, ...others] = biasHandovers(graph)
      assert.equal(others.length, 0)
      const constants = [3, 0, 1, 2]
      const moved = handOverBiases(graph, [{ handover: handover!, constants }])
      await assertSameFunction(convertLayout(graph, 'channels-first'), convertLayout(moved, 'channels-first'))
      const first = moved.nodes.find((node) => node.op.kind === 'Conv')!
      assert.deepEqual(numbersOf(moved.values.get(first.inputs[2]!)!.constant!), [2, 5, 4, 3])
    }
  })

test('by hand: what two matrix products gain is their weights times the constants', () => {
  const small = new SmallGraph()
  const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB: false }
  const hidden = small.node(relu, [
    small.node(
      gemm,
      [small.input('x', 1, 1), small.constant([1, 2], [1, 1]), small.constant([2], [10, 20])],
      'a',
    ),
  ])
  const matrix = small.constant([2, 2], [1, 2, 3, 4])
  const b = small.node(gemm, [hidden, matrix, small.constant([2], [0.5, 0])], 'b')
  const c = small.node(gemm, [hidden, matrix, null], 'c')
  const graph = small.finish(b, c)
  const [handover] = biasHandovers(graph)
  const moved = handOverBiases(graph, [{ handover: handover!, constants: [9, 15] }])
  const bias = (name: string) => {
    const node = moved.nodes.find((one) => one.name === name)!
    return numbersOf(moved.values.get(node.inputs[2]!)!.constant!)
  }
  assert.deepEqual(
    [bias('a'), bias('b'), bias('c')],
    [
      [1, 5],
      [54.5, 78],
      [54, 78],
    ],
  )
})

test('nothing is handed to a layer with zero padding, past a sum, or where the value leaves the graph', () => {
  assert.deepEqual(biasHandovers(layers(relu, 1)), [])
  assert.deepEqual(biasHandovers(layers({ kind: 'HardSwish' })), [])

  const summed = new SmallGraph()
  const y = summed.conv(summed.input('x', 1, 4, 6, 6), 4)
  summed.conv(y, 4, { kernel: 1 })
  const sum = summed.node({ kind: 'Binary', fn: 'Add' }, [y, summed.conv(y, 4, { kernel: 1 })])
  assert.deepEqual(biasHandovers(summed.finish(sum)), [])

  const seen = new SmallGraph()
  const z = seen.conv(seen.input('x', 1, 4, 6, 6), 4)
  assert.deepEqual(biasHandovers(seen.finish(seen.conv(z, 4, { kernel: 1 }), z)), [])
})
