import { elementCount, type Tensor } from '../tensor.ts'
import { type Box, type Detection, suppressNonMaxima } from './boxes.ts'
import { floatsOf } from './elements.ts'
import { outputOf, type Outputs, unreadable } from './output-choice.ts'
import type { DetectionSpec } from './task-schema.ts'
import type { Task } from './types.ts'

export type DetectionTask = Extract<Task, { kind: 'detection' }>

/** Candidates that enter suppression, best first: as many as Ultralytics lets in. */
const candidateLimit = 30_000

/**
 * The objects that a detector's outputs name, boxes in pixels of its input, best first.
 *
 * @param outputs of one sample, as reals
 * @throws CONFIG_INVALID where the outputs are not of the form that the task states
 */
export function decodeDetections(outputs: Outputs, task: DetectionTask): Detection[] {
  const { detection: spec } = task
  const found = spec.format === 'ssd-tflite' ? decodePostProcessed(outputs, task) : decodeRows(outputs, task)
  if (spec.nmsIou === null) return found.sort((a, b) => b.score - a.score).slice(0, spec.maxDetections)
  const candidates = found.sort((a, b) => b.score - a.score).slice(0, candidateLimit)
  return suppressNonMaxima(candidates, {
    iou: spec.nmsIou,
    acrossClasses: spec.acrossClasses,
    limit: spec.maxDetections,
  })
}

// -- one row a box ---------------------------------------------------------------------------------------------------

/** A matrix of boxes by attributes, whichever axis comes first. */
interface Rows {
  readonly count: number
  readonly attributes: number
  at(row: number, attribute: number): number
}

function decodeRows(outputs: Outputs, task: DetectionTask): Detection[] {
  const { detection: spec } = task
  const { boxes, scores } =
    spec.format === 'boxes-scores' ? separateRows(outputs, task) : joinedRows(outputs, task)
  const firstClass = spec.format === 'yolo-v5' ? 1 : spec.background ? 1 : 0
  const found: Detection[] = []
  for (let row = 0; row < boxes.count; row++) {
    const values = Float64Array.from({ length: scores.attributes }, (_, index) => scores.at(row, index))
    activate(values, spec.activation)
    // a YOLOv5 row says first whether there is an object at all
    const objectness = spec.format === 'yolo-v5' ? values[0]! : 1
    if (objectness < spec.scoreThreshold) continue
    const classes = classesAbove(values, objectness, firstClass, spec)
    if (classes.length === 0) continue
    const box = boxOf((attribute) => boxes.at(row, attribute), task)
    if (box) for (const { class: index, score } of classes) found.push({ ...box, class: index, score })
  }
  return found
}

function classesAbove(
  values: Float64Array,
  objectness: number,
  first: number,
  { scoreThreshold, multiLabel }: DetectionSpec,
): { class: number; score: number }[] {
  const above: { class: number; score: number }[] = []
  let best: { class: number; score: number } | null = null
  for (let index = first; index < values.length; index++) {
    const score = values[index]! * objectness
    // NaN is below everything
    if (!(score >= scoreThreshold)) continue
    const one = { class: index - first, score }
    if (multiLabel) above.push(one)
    else if (!best || score > best.score) best = one
  }
  return best ? [best] : above
}

/** YOLO: boxes and scores side by side in one output, or in several that were one. */
function joinedRows(outputs: Outputs, task: DetectionTask): { boxes: Rows; scores: Rows } {
  const { detection: spec, classes } = task
  const chosen = [spec.outputs.boxes, spec.outputs.scores].filter((choice) => choice !== undefined)
  const tensors =
    chosen.length > 0
      ? chosen.map((choice) => outputOf(outputs, choice))
      : [...outputs.values()].filter(({ shape }) => squeezed(shape).length === 2)
  const beforeScores = 4
  const known = classes === null ? null : beforeScores + classes + (spec.format === 'yolo-v5' ? 1 : 0)
  const whole = tensors.length === 1 ? rowsOf(tensors[0]!, known) : alignedRows(tensors)
  if (!whole || whole.attributes <= beforeScores)
    throw unreadable(
      `No output has the form of ${spec.format}: a row of box and scores for each box.`,
      outputs,
    )
  return { boxes: whole, scores: columns(whole, beforeScores) }
}

function separateRows(outputs: Outputs, { detection: { outputs: said }, classes }: DetectionTask) {
  const matrices = [...outputs.values()].filter(({ shape }) => squeezed(shape).length === 2)
  const boxTensor =
    said.boxes !== undefined
      ? outputOf(outputs, said.boxes)
      : matrices.find(({ shape }) => squeezed(shape).includes(4))
  const scoreTensor =
    said.scores !== undefined
      ? outputOf(outputs, said.scores)
      : matrices.find((tensor) => tensor !== boxTensor)
  const boxes = boxTensor && rowsOf(boxTensor, 4)
  const scores = scoreTensor && boxes && scoresBeside(boxes, scoreTensor, classes)
  if (!boxes || boxes.attributes !== 4 || !scores)
    throw unreadable('No two outputs have the form of boxes-scores: [N, 4] and [N, classes].', outputs)
  return { boxes, scores }
}

function scoresBeside({ count }: Rows, tensor: Tensor, classes: number | null): Rows | null {
  // one score a box may come as [1, N]
  if (elementCount(tensor.shape) === count) return view(tensor, count, 1, 1, 1)
  const shape = squeezed(tensor.shape)
  return shape.length === 2
    ? ([rowsOf(tensor, classes), turned(tensor)].find((rows) => rows?.count === count) ?? null)
    : null
}

/** Rows of tensors that speak of the same boxes, those whose counts agree, side by side. */
function alignedRows(tensors: readonly Tensor[]): Rows | null {
  const [first, ...others] = tensors
  if (!first) return null
  for (const rows of [rowsOf(first, 4), turned(first)]) {
    const parts = others.map((tensor) =>
      [rowsOf(tensor, null), turned(tensor)].find((one) => one?.count === rows?.count),
    )
    if (rows && parts.every((part) => part)) return joined([rows, ...(parts as Rows[])])
  }
  return null
}

/** A matrix with its attributes on the axis that has so many; where that is not known, on the shorter one. */
function rowsOf(tensor: Tensor, attributes: number | null): Rows | null {
  const [first, second] = squeezed(tensor.shape)
  if (first === undefined || second === undefined) return null
  const across =
    attributes !== null && (first === attributes) !== (second === attributes)
      ? second === attributes
      : second <= first
  return across ? view(tensor, first, second, second, 1) : view(tensor, second, first, 1, second)
}

function turned(tensor: Tensor): Rows | null {
  const rows = rowsOf(tensor, null)
  const [first, second] = squeezed(tensor.shape) as [number, number]
  if (!rows) return null
  return rows.count === first
    ? view(tensor, second, first, 1, second)
    : view(tensor, first, second, second, 1)
}

function view(
  tensor: Tensor,
  count: number,
  attributes: number,
  rowStride: number,
  attributeStride: number,
): Rows {
  const values = floatsOf(tensor.dtype, tensor.data)
  return { count, attributes, at: (row, attribute) => values[row * rowStride + attribute * attributeStride]! }
}

function joined(parts: readonly Rows[]): Rows {
  const owners = parts.flatMap((part) =>
    Array.from({ length: part.attributes }, (_, index) => ({ part, index })),
  )
  return {
    count: parts[0]!.count,
    attributes: owners.length,
    at: (row, attribute) => {
      const { part, index } = owners[attribute]!
      return part.at(row, index)
    },
  }
}

function columns(rows: Rows, from: number): Rows {
  return {
    ...rows,
    attributes: rows.attributes - from,
    at: (row, attribute) => rows.at(row, attribute + from),
  }
}

/** Without the axes of 1 in front. */
function squeezed(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((dimension) => dimension !== 1)
  return shape.slice(Math.min(first === -1 ? shape.length : first, Math.max(0, shape.length - 2)))
}

function activate(values: Float64Array, activation: DetectionSpec['activation']): void {
  if (activation === 'sigmoid') for (const [i, x] of values.entries()) values[i] = 1 / (1 + Math.exp(-x))
  if (activation !== 'softmax') return
  const highest = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  let sum = 0
  for (const [i, x] of values.entries()) {
    values[i] = Math.exp(x - highest)
    sum += values[i]!
  }
  for (const i of values.keys()) values[i]! /= sum
}

// -- TensorFlow Lite's post-processing -------------------------------------------------------------------------------

/** The four outputs of TFLite_Detection_PostProcess: boxes [N, 4], classes [N], scores [N], count [1]. */
function decodePostProcessed(outputs: Outputs, task: DetectionTask): Detection[] {
  const { outputs: said, scoreThreshold, background } = task.detection
  const tensors = [...outputs.values()]
  const boxAt = tensors.findIndex(({ shape }) => shape.length >= 2 && shape.at(-1) === 4)
  // TensorFlow 1 puts boxes first; signatures of TensorFlow 2 come out as scores, boxes, count, classes
  const order =
    boxAt === 1
      ? { scores: 0, boxes: 1, count: 2, classes: 3 }
      : { boxes: 0, classes: 1, scores: 2, count: 3 }
  const { boxes, classes, scores, count } = { ...order, ...said }
  const floats = (choice: string | number) => {
    const { dtype, data } = outputOf(outputs, choice)
    return floatsOf(dtype, data)
  }
  const [corners, labels, confidences] = [floats(boxes), floats(classes), floats(scores)]
  const most = Math.min(confidences.length, labels.length, Math.floor(corners.length / 4))
  const stated = Math.round(floats(count)[0] ?? 0)
  if (most === 0 || stated > most)
    throw unreadable(
      'The outputs are not those of TFLite_Detection_PostProcess.',
      outputs,
      'State `detection.outputs`.',
    )
  const found: Detection[] = []
  for (let row = 0; row < stated; row++) {
    const score = confidences[row]!
    const box = score >= scoreThreshold ? boxOf((attribute) => corners[row * 4 + attribute]!, task) : null
    const index = Math.round(labels[row]!) - (background ? 1 : 0)
    if (box && index >= 0) found.push({ ...box, class: index, score })
  }
  return found
}

/** Corners in pixels of the input; null for what is no box. */
function boxOf(at: (attribute: number) => number, { detection, height, width }: DetectionTask): Box | null {
  const [a, b, c, d] = [at(0), at(1), at(2), at(3)]
  const [scaleX, scaleY] = detection.coordinates === 'normalized' ? [width, height] : [1, 1]
  const [x1, y1, x2, y2] = cornersOf[detection.boxes](a, b, c, d)
  const box = { x1: x1 * scaleX, y1: y1 * scaleY, x2: x2 * scaleX, y2: y2 * scaleY }
  return box.x2 > box.x1 && box.y2 > box.y1 && Number.isFinite(areaSum(box)) ? box : null
}

function areaSum({ x1, y1, x2, y2 }: Box): number {
  return x1 + y1 + x2 + y2
}

type Corners = readonly [number, number, number, number]

const cornersOf: Record<DetectionSpec['boxes'], (a: number, b: number, c: number, d: number) => Corners> = {
  xyxy: (x1, y1, x2, y2) => [x1, y1, x2, y2],
  yxyx: (y1, x1, y2, x2) => [x1, y1, x2, y2],
  cxcywh: (x, y, width, height) => [x - width / 2, y - height / 2, x + width / 2, y + height / 2],
  xywh: (x, y, width, height) => [x, y, x + width, y + height],
}
