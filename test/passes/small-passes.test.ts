import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../src/graph/ops.ts'
import { canonicalActivations } from '../../src/passes/canonical-activations.ts'
import { canonicalArithmetic } from '../../src/passes/canonical-arithmetic.ts'
import { eliminateDead } from '../../src/passes/eliminate-dead.ts'
import { foldConstants } from '../../src/passes/fold-constants.ts'
import { foldPad } from '../../src/passes/fold-pad.ts'
import { fuseMatMulAdd } from '../../src/passes/fuse-matmul-add.ts'
import { mergeMovements } from '../../src/passes/merge-movements.ts'
import { type Pass, runPasses } from '../../src/passes/pass.ts'
import { removeNoOps } from '../../src/passes/remove-no-ops.ts'
import { SmallGraph } from '../targets/small-graphs.ts'
import { evaluatorOf, runPass } from './run-pass.ts'

const add: Op = { kind: 'Binary', fn: 'Add' }
const mul: Op = { kind: 'Binary', fn: 'Mul' }
const pad = (value: number, mode: 'constant' | 'reflect' = 'constant'): Op => ({
  kind: 'Pad',
  mode,
  padsBegin: [0, 0, 1, 2],
  padsEnd: [0, 0, 1, 0],
  value,
})

test('a subgraph of constants becomes one constant', async () => {
  const g = new SmallGraph()
  const w = g.node({ kind: 'Transpose', perm: [1, 0] }, [
    g.node({ kind: 'Reshape', shape: [4, 3] }, [g.weights([2, 6])]),
  ])
  const y = g.node({ kind: 'MatMul' }, [g.input('x', 2, 3), w])
  const { kinds, changed } = await runPass(foldConstants(evaluatorOf), g.finish(y))
  assert.deepEqual([kinds, changed], [['MatMul'], 2])
})

test('a constant that would grow by more than its limit stays an operator', async () => {
  const g = new SmallGraph()
  const big = g.node({ kind: 'Expand', shape: [5_000_000] }, [g.constant([1], [1])])
  const y = g.node({ kind: 'Reduce', fn: 'Max', axes: [0], keepDims: true }, [
    g.node(add, [g.input('x', 1), big]),
  ])
  const { changed, notes } = await foldConstants(evaluatorOf).run(g.finish(y))
  assert.equal(changed, 0)
  assert.match(notes[0]!.reason, /20000000 bytes/)
})

test('operators that return their operand disappear', async () => {
  const g = new SmallGraph()
  let x = g.conv(g.input('x', 1, 2, 4, 4), 2)
  x = g.node({ kind: 'Identity' }, [x])
  x = g.node({ kind: 'Reshape', shape: [1, 2, 4, 4] }, [x])
  x = g.node({ kind: 'Transpose', perm: [0, 1, 2, 3] }, [x])
  x = g.node({ kind: 'Pad', mode: 'constant', padsBegin: [0, 0, 0, 0], padsEnd: [0, 0, 0, 0], value: 0 }, [x])
  x = g.node(add, [x, g.constant([1], [0])])
  x = g.node(mul, [g.constant([], [1]), x])
  const { kinds, changed, graph } = await runPass(removeNoOps, g.finish(x))
  assert.deepEqual([kinds, changed], [['Conv'], 6])
  assert.deepEqual(graph.outputs, [x])
})

test('multiplying by 1 is kept where it broadcasts', async () => {
  const g = new SmallGraph()
  const y = g.node(mul, [g.conv(g.input('x', 1, 2, 4, 4), 2), g.constant([3, 1, 1, 1], [1, 1, 1])])
  const { changed } = await runPass(removeNoOps, g.finish(y))
  assert.equal(changed, 0)
})

test('an input given directly to an output keeps its Identity, and says so', async () => {
  const g = new SmallGraph()
  const y = g.node({ kind: 'Identity' }, [g.input('x', 2)])
  const { changed, notes } = await runPass(removeNoOps, g.finish(y))
  assert.equal(changed, 0)
  assert.match(notes[0]!.reason, /directly to an output/)
})

test('one value that feeds two outputs keeps both names', async () => {
  const g = new SmallGraph()
  const c = g.conv(g.input('x', 1, 2, 4, 4), 2)
  const a = g.node({ kind: 'Identity' }, [c])
  const b = g.node({ kind: 'Identity' }, [c])
  const { graph } = await runPass(removeNoOps, g.finish(a, b))
  assert.deepEqual(graph.outputs, [a, b])
})

test('reshapes and transposes in a row become one, or none', async () => {
  const g = new SmallGraph()
  let x = g.node({ kind: 'Transpose', perm: [0, 2, 3, 1] }, [g.conv(g.input('x', 1, 2, 4, 4), 2)])
  x = g.node({ kind: 'Transpose', perm: [0, 3, 1, 2] }, [x])
  x = g.node({ kind: 'Reshape', shape: [2, 16] }, [x])
  x = g.node({ kind: 'Reshape', shape: [32] }, [x])
  const merged = await runPass(mergeMovements, g.finish(x))
  assert.deepEqual(merged.kinds, ['Conv', 'Transpose', 'Reshape'])
  assert.deepEqual((await runPass(removeNoOps, merged.graph)).kinds, ['Conv', 'Reshape'])
})

test('MatMul and Add of a row become Gemm, over more than two axes too', async () => {
  for (const shape of [
    [3, 5],
    [2, 3, 5],
  ]) {
    const g = new SmallGraph()
    const product = g.node({ kind: 'MatMul' }, [g.input('x', ...shape), g.weights([5, 4])])
    const { kinds } = await runPass(fuseMatMulAdd, g.finish(g.node(add, [g.weights([4]), product])))
    assert.deepEqual(kinds, shape.length === 2 ? ['Gemm'] : ['Reshape', 'Gemm', 'Reshape'])
  }
})

test('MatMul and Add of a column stay, and say why', async () => {
  const g = new SmallGraph()
  const product = g.node({ kind: 'MatMul' }, [g.input('x', 4, 5), g.weights([5, 4])])
  const { changed, notes } = await runPass(fuseMatMulAdd, g.finish(g.node(add, [product, g.weights([4, 1])])))
  assert.equal(changed, 0)
  assert.match(notes[0]!.reason, /not one number a column/)
})

test('zero padding moves into a convolution and an average pool that counts it', async () => {
  const g = new SmallGraph()
  const c = g.conv(g.node(pad(0), [g.input('x', 1, 2, 6, 6)]), 2)
  const pool: Op = {
    kind: 'AveragePool',
    kernel: [2, 3],
    strides: [1, 1],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
    ceilMode: false,
    countIncludePad: false,
    layout: 'channels-first',
  }
  const { kinds } = await runPass(foldPad, g.finish(g.node(pool, [g.node(pad(0), [c])])))
  assert.deepEqual(kinds, ['Conv', 'AveragePool'])
})

test('padding with a number or a reflection, or that a max pool reads, stays', async () => {
  const reasons = []
  for (const op of [pad(1), pad(0, 'reflect')]) {
    const g = new SmallGraph()
    reasons.push(
      (await runPass(foldPad, g.finish(g.conv(g.node(op, [g.input('x', 1, 2, 6, 6)]), 2)))).notes[0]!.reason,
    )
  }
  const g = new SmallGraph()
  const pool: Op = {
    kind: 'MaxPool',
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    padsBegin: [0, 0],
    padsEnd: [0, 0],
    ceilMode: false,
    layout: 'channels-first',
  }
  reasons.push(
    (await runPass(foldPad, g.finish(g.node(pool, [g.node(pad(0), [g.input('x', 1, 2, 6, 6)])])))).notes[0]!
      .reason,
  )
  assert.deepEqual(
    reasons.map((reason) => reason.replace(/^kept: /, '')),
    ['it does not pad with zeros', 'it does not pad with zeros', `${'n1'} takes no zero padding`],
  )
})

test('hard-swish as exporters spell it becomes HardSwish', async () => {
  const spellings: ((g: SmallGraph, x: string) => string)[] = [
    (g, x) => g.node(mul, [x, g.node({ kind: 'HardSigmoid', alpha: 1 / 6, beta: 0.5 }, [x])]),
    (g, x) => g.node({ kind: 'Binary', fn: 'Div' }, [g.node(mul, [x, gate(g, x)]), g.constant([], [6])]),
    (g, x) => g.node(mul, [g.node({ kind: 'Binary', fn: 'Div' }, [gate(g, x), g.constant([], [6])]), x]),
    (g, x) => g.node(mul, [g.node(mul, [gate(g, x), x]), g.constant([], [1 / 6])]),
  ]
  const gate = (g: SmallGraph, x: string) =>
    g.node({ kind: 'Clip', min: 0, max: 6 }, [g.node(add, [x, g.constant([], [3])])])
  for (const spell of spellings) {
    const g = new SmallGraph()
    const { graph } = await runPass(
      canonicalActivations,
      g.finish(spell(g, g.conv(g.input('x', 1, 2, 4, 4), 2))),
    )
    assert.deepEqual(
      graph.nodes.map((node) => node.op.kind),
      ['Conv', 'HardSwish'],
    )
  }
})

test('a gate of another operand is not hard-swish', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 2, 4, 4)
  const y = g.node(mul, [g.conv(x, 2), g.node({ kind: 'HardSigmoid', alpha: 1 / 6, beta: 0.5 }, [x])])
  assert.equal((await runPass(canonicalActivations, g.finish(y))).changed, 0)
})

test('Max and Min with a number are one Clip', async () => {
  const g = new SmallGraph()
  const low = g.node({ kind: 'Binary', fn: 'Max' }, [
    g.conv(g.input('x', 1, 2, 4, 4), 2),
    g.constant([], [0]),
  ])
  const { graph } = await runPass(
    canonicalActivations,
    g.finish(g.node({ kind: 'Binary', fn: 'Min' }, [g.constant([], [0.5]), low])),
  )
  assert.deepEqual(
    graph.nodes.map((node) => node.op),
    [graph.nodes[0]!.op, { kind: 'Clip', min: 0, max: 0.5 }],
  )
})

test('what has no integer kernel is written as what has one', async () => {
  const g = new SmallGraph()
  const x = g.node({ kind: 'Relu' }, [g.input('x', 1, 4, 6, 6)])
  const channels = [4]
  const bn = g.node({ kind: 'BatchNormalization', epsilon: 1e-5, layout: 'channels-first' }, [
    x,
    g.weights(channels),
    g.weights(channels),
    g.weights(channels),
    g.weights(channels, 0.2, 0.5),
  ])
  const sub = g.node({ kind: 'Binary', fn: 'Sub' }, [bn, g.weights([1, 4, 6, 6])])
  const div = g.node({ kind: 'Binary', fn: 'Div' }, [sub, g.weights([1, 1, 6, 6], 0.5, 2)])
  const mean = g.node({ kind: 'Reduce', fn: 'Mean', axes: [2, 3], keepDims: false }, [div])
  const max = g.node({ kind: 'GlobalMaxPool', layout: 'channels-first' }, [div])
  const { kinds } = await runPass(canonicalArithmetic, g.finish(mean, max))
  assert.deepEqual([...kinds].sort(), [
    'Binary',
    'Binary',
    'Conv',
    'GlobalAveragePool',
    'MaxPool',
    'Relu',
    'Reshape',
  ])
})

test('what no output needs is dropped', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 2, 4, 4)
  const unused = g.conv(x, 3)
  const graph = { ...g.finish(g.conv(x, 2), unused) }
  const { changed, kinds } = await runPass(eliminateDead, { ...graph, outputs: [graph.outputs[0]!] })
  assert.ok(changed > 0)
  assert.deepEqual(kinds, ['Conv'])
})

test('a pass that breaks the graph or its promise is named', async () => {
  const g = new SmallGraph()
  const graph = g.finish(g.conv(g.input('x', 1, 2, 4, 4), 2))
  const breaks = (name: string, result: Partial<typeof graph>): Pass => ({
    name,
    run: () => ({ graph: { ...graph, ...result }, changed: 1, notes: [] }),
  })
  await assert.rejects(runPasses(graph, [breaks('renames', { outputs: ['x'] })]), {
    code: 'INTERNAL',
    message: /renames.*changed the outputs/,
  })
  await assert.rejects(runPasses(graph, [breaks('forgets', { values: new Map() })]), {
    code: 'INTERNAL',
    message: /forgets/,
  })
  await assert.rejects(runPasses(graph, [{ ...breaks('promises', {}), ensures: () => 'nothing is left.' }]), {
    code: 'INTERNAL',
    message: /promises.*nothing is left/,
  })
})

test('a pass that does not apply says so and is skipped', async () => {
  const g = new SmallGraph()
  const graph = g.finish(g.conv(g.input('x', 1, 2, 4, 4), 2))
  const notes: unknown[] = []
  const result = await runPasses(
    graph,
    [{ name: 'never', requires: () => 'there is nothing to do', run: () => assert.fail() }],
    (note) => notes.push(note),
  )
  assert.equal(result, graph)
  assert.deepEqual(notes, [{ pass: 'never', where: 'small', reason: 'there is nothing to do' }])
})

test('a network that is quantized already is not rewritten across its roundings', async () => {
  const type = (scale: number) =>
    ({
      dtype: 'int8',
      shape: [1, 2],
      quantization: { scales: [scale], zeroPoints: [0], axis: null },
    }) as const
  const g = new SmallGraph()
  g.editor.addInput('q', type(0.5))
  g.editor.addNode({
    name: 'r',
    op: { kind: 'Reshape', shape: [1, 2] },
    inputs: ['q'],
    outputs: [{ name: 'coarse', type: type(4) }],
  })
  g.editor.addNode({
    name: 's',
    op: { kind: 'Reshape', shape: [1, 2] },
    inputs: ['coarse'],
    outputs: [{ name: 'y', type: type(4) }],
  })
  const graph = g.finish('y')
  const notes: string[] = []
  const result = await runPasses(graph, [removeNoOps, mergeMovements, canonicalActivations], (note) =>
    notes.push(note.reason),
  )
  assert.deepEqual(
    result.nodes.map((node) => node.name),
    ['r'],
    'the one that requantizes stays',
  )
  assert.equal(notes.filter((reason) => /quantized already/.test(reason)).length, 2)
})
