import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EdgewrightError } from '../../src/error.ts'
import { createOnnxEvaluator } from '../../src/execute/onnxruntime.ts'
import { writeOnnx } from '../../src/formats/onnx/write.ts'
import type { Tensor } from '../../src/tensor.ts'
import { GraphBuilder } from '../../src/train/builder.ts'
import { gradientsOf } from '../../src/train/differentiate.ts'

test('a value that is used twice has the sum of both gradients', async () => {
  const b = GraphBuilder.empty('twice')
  const x = b.input('x', [2])
  const y = b.mul(x, b.scalar(3))
  // y + y² + x by x: 3 + 18x + 1
  const loss = b.reduceAll('Sum', b.add(b.add(y, b.mul(y, y)), x))
  assert.deepEqual(await gradients(b, loss, { x: [1, -2] }), { x: [22, -32] })
})

test('a value that the loss does not come from is left out', () => {
  const b = GraphBuilder.empty('beside')
  const [x, beside, behind] = [b.input('x', [2]), b.input('beside', [2]), b.input('behind', [2])]
  const loss = b.reduceAll('Sum', b.mul(x, x))
  b.mul(loss, behind)
  assert.deepEqual([...gradientsOf(b, loss, [x, beside, behind]).keys()], [x])
})

test('the loss itself, and values in the middle, have gradients', async () => {
  const b = GraphBuilder.empty('middle')
  const x = b.input('x', [2])
  const y = b.mul(x, x)
  const loss = b.reduceAll('Sum', b.mul(y, b.scalar(5)))
  assert.deepEqual(await gradients(b, loss, { x: [1, 2] }, [y, x, loss]), {
    [y]: [5, 5],
    x: [10, 20],
    [loss]: [1],
  })
})

test('nothing is made for operands that no gradient is asked for', () => {
  const b = GraphBuilder.empty('frozen')
  const [x, w] = [b.input('x', [64, 32]), b.input('w', [32, 8])]
  const loss = b.reduceAll('Sum', b.matMul(b.op({ kind: 'Softmax', axis: 1 }, [x]), w))
  const before = b.editor.nodes.length
  const made = gradientsOf(b, loss, [w])
  const kinds = b.editor.nodes.slice(before).map(({ op }) => op.kind)
  assert.deepEqual([...made.keys()], [w])
  // one product, no way back into the Softmax
  assert.deepEqual(kinds.filter((kind) => kind === 'MatMul' || kind === 'Gemm').length, 1)
  assert.ok(!kinds.includes('Reduce') && !kinds.includes('Binary'), kinds.join(', '))
})

test('an operator without gradient on the way is refused by its name and with a reason', () => {
  const b = GraphBuilder.empty('refused')
  const x = b.input('x', [2, 3])
  const [odd] = b.stock('Celu', [b.mul(x, x)], [{ shape: [2, 3] }])
  const loss = b.reduceAll('Sum', odd!)
  assert.throws(
    () => gradientsOf(b, loss, [x]),
    (error) =>
      error instanceof EdgewrightError &&
      error.code === 'OPERATOR_UNSUPPORTED' &&
      error.where === odd &&
      /^Celu: .{10,}/.test(error.saw ?? '') &&
      error.hint !== undefined,
  )
})

test('an operator without gradient beside the way is no matter', async () => {
  const b = GraphBuilder.empty('beside')
  const [x, w] = [b.input('x', [2]), b.input('w', [2])]
  // in front of what is trained, and an index that selects
  const [odd] = b.stock('Celu', [x], [{ shape: [2] }])
  const best = b.op({ kind: 'ArgMax', axis: 0, keepDims: true, selectLastIndex: false }, [w])
  const chosen = b.op({ kind: 'Gather', axis: 0 }, [w, best])
  const loss = b.reduceAll('Sum', b.mul(b.mul(odd!, w), chosen))
  // (2·3 + 5·4)·4: by w₀ 2·4, by w₁ 5·4 + 26
  assert.deepEqual(await gradients(b, loss, { x: [2, 5], w: [3, 4] }, [w]), { w: [8, 46] })
})

test('a gradient does not pass through integers and truth values', async () => {
  const b = GraphBuilder.empty('integers')
  const x = b.input('x', [3])
  const whole = b.cast(b.cast(x, 'int64'), 'float32')
  const mask = b.mask('Greater', x, b.scalar(1))
  const loss = b.reduceAll('Sum', b.add(b.mul(whole, x), b.mul(mask, b.scalar(7))))
  assert.deepEqual(await gradients(b, loss, { x: [0.5, 1.5, 2.5] }), { x: [0, 1, 2] })
})

test('of several outputs each that is used gives its part', async () => {
  const b = GraphBuilder.empty('outputs')
  const x = b.input('x', [4])
  const [first, , last] = b.ops({ kind: 'Split', axis: 0, sizes: [1, 2, 1] }, [x], 3, 'split')
  const loss = b.reduceAll('Sum', b.mul(first!, last!))
  assert.deepEqual(await gradients(b, loss, { x: [2, 3, 4, 5] }), { x: [5, 0, 0, 2] })
})

test('a gradient of its own stands for all that the sub-graph does', async () => {
  const b = GraphBuilder.empty('straight through')
  const [x, scale] = [b.input('x', [3]), b.input('scale', [])]
  const steps = b.unary('Round', b.div(x, scale))
  const inner = b.mul(steps, scale)
  // a straight-through estimator: the rounding counts as if it were not there
  const rounded = b.customGradient(inner, [x, scale], ({ b: into, gradients: [dy], wants }) => [
    wants(0) ? dy! : null,
    wants(1) ? into.reduceAll('Sum', into.mul(dy!, into.scalar(10))) : null,
  ])
  const loss = b.reduceAll('Sum', b.mul(rounded, rounded))
  const feeds = { x: [0.9, 2.1, -1.4], scale: [2] }
  // rounded to 0, 2 and −2: 2·rounded, and ten times the sum of them
  assert.deepEqual(await gradients(b, loss, feeds), { x: [0, 4, -4], scale: [0] })
})

test('gradients of its own move with a graph that is opened again', () => {
  const b = GraphBuilder.empty('again')
  const x = b.input('x', [2])
  const y = b.customGradient(b.unary('Round', x), [x], ({ gradients: [dy] }) => [dy!])
  const loss = b.reduceAll('Sum', y)
  const again = new GraphBuilder(b.finish([loss]), b.customGradients)
  assert.equal(gradientsOf(again, loss, [x]).size, 1)
  assert.equal(gradientsOf(new GraphBuilder(b.finish([loss])), loss, [x]).size, 0)
})

test('a network of 20 000 operators in a row ends no stack, and what is made stays in proportion', () => {
  const b = GraphBuilder.empty('deep')
  const x = b.input('x', [1])
  let y = x
  for (let i = 0; i < 20_000; i++) y = b.unary(i % 2 === 0 ? 'Sin' : 'Neg', y)
  const gradient = gradientsOf(b, b.reduceAll('Sum', y), [x]).get(x)!
  const { nodes } = b.finish([gradient])
  // forward 20 000; back two for a sine, one for a sign
  assert.ok(nodes.length > 40_000 && nodes.length < 60_000, `${nodes.length}`)
})

test('a value with very many readers', () => {
  const b = GraphBuilder.empty('wide')
  const x = b.input('x', [1])
  const parts = Array.from({ length: 5000 }, () => b.unary('Neg', x))
  const loss = b.reduceAll('Sum', b.op({ kind: 'Concat', axis: 0 }, parts))
  const gradient = gradientsOf(b, loss, [x]).get(x)!
  assert.deepEqual(b.shape(gradient), [1])
  assert.ok(b.finish([gradient]).nodes.length < 25_000)
})

/** Gradients at a point, by ONNX Runtime; of all inputs unless others are asked for. */
async function gradients(
  b: GraphBuilder,
  loss: string,
  feeds: Readonly<Record<string, readonly number[]>>,
  wanted: readonly string[] = Object.keys(feeds),
): Promise<Record<string, number[]>> {
  const made = gradientsOf(b, loss, wanted)
  const evaluator = await createOnnxEvaluator(writeOnnx(b.finish([loss, ...new Set(made.values())])))
  try {
    const tensors = Object.entries(feeds).map(([name, data]): [string, Tensor] => [
      name,
      { dtype: 'float32', shape: b.shape(name), data: Float32Array.from(data) },
    ])
    const results = await evaluator.run(new Map(tensors))
    return Object.fromEntries(
      [...made].map(([name, gradient]) => {
        assert.deepEqual(b.shape(gradient), b.shape(name), 'a gradient has the shape of its value')
        // −0 is 0
        return [name, [...(results.get(gradient)!.data as Float32Array)].map((value) => value + 0)]
      }),
    )
  } finally {
    await evaluator.close()
  }
}
