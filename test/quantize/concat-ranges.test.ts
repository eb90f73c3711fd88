import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeMixedConcat, mixedConcats } from '../../src/quantize/concat-ranges.ts'
import { Histogram } from '../../src/quantize/histogram.ts'
import type { Ranges, TensorRange } from '../../src/quantize/ranges.ts'
import { convOp, SmallGraph } from '../targets/small-graphs.ts'

const reshape = (...shape: number[]) => ({ kind: 'Reshape', shape }) as const
const slice = (axis: number, start: number, end: number) =>
  ({ kind: 'Slice', axes: [axis], starts: [start], ends: [end], steps: [1] }) as const
const ranges = (given: Record<string, TensorRange>): Ranges => new Map(Object.entries(given))

/** Boxes [1, 4, 64] and scores [1, 2, 64] of two convolutions, reshaped, as a YOLO head has them. */
function head(scores: 'plain' | 'sigmoid' = 'plain') {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const boxes = graph.node(reshape(1, 4, 64), [graph.conv(x, 4, {}, 'boxes')], 'flat_boxes')
  const raw = graph.node(reshape(1, 2, 64), [graph.conv(x, 2, {}, 'scores')], 'flat_scores')
  const branch = scores === 'plain' ? raw : graph.node({ kind: 'Sigmoid' }, [raw], 'sigmoid')
  return { graph, joined: graph.node({ kind: 'Concat', axis: 1 }, [boxes, branch], 'join') }
}

const pixels: TensorRange = { min: 0, max: 640 }

test('scores of 0 to 1 beside pixels lose everything: the concatenation stays in float, with what follows it', () => {
  const { graph, joined } = head()
  const out = graph.node({ kind: 'Transpose', perm: [0, 2, 1] }, [joined], 'turn')
  const [mixed, ...others] = mixedConcats(
    graph.finish(out),
    ranges({ boxes_out: pixels, scores_out: { min: 0, max: 1 } }),
  )
  assert.equal(others.length, 0)
  assert.deepEqual([mixed!.node, mixed!.at, mixed!.spread], ['join', 'output', 640])
  assert.deepEqual(mixed!.keepFloat, ['join_out', 'turn_out'])
  assert.deepEqual(mixed!.groups, [[0], [1]])
  const [boxes, scores] = mixed!.inputs
  // uniform over 255 steps of its own: (1/12) / (1/255²/12)
  assert.ok(Math.abs(scores!.ownDb - 20 * Math.log10(255)) < 1e-4)
  assert.equal(scores!.sharedDb, 0)
  assert.ok(Math.abs(boxes!.sharedDb - boxes!.ownDb) < 1e-9)
  assert.equal(
    describeMixedConcat(mixed!),
    'One scale for branches whose ranges differ 640 times: flat_scores_out (0 to 1) keeps 0 of 48 dB.',
  )
})

test('a sigmoid needs no calibration to be known as 0 to 1', () => {
  const { graph, joined } = head('sigmoid')
  const [mixed] = mixedConcats(graph.finish(joined), ranges({ boxes_out: pixels }))
  assert.deepEqual([mixed!.inputs[1]!.max, mixed!.keepFloat], [1, ['join_out']])
})

test('the error decides, not the ratio of the ranges: a rare outlier alone makes no mixed concatenation', () => {
  const near = new Histogram('near')
  const far = new Histogram('far')
  for (let i = 0; i < 4; i++) near.observe(Float32Array.from({ length: 1000 }, (_, k) => (k - 500) / 10))
  far.observe(Float32Array.from({ length: 4000 }, (_, k) => (k - 2000) / 2))
  const { graph, joined } = head()
  const whole = graph.finish(joined)
  const seen = (histogram: Histogram) => ({ min: histogram.min, max: histogram.max, histogram })
  // 20 times apart, but ±50 still has a dozen steps of 7.8: 833 / 5.1 is 22 dB
  assert.deepEqual(mixedConcats(whole, ranges({ boxes_out: seen(far), scores_out: seen(near) })), [])
  // the same spans, all within ±0.005 but for one element: 8 bits of its own would not keep the others either
  const spiky = new Histogram('spiky')
  spiky.observe(Float32Array.from({ length: 1000 }, (_, k) => (k === 0 ? 50 : (k - 500) / 1e5)))
  const [mixed] = mixedConcats(whole, ranges({ boxes_out: seen(far), scores_out: seen(spiky) }))
  assert.equal(mixed, undefined)
})

test('16-bit activations have room for both', () => {
  const { graph, joined } = head()
  const seen = ranges({ boxes_out: pixels, scores_out: { min: 0, max: 1 } })
  assert.equal(mixedConcats(graph.finish(joined), seen, 'int16').length, 0)
})

test('declines: branches of like ranges, a branch that nobody calibrated, a single input', () => {
  const { graph, joined } = head()
  const whole = graph.finish(joined)
  assert.deepEqual(mixedConcats(whole, ranges({ boxes_out: pixels, scores_out: { min: 0, max: 300 } })), [])
  assert.deepEqual(mixedConcats(whole, ranges({ boxes_out: pixels })), [])
  assert.deepEqual(mixedConcats(whole, new Map()), [])
})

test('neighbours of one kind stay together: centres, sizes and scores make two groups', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const parts = ['centre', 'size', 'score'].map((name) => graph.conv(x, 2, {}, name))
  const out = graph.node({ kind: 'Concat', axis: 1 }, parts, 'join')
  const [mixed] = mixedConcats(
    graph.finish(out),
    ranges({ centre_out: pixels, size_out: { min: 0, max: 200 }, score_out: { min: 0, max: 1 } }),
  )
  assert.deepEqual(mixed!.groups, [[0, 1], [2]])
})

test('inside a network: slices part the branches again, a convolution does not', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 3, 8, 8)
  const joined = graph.node(
    { kind: 'Concat', axis: 1 },
    [graph.conv(x, 4, {}, 'a'), graph.conv(x, 4, {}, 'b')],
    'join',
  )
  const first = graph.conv(graph.node(slice(1, 0, 4), [joined], 'left'), 2, {}, 'after_left')
  const second = graph.conv(graph.node(slice(1, 4, 8), [joined], 'right'), 2, {}, 'after_right')
  const seen = ranges({ a_out: pixels, b_out: { min: 0, max: 1 } })
  const [parted] = mixedConcats(graph.finish(first, second), seen)
  assert.deepEqual([parted!.at, parted!.keepFloat], ['split', ['join_out', 'left_out', 'right_out']])
  const whole = graph.conv(joined, 2, {}, 'reads_both')
  const [inside] = mixedConcats(graph.finish(first, second, whole), seen)
  assert.deepEqual([inside!.at, inside!.keepFloat], ['inside', []])
  // a crop along another axis parts nothing
  const cropped = graph.node(
    convOp(),
    [graph.node(slice(2, 0, 4), [joined], 'crop'), graph.weights([2, 8, 3, 3]), null],
    'end',
  )
  assert.equal(mixedConcats(graph.finish(cropped), seen)[0]!.at, 'inside')
})

test('the head of YOLOv8: the last concatenation is found, with the arithmetic of boxes up to the distribution', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 8, 4, 4)
  const scale = graph.node(
    { kind: 'Concat', axis: 1 },
    [graph.conv(x, 64, {}, 'reg'), graph.conv(x, 3, {}, 'cls')],
    'scale',
  )
  const flat = graph.node(reshape(1, 67, 16), [scale], 'flat')
  const distances = graph.node(slice(1, 0, 64), [flat], 'distances')
  const logits = graph.node(slice(1, 64, 67), [flat], 'logits')
  const bins = graph.node(
    { kind: 'Transpose', perm: [0, 2, 1, 3] },
    [graph.node(reshape(1, 4, 16, 16), [distances], 'bins')],
    'turned',
  )
  const expectation = graph.conv(
    graph.node({ kind: 'Softmax', axis: 1 }, [bins], 'softmax'),
    1,
    { kernel: 1, bias: false },
    'dfl',
  )
  const ltrb = graph.node(reshape(1, 4, 16), [expectation], 'ltrb')
  const [near, far] = [graph.node(slice(1, 0, 2), [ltrb], 'near'), graph.node(slice(1, 2, 4), [ltrb], 'far')]
  const anchors = graph.weights([1, 2, 16], 2, 2)
  const binary = (fn: 'Add' | 'Sub' | 'Mul', a: string, b: string, name: string) =>
    graph.node({ kind: 'Binary', fn }, [a, b], name)
  const [first, second] = [binary('Sub', anchors, near, 'first'), binary('Add', far, anchors, 'second')]
  const centre = binary('Mul', binary('Add', first, second, 'sum'), graph.constant([1], [0.5]), 'centre')
  const size = binary('Sub', second, first, 'size')
  const cells = graph.node({ kind: 'Concat', axis: 1 }, [centre, size], 'cells')
  const boxes = binary('Mul', cells, graph.constant([1], [32]), 'boxes')
  const scores = graph.node({ kind: 'Sigmoid' }, [logits], 'scores')
  const whole = graph.finish(graph.node({ kind: 'Concat', axis: 1 }, [boxes, scores], 'head'))
  const seen = ranges({
    reg_out: { min: -4, max: 12 },
    cls_out: { min: -14, max: 3 },
    boxes_out: { min: 0, max: 640 },
    centre_out: { min: 0, max: 20 },
    size_out: { min: 0, max: 18 },
  })
  const [mixed, ...others] = mixedConcats(whole, seen)
  assert.deepEqual([mixed!.node, mixed!.at, others.length], ['head', 'output', 0])
  assert.deepEqual(mixed!.keepFloat, ['head_out'])
  const decoding = ['boxes', 'cells', 'centre', 'sum', 'first', 'second', 'size', 'near', 'far', 'ltrb']
  assert.deepEqual([...mixed!.decoding].sort(), decoding.map((name) => `${name}_out`).sort())
})

test('concatenations of themselves, forty deep, and a mask of infinities take no time', () => {
  const graph = new SmallGraph()
  const x = graph.input('x', 1, 1, 1, 1)
  let value = graph.conv(x, 1, {}, 'a')
  for (let depth = 0; depth < 20; depth++) {
    const doubled = graph.node({ kind: 'Concat', axis: 1 }, [value, value], `join${depth}`)
    value = graph.node(slice(1, 0, 1), [doubled], `back${depth}`)
  }
  for (let depth = 0; depth < 20; depth++)
    value = graph.node({ kind: 'Concat', axis: 1 }, [value, value], `twice${depth}`)
  const mask = graph.constant([1, 1, 1, 1], [Number.NEGATIVE_INFINITY])
  const out = graph.node({ kind: 'Concat', axis: 1 }, [value, mask], 'masked')
  assert.deepEqual(mixedConcats(graph.finish(out), ranges({ a_out: pixels })), [])
})
