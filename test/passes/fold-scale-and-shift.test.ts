import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Op } from '../../src/graph/ops.ts'
import { foldScaleAndShift } from '../../src/passes/fold-scale-and-shift.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'
import { runPass } from './run-pass.ts'

const batchNorm: Op = { kind: 'BatchNormalization', epsilon: 1e-3, layout: 'channels-first' }

function withBatchNorm(g: SmallGraph, x: string, channels: number): string {
  const each = [channels]
  return g.node(batchNorm, [
    x,
    g.weights(each, 0.5, 1),
    g.weights(each, 0.3),
    g.weights(each, 0.3),
    g.weights(each, 0.2, 0.5),
  ])
}

test('batch norm after a convolution becomes its weights and bias', async () => {
  for (const options of [{}, { group: 2 }, { group: 4 }, { bias: false }, { stride: 2 }]) {
    const g = new SmallGraph()
    const y = withBatchNorm(g, g.conv(g.input('x', 1, 4, 6, 6), 8, options), 8)
    const { kinds, changed } = await runPass(foldScaleAndShift, g.finish(y))
    assert.deepEqual([kinds, changed], [['Conv'], 1])
  }
})

test('batch norm after a transposed convolution, with groups', async () => {
  for (const group of [1, 2]) {
    const g = new SmallGraph()
    const x = g.input('x', 1, 4, 5, 5)
    const op: Op = {
      kind: 'ConvTranspose',
      group,
      layout: 'channels-first',
      strides: [2, 2],
      dilations: [1, 1],
      padsBegin: [0, 0],
      padsEnd: [0, 0],
      outputPadding: [0, 0],
    }
    const y = withBatchNorm(g, g.node(op, [x, g.weights([4, 6 / group, 3, 3])]), 6)
    const { kinds } = await runPass(foldScaleAndShift, g.finish(y))
    assert.deepEqual(kinds, ['ConvTranspose'])
  }
})

test('batch norm after a Gemm, transposed or not', async () => {
  for (const transB of [false, true]) {
    const g = new SmallGraph()
    const x = g.input('x', 3, 5)
    const gemm: Op = { kind: 'Gemm', alpha: 1, beta: 1, transA: false, transB }
    const y = withBatchNorm(g, g.node(gemm, [x, g.weights(transB ? [7, 5] : [5, 7]), g.weights([7])]), 7)
    const { kinds } = await runPass(foldScaleAndShift, g.finish(y))
    assert.deepEqual(kinds, ['Gemm'])
  }
})

test('batch norm before a convolution without padding', async () => {
  for (const group of [1, 2]) {
    const g = new SmallGraph()
    const y = g.conv(withBatchNorm(g, g.input('x', 1, 4, 6, 6), 4), 8, { pad: 0, group })
    const { kinds } = await runPass(foldScaleAndShift, g.finish(y))
    assert.deepEqual(kinds, ['Conv'])
  }
})

test('batch norm before a zero-padded convolution stays, and says why', async () => {
  const g = new SmallGraph()
  const y = g.conv(withBatchNorm(g, g.input('x', 1, 4, 6, 6), 4), 8)
  const { kinds, changed, notes } = await runPass(foldScaleAndShift, g.finish(y))
  assert.deepEqual([kinds, changed], [['BatchNormalization', 'Conv'], 0])
  assert.match(notes[0]!.reason, /pads with zeros/)
})

test('a scale before a zero-padded convolution folds: zero stays zero', async () => {
  const g = new SmallGraph()
  const scaled = g.node({ kind: 'Binary', fn: 'Div' }, [g.input('x', 1, 4, 6, 6), g.constant([], [255])])
  const { kinds } = await runPass(foldScaleAndShift, g.finish(g.conv(scaled, 8)))
  assert.deepEqual(kinds, ['Conv'])
})

test('a convolution whose result is read twice keeps its batch norm', async () => {
  const g = new SmallGraph()
  const c = g.conv(g.input('x', 1, 4, 6, 6), 4)
  const y = g.node({ kind: 'Binary', fn: 'Add' }, [withBatchNorm(g, c, 4), c])
  const { changed, notes } = await runPass(foldScaleAndShift, g.finish(y))
  assert.equal(changed, 0)
  assert.match(notes[0]!.reason, /2 operators read it/)
})

test('weights shared by two convolutions survive for the other one', async () => {
  const g = new SmallGraph()
  const x = g.input('x', 1, 4, 6, 6)
  const w = g.weights([4, 4, 3, 3])
  const a = withBatchNorm(g, g.node(convOp(), [x, w]), 4)
  const b = g.node(convOp(), [x, w])
  const { changed } = await runPass(foldScaleAndShift, g.finish(a, b))
  assert.equal(changed, 1)
})

test('the bias of older exporters: a convolution, then Add of [C, 1, 1]', async () => {
  for (const shape of [[8, 1, 1], [1, 8, 1, 1], [1]]) {
    const g = new SmallGraph()
    const c = g.conv(g.input('x', 1, 4, 6, 6), 8, { bias: false })
    const y = g.node({ kind: 'Binary', fn: 'Add' }, [c, g.weights(shape)])
    const { kinds } = await runPass(foldScaleAndShift, g.finish(y))
    assert.deepEqual(kinds, ['Conv'])
  }
})

test('Sub and Mul on either side of a convolution', async () => {
  const g = new SmallGraph()
  const c = g.conv(g.input('x', 1, 4, 6, 6), 8)
  const negated = g.node({ kind: 'Binary', fn: 'Sub' }, [g.weights([8, 1, 1]), c])
  const y = g.node({ kind: 'Binary', fn: 'Mul' }, [negated, g.weights([8, 1, 1])])
  const { kinds, changed } = await runPass(foldScaleAndShift, g.finish(y))
  assert.deepEqual([kinds, changed], [['Conv'], 2])
})

test('an Add that differs by position is not a bias', async () => {
  const g = new SmallGraph()
  const c = g.conv(g.input('x', 1, 4, 6, 6), 8)
  const y = g.node({ kind: 'Binary', fn: 'Add' }, [c, g.weights([1, 8, 6, 6])])
  const { changed } = await runPass(foldScaleAndShift, g.finish(y))
  assert.equal(changed, 0)
})

test('a constant along the width is not mistaken for one along the channels of the same extent', async () => {
  const g = new SmallGraph()
  const c = g.conv(g.input('x', 1, 4, 8, 8), 8)
  const y = g.node({ kind: 'Binary', fn: 'Add' }, [c, g.weights([8])])
  const { changed } = await runPass(foldScaleAndShift, g.finish(y))
  assert.equal(changed, 0)
})
