import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeDetections, type DetectionTask } from '../../src/data/box-decoding.ts'
import { detectionSchema } from '../../src/data/task-schema.ts'
import { taskAgreement } from '../../src/data/task-agreement.ts'
import type { Tensor } from '../../src/tensor.ts'
import { errorOf } from './temporary.ts'

type Said = Parameters<typeof detectionSchema.parse>[0] & object

const task = (said: Said, classes: number | null = 2): DetectionTask => ({
  kind: 'detection',
  detection: detectionSchema.parse(said),
  height: 100,
  width: 200,
  classes,
})
const tensor = (shape: number[], values: number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
})
const turned = (rows: number[][]) => rows[0]!.flatMap((_, column) => rows.map((row) => row[column]!))
const outputs = (...tensors: Tensor[]) => new Map(tensors.map((one, index) => [`output${index}`, one]))
/** Rounded, so that 32-bit floats compare. */
const plain = (found: ReturnType<typeof decodeDetections>) =>
  found.map(({ x1, y1, x2, y2, class: of, score }) => [x1, y1, x2, y2, of, Number(score.toFixed(4))])

/** Two objects and a double of the first; eight boxes, so that rows and attributes cannot be mistaken. */
const rows = [
  [50, 40, 20, 20, 0.9, 0.1],
  [51, 40, 20, 20, 0.8, 0.05],
  [150, 60, 40, 30, 0.02, 0.7],
  ...Array.from({ length: 5 }, () => [10, 10, 4, 4, 0, 0]),
]
const said = { scoreThreshold: 0.25 }
const expected = [
  [40, 30, 60, 50, 0, 0.9],
  [130, 45, 170, 75, 1, 0.7],
]

test('YOLOv8: attributes by boxes, as exported, and boxes by attributes', () => {
  const spec = task({ format: 'yolo-v8', ...said })
  assert.deepEqual(plain(decodeDetections(outputs(tensor([1, 6, 8], turned(rows))), spec)), expected)
  assert.deepEqual(plain(decodeDetections(outputs(tensor([1, 8, 6], rows.flat())), spec)), expected)
})

test('YOLOv8 with its output split in boxes and scores is read alike, whatever its axes', () => {
  const boxes = rows.map((row) => row.slice(0, 4))
  const scores = rows.map((row) => row.slice(4))
  const spec = task({ format: 'yolo-v8', ...said })
  const split = outputs(tensor([1, 4, 8], turned(boxes)), tensor([1, 2, 8], turned(scores)))
  assert.deepEqual(plain(decodeDetections(split, spec)), expected)
  const rowsFirst = outputs(tensor([1, 8, 4], boxes.flat()), tensor([1, 2, 8], turned(scores)))
  assert.deepEqual(plain(decodeDetections(rowsFirst, spec)), expected)
})

test('YOLOv5: the score is that of the object times that of the class', () => {
  const withObject = rows.map(([x, y, w, h, a, b]) => [x!, y!, w!, h!, 0.5, a!, b!])
  const found = decodeDetections(
    outputs(tensor([1, 8, 7], withObject.flat())),
    task({ format: 'yolo-v5', ...said }),
  )
  assert.deepEqual(
    plain(found).map((row) => row.slice(4)),
    [
      [0, 0.45],
      [1, 0.35],
    ],
  )
})

test('YOLOX: offsets in cells of three grids, logarithms of sizes', () => {
  // 64 × 32: grids of 8 × 4, 4 × 2 and 2 × 1 cells
  const cells = Array.from({ length: 32 + 8 + 2 }, () => [0, 0, 0, 0, 0, 0])
  cells[8 * 2 + 3] = [0.5, 0.25, Math.log(2), Math.log(1.5), 0.9, 0.5]
  cells[32 + 8 + 1] = [0.5, 0.5, 0, Math.log(0.5), 1, 0.8]
  const spec = { ...task({ format: 'yolox', ...said }, 1), width: 64, height: 32 }
  const found = decodeDetections(outputs(tensor([1, 42, 6], cells.flat())), spec)
  assert.deepEqual(
    plain(found).map((row) => row.map((value) => Math.round(value! * 1e4) / 1e4)),
    [
      [32, 8, 64, 24, 0, 0.8],
      [20, 12, 36, 24, 0, 0.45],
    ],
  )
  assert.throws(
    () => decodeDetections(outputs(tensor([1, 41, 6], cells.slice(1).flat())), spec),
    errorOf('CONFIG_INVALID', { message: /grids at 64×32/ }),
  )
})

test('normalized coordinates count in shares of the sides; every class above the threshold is a detection', () => {
  const normalized = rows.map(([x, y, w, h, ...scores]) => [
    x! / 200,
    y! / 100,
    w! / 200,
    h! / 100,
    ...scores,
  ])
  const values = outputs(tensor([1, 6, 8], turned(normalized)))
  const low = { format: 'yolo-v8', coordinates: 'normalized', scoreThreshold: 0.09 } as const
  assert.deepEqual(
    decodeDetections(values, task(low)).map(({ class: of, x1 }) => [of, Math.round(x1)]),
    [
      [0, 40],
      [1, 130],
      [1, 40],
    ],
  )
  assert.equal(decodeDetections(values, task({ ...low, multiLabel: false })).length, 2)
})

test('boxes and scores apart: corners, logits and a background class', () => {
  const corners = [
    [30, 40, 50, 60],
    [45, 130, 75, 170],
    [0, 0, 0, 0],
  ]
  const logits = [
    [-3, 2, -3],
    [-3, -3, 1],
    [3, -3, -3],
  ]
  const spec = { format: 'boxes-scores', boxes: 'yxyx', background: true, scoreThreshold: 0.25 } as const
  const both = outputs(tensor([1, 3, 3], logits.flat()), tensor([1, 3, 4], corners.flat()))
  const sigmoid = (x: number) => Number((1 / (1 + Math.exp(-x))).toFixed(4))
  assert.deepEqual(plain(decodeDetections(both, task({ ...spec, activation: 'sigmoid' }))), [
    [40, 30, 60, 50, 0, sigmoid(2)],
    [130, 45, 170, 75, 1, sigmoid(1)],
  ])
  const softmax = Math.exp(2) / (Math.exp(2) + 2 * Math.exp(-3))
  assert.equal(
    plain(decodeDetections(both, task({ ...spec, activation: 'softmax' })))[0]![5],
    Number(softmax.toFixed(4)),
  )
})

test('TensorFlow Lite post-processing: count rules, in the order of either TensorFlow', () => {
  const boxes = tensor([1, 3, 4], [0.3, 0.2, 0.5, 0.3, 0.45, 0.65, 0.75, 0.85, 0, 0, 1, 1])
  const classes = tensor([1, 3], [0, 1, 1])
  const scores = tensor([1, 3], [0.9, 0.7, 0.6])
  const count = tensor([1], [2])
  for (const order of [outputs(boxes, classes, scores, count), outputs(scores, boxes, count, classes)]) {
    const found = plain(decodeDetections(order, task({ format: 'ssd-tflite' })))
    assert.deepEqual(
      found.map((row) => row.map((value) => Number(value!.toFixed(3)))),
      [
        [40, 30, 60, 50, 0, 0.9],
        [130, 45, 170, 75, 1, 0.7],
      ],
    )
  }
  const named = { boxes: 'b', classes: 'c', scores: 's', count: 'n' }
  const shuffled = new Map([
    ['n', count],
    ['c', classes],
    ['s', scores],
    ['b', boxes],
  ] as const)
  assert.equal(decodeDetections(shuffled, task({ format: 'ssd-tflite', outputs: named })).length, 2)
})

test('NaN scores and boxes without extent are no detections', () => {
  const broken = [
    [50, 40, 20, 20, Number.NaN, 0],
    [50, 40, Number.NaN, 20, 0.9, 0],
    [50, 40, 0, 20, 0.9, 0],
    ...rows.slice(3),
  ]
  assert.deepEqual(
    decodeDetections(outputs(tensor([1, 8, 6], broken.flat())), task({ format: 'yolo-v8', ...said })),
    [],
  )
})

test('outputs of another form are named with their shapes', () => {
  const pictures = outputs(tensor([1, 3, 4, 4], new Array(48).fill(0)))
  for (const format of ['yolo-v8', 'yolo-v5', 'boxes-scores', 'ssd-tflite'] as const)
    assert.throws(
      () => decodeDetections(pictures, task({ format })),
      errorOf('CONFIG_INVALID', { saw: /output0 \[1, 3, 4, 4\]/ }),
    )
  assert.throws(
    () => decodeDetections(pictures, task({ format: 'yolo-v8', outputs: { boxes: 'gone' } })),
    errorOf('CONFIG_INVALID', { message: /no output gone/ }),
  )
})

test('agreement: 1 with itself, lower where scores or boxes are off, null where nothing is found', () => {
  const spec = task({ format: 'yolo-v8' })
  const exact = outputs(tensor([1, 6, 8], turned(rows)))
  const same = taskAgreement(spec)
  same.add(exact, exact)
  assert.ok(Math.abs(same.value! - 1) < 1e-12)
  const moved = taskAgreement(spec)
  // 4 of 20 pixels off: an overlap of 16/24, so that thresholds up to 0.65 hold for one of two classes
  moved.add(
    exact,
    outputs(
      tensor([1, 6, 8], turned(rows.map((row, index) => (index < 2 ? [row[0]! + 4, ...row.slice(1)] : row)))),
    ),
  )
  assert.ok(Math.abs(moved.value! - (1 + 0.4) / 2) < 1e-9, String(moved.value))
  const lost = taskAgreement(spec)
  lost.add(exact, outputs(tensor([1, 6, 8], turned(rows.map((row) => [...row.slice(0, 4), 0, 0])))))
  assert.equal(lost.value, 0)
  const nothing = taskAgreement(spec)
  nothing.add(outputs(tensor([1, 6, 8], new Array(48).fill(0))), exact)
  assert.equal(nothing.value, null)
})
